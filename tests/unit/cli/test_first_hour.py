"""Mistakes of the first hour are met with the next step."""

from __future__ import annotations

import pytest


def test_an_unknown_command_suggests_the_nearest(eurydice):
    assert "Did you mean 'migrate'?" in eurydice("migate")[2]
    assert "Did you mean 'add'?" in eurydice("user", "ad")[2]
    assert "Did you mean '--staff'?" in eurydice("user", "add", "alice", "--staf")[2]


def test_advice_repeats_the_config_that_was_given(eurydice, tmp_path):
    place = tmp_path / "a b"
    eurydice("init", "origin", "--dir", place)
    config = place / "eurydice.toml"
    for arguments in (("--config", config), (f"--config={config}",)):
        _, _, err = eurydice(*arguments, "user", "list")
        assert err.endswith(f": run 'eurydice --config '{config}' migrate'\n")


def test_advice_without_a_config_names_none(eurydice):
    eurydice("init", "origin")
    assert eurydice("user", "list")[2].endswith(": run 'eurydice migrate'\n")


@pytest.mark.parametrize("text", ['a = "x\nb = 1\n', "a = 'x\nb = 1", 'a = """x\n', 'a = "x'])
def test_an_unclosed_quote_is_called_that(eurydice, tmp_path, text):
    (tmp_path / "eurydice.toml").write_text(text)
    code, _, err = eurydice("config", "check")
    assert code == 1
    assert err.endswith(": a text is not closed: its quote is missing at the end\n")


def test_a_destination_with_a_secret_of_its_own_is_warned(eurydice, tmp_path):
    _, _, err = eurydice("init", "destination", "--dir", tmp_path / "b")
    assert "the two sides will not understand each other" in err
    assert len(err.splitlines()) == 1
    secret = tmp_path / "b" / "link-secret.txt"
    assert eurydice("init", "destination", "--link-secret-file", secret)[2] == ""
    assert eurydice("init", "origin", "--dir", tmp_path / "a")[2] == ""


def test_next_steps_end_with_a_user_and_run(eurydice, tmp_path):
    place = tmp_path / "a b"
    _, out, _ = eurydice("init", "origin", "--dir", place)
    steps = [line.split(f" --config '{place}/eurydice.toml' ")[-1] for line in out.splitlines()]
    assert steps[-4:] == ["config check", "migrate", "user add NAME", "run"]
