"""`eurydice migrate` and `eurydice user`."""

from __future__ import annotations

import io
import json
import sys

import pytest

from eurydice_core.config import load_settings
from eurydice_core.db.accounts import Accounts
from eurydice_core.installation import open_database
from eurydice_core.protocol.association import WORD_COUNT


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def typed(monkeypatch):
    """Put something on the standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def accounts(tmp_path):
    with open_database(load_settings(tmp_path / "eurydice.toml", {}).settings) as database:
        yield Accounts(database)


@pytest.fixture
def origin(eurydice):
    eurydice("init", "origin")
    code, out, err = eurydice("migrate")
    assert (code, err) == (0, "")
    assert out.startswith("migrated sqlite:///")
    assert "no tables -> " in out
    return eurydice


def test_a_second_migration_has_nothing_to_do(origin):
    code, out, err = origin("migrate")
    assert (code, err) == (0, "")
    assert out.startswith("already up to date: sqlite:///")
    _, out, _ = origin("migrate", "--json")
    facts = json.loads(out)
    assert facts["before"] == facts["after"] is not None


def test_a_database_of_the_other_side_is_refused(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("EURYDICE_SIDE", "destination")
    code, _, err = origin("migrate")
    assert code == 1
    assert "does not belong to the destination side" in err


def test_users_need_a_database_that_is_ready(eurydice):
    eurydice("init", "origin")
    code, out, err = eurydice("user", "list")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "run 'eurydice migrate'" in err


def test_a_password_comes_by_the_standard_input(origin, accounts, typed):
    typed("correct horse\r\nsecond line\n")
    assert origin("user", "add", "alice", "--password-stdin", "--priority", "3", "--staff") == (
        0,
        "added alice on the origin side\n",
        "",
    )
    assert accounts.check_password("alice", "correct horse")
    alice = accounts.get("alice")
    assert (alice.priority, alice.is_staff, alice.sees_metrics) == (3, True, False)


def test_a_password_is_asked_for_twice_at_a_terminal(origin, accounts, monkeypatch):
    answers = iter(["battery staple", "battery stable", "battery staple", "battery staple"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _prompt: next(answers))
    code, _, err = origin("user", "add", "alice")
    assert code == 0
    assert "do not match" in err
    assert accounts.check_password("alice", "battery staple")


def test_without_a_terminal_nobody_is_asked(origin, typed):
    typed("")
    code, out, err = origin("user", "add", "alice")
    assert (code, out) == (1, "")
    assert "--password-stdin or --no-password" in err
    assert origin("user", "list") == (
        0,
        "",
        "no accounts; make one with 'eurydice user add NAME'\n",
    )


@pytest.mark.parametrize("password", ["", "short", "1234567\n"])
def test_a_password_that_is_too_short_makes_no_account(origin, accounts, typed, password):
    typed(password)
    code, _, err = origin("user", "add", "alice", "--password-stdin")
    assert code == 1
    assert "the password needs 8 to" in err
    assert accounts.list() == []


def test_a_name_is_taken_only_once(origin):
    assert origin("user", "add", "alice", "--no-password")[0] == 0
    code, _, err = origin("user", "add", "alice", "--no-password")
    assert (code, err) == (1, "eurydice: error: user 'alice' exists already\n")


def test_a_password_is_set(origin, accounts, typed):
    origin("user", "add", "alice", "--no-password")
    assert not accounts.check_password("alice", "correct horse")
    typed("correct horse")
    assert origin("user", "password", "alice", "--password-stdin")[0] == 0
    assert accounts.check_password("alice", "correct horse")
    code, _, err = origin("user", "password", "bob", "--password-stdin")
    assert code == 1
    assert "no user 'bob'" in err


def test_the_list_shows_everybody(origin):
    origin("user", "add", "bob", "--no-password", "--metrics")
    origin("user", "add", "alice", "--no-password", "--priority", "-2")
    _, out, _ = origin("user", "list")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["alice", "-2", "-", "-", "never"],
        ["bob", "0", "-", "yes", "never"],
    ]
    _, out, _ = origin("user", "list", "--json")
    assert json.loads(out)[1] == {
        "username": "bob",
        "priority": 0,
        "staff": False,
        "metrics": True,
        "last_access": None,
    }


def test_a_token_is_all_there_is_on_the_standard_output(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    code, out, err = origin("user", "token", "alice", "--label", "script", "--expires", "30days")
    assert code == 0
    assert accounts.by_token(out.removesuffix("\n")).username == "alice"
    assert "Authorization: Token" in err
    assert out.strip() not in err


def test_a_token_may_have_ended_already(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    _, out, _ = origin("user", "token", "alice", "--expires", "0s")
    assert accounts.by_token(out.strip()) is None


def test_nonsense_is_no_duration(origin):
    code, _, err = origin("user", "token", "alice", "--expires", "a while")
    assert code == 2
    assert "is not a duration" in err


def test_the_origin_gives_out_words(origin, eurydice, monkeypatch):
    origin("user", "add", "alice", "--no-password")
    code, out, err = origin("user", "words", "alice")
    assert code == 0
    assert len(out.split()) == WORD_COUNT
    assert err.startswith("good until ")


def test_the_destination_gives_out_no_words(eurydice):
    eurydice("init", "destination")
    eurydice("migrate")
    code, _, err = eurydice("user", "words", "alice")
    assert code == 1
    assert "only the origin side" in err
