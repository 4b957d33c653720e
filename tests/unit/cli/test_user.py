"""`eurydice migrate` and `eurydice user`."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from eurydice_core.config import load_settings
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.incoming import OriginProfile
from eurydice_core.installation import open_database, open_installation
from eurydice_core.origin.submit import Submission
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
        ["alice", "yes", "-2", "-", "-", "never"],
        ["bob", "yes", "0", "-", "yes", "never"],
    ]
    _, out, _ = origin("user", "list", "--json")
    assert json.loads(out)[1] == {
        "username": "bob",
        "active": True,
        "priority": 0,
        "staff": False,
        "metrics": True,
        "last_access": None,
    }


def test_a_token_is_all_there_is_on_the_standard_output(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    code, out, err = origin(
        "user", "token", "add", "alice", "--label", "script", "--expires", "30days"
    )
    assert code == 0
    assert accounts.by_token(out.removesuffix("\n")).username == "alice"
    assert "Authorization: Token" in err
    assert out.strip() not in err


def test_a_token_may_have_ended_already(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    _, out, _ = origin("user", "token", "add", "alice", "--expires", "0s")
    assert accounts.by_token(out.strip()) is None


def test_tokens_are_listed_without_themselves_and_end_when_revoked(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    assert origin("user", "token", "list", "alice") == (0, "", "alice has no tokens\n")
    _, first, _ = origin("user", "token", "add", "alice", "--label", "laptop")
    _, second, _ = origin("user", "token", "add", "alice", "--expires", "30days")
    _, out, _ = origin("user", "token", "list", "alice", "--json")
    known = json.loads(out)
    assert [each["label"] for each in known] == ["laptop", ""]
    assert known[0]["expires_at"] is None is not known[1]["expires_at"]
    _, table, _ = origin("user", "token", "list", "alice")
    assert table.splitlines()[1].split()[-2:] == ["never", "laptop"]
    assert first.strip() not in out + table
    code, out, _ = origin("user", "token", "revoke", "alice", str(known[0]["id"]))
    assert (code, out) == (0, f"token {known[0]['id']} of alice lets nobody in any more\n")
    assert accounts.by_token(first.strip()) is None
    assert accounts.by_token(second.strip()).username == "alice"


def test_only_a_users_own_tokens_are_revoked(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    origin("user", "add", "bob", "--no-password")
    token = accounts.issue_token("alice")
    (known,) = accounts.tokens("alice")
    code, _, err = origin("user", "token", "revoke", "bob", str(known.id))
    assert code == 1
    assert f"bob has no token {known.id}" in err
    assert accounts.by_token(token) is not None


def test_an_account_is_changed_in_what_was_said_only(origin, accounts):
    origin("user", "add", "alice", "--no-password", "--metrics")
    assert origin("user", "change", "alice", "--priority", "7", "--staff")[0] == 0
    alice = accounts.get("alice")
    assert (alice.priority, alice.is_staff, alice.sees_metrics) == (7, True, True)
    assert origin("user", "change", "alice", "--no-staff", "--no-metrics")[0] == 0
    alice = accounts.get("alice")
    assert (alice.priority, alice.is_staff, alice.sees_metrics) == (7, False, False)
    code, _, err = origin("user", "change", "alice")
    assert code == 2
    assert "say what is to change" in err
    assert origin("user", "change", "bob", "--staff")[0] == 1


def test_quotas_are_given_and_taken_back(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    origin("user", "change", "alice", "--quota-size", "10GB", "--quota-files", "unlimited")
    alice = accounts.get("alice")
    assert (alice.quota_size, alice.quota_files) == (10**10, -1)
    _, out, _ = origin("user", "show", "alice")
    assert "kept       0 B of 9.3 GiB" in out
    assert "files      0 in 24 hours, no quota" in out
    _, out, _ = origin("user", "show", "alice", "--json")
    shown = json.loads(out)
    assert (shown["quota_size"], shown["size_used"], shown["quota_files"]) == (10**10, 0, None)
    origin("user", "change", "alice", "--quota-size", "default", "--quota-files", "3")
    alice = accounts.get("alice")
    assert (alice.quota_size, alice.quota_files) == (None, 3)


@pytest.mark.parametrize(
    "option",
    [
        ("--quota-size", "much"),
        ("--quota-size", "99999999999TB"),
        ("--quota-files", "-1"),
        ("--quota-files", "1.5"),
        ("--quota-files", "99999999999"),
    ],
)
def test_nonsense_is_no_quota(origin, option):
    origin("user", "add", "alice", "--no-password")
    assert origin("user", "change", "alice", *option)[0] == 2


def test_an_account_is_switched_off_and_on(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    token = accounts.issue_token("alice")
    assert origin("user", "deactivate", "alice") == (0, "alice is let in no more\n", "")
    assert accounts.by_token(token) is accounts.find("alice") is None
    _, out, _ = origin("user", "list")
    assert out.splitlines()[1].split()[1] == "-"
    assert origin("user", "activate", "alice")[0] == 0
    assert accounts.by_token(token) == accounts.find("alice")


def test_an_account_is_removed_with_its_tokens(origin, accounts):
    origin("user", "add", "alice", "--no-password")
    token = accounts.issue_token("alice")
    assert origin("user", "remove", "alice") == (0, "removed alice\n", "")
    assert accounts.by_token(token) is None
    assert accounts.list() == []
    assert origin("user", "remove", "alice")[0] == 1


def test_an_account_with_files_stays(origin, accounts, tmp_path):
    origin("user", "add", "alice", "--no-password")
    with open_installation(load_settings(tmp_path / "eurydice.toml", {}).settings) as installation:
        Submission(installation, accounts.get("alice"), name="a file").finish()
    code, _, err = origin("user", "remove", "alice")
    assert code == 1
    assert "deactivate the account" in err
    assert accounts.find("alice") is not None


@pytest.fixture
def destination(eurydice):
    eurydice("init", "destination")
    eurydice("migrate")
    return eurydice


def test_the_destination_undoes_links(destination, eurydice, accounts):
    eurydice("user", "add", "carol", "--no-password")
    code, _, err = eurydice("user", "unlink", "carol")
    assert code == 1
    assert "linked to no origin account" in err
    profile = OriginProfile(
        profile=b"8 bytes!", user_id=accounts.get("carol").id, created_at=datetime.now(UTC)
    )
    with accounts._database.write() as session:
        session.add(profile)
    _, out, _ = eurydice("user", "unlink", "carol")
    assert out == "carol is linked to no origin account any more\n"
    with accounts._database.read() as session:
        assert session.get(OriginProfile, b"8 bytes!").user_id is None
    _, out, _ = eurydice("user", "show", "carol", "--json")
    assert "quota_size" not in json.loads(out)


def test_the_origin_knows_of_no_links(origin):
    code, _, err = origin("user", "unlink", "alice")
    assert code == 1
    assert "only the destination side" in err


def test_nonsense_is_no_duration(origin):
    code, _, err = origin("user", "token", "add", "alice", "--expires", "a while")
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
