"""Names of users: what they are made of, and which are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.model.usernames import folded_name, username_problem


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Alice Liddell",
        "a.b@c+d-e_f",
        "éloïse",
        "иван",
        "東京タワー",
        "김철수kim",
        "7",
        "a" * 150,
    ],
)
def test_name_may_be_used(name):
    assert username_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "use 1 to 150"),
        ("a" * 151, "use 1 to 150"),
        (" alice", "use 1 to 150"),
        ("alice ", "use 1 to 150"),
        ("a  b", "use 1 to 150"),
        ("a\tb", "use 1 to 150"),
        ("a\u00a0b", "use 1 to 150"),
        ("al\u200bice", "use 1 to 150"),
        ("-", "no letter and no digit"),
        ("...", "no letter and no digit"),
        ("\uff41lice", "write it as 'alice'"),
        ("\u0430lice", "several scripts: cyrillic, latin"),
        ("\u03b1lice", "several scripts: greek, latin"),
        ("\u0430\u03b1", "several scripts: cyrillic, greek"),
    ],
)
def test_name_may_not_be_used(name, problem):
    assert problem in username_problem(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("\uff21lice", "ALICE"),
        ("STRASSE", "straße"),
        ("É", "e\u0301"),
        ("\u03a3", "\u03c2"),
    ],
)
def test_names_are_alike(one, other):
    assert folded_name(one) == folded_name(other)


@given(st.text())
def test_no_text_breaks_the_rules(text):
    username_problem(text)
    assert folded_name(folded_name(text)) == folded_name(text)
