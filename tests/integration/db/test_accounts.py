"""Accounts, passwords and tokens: what opens the door, and what does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database
from eurydice_core.db.schema import migrate
from eurydice_core.errors import Conflict, InvalidRequest, NotFound
from eurydice_core.model.states import Side


@pytest.fixture
def accounts(make_database):
    database = Database(make_database(Side.ORIGIN))
    migrate(database, Side.ORIGIN)
    yield Accounts(database)
    database.dispose()


def test_the_right_password_opens_and_any_other_does_not(accounts):
    accounts.add("alice", "correct horse")
    accounts.add("proxy-only")
    assert accounts.check_password("alice", "correct horse")
    for username, password in [
        ("alice", "correct hors"),
        ("alice", ""),
        ("nobody", "correct horse"),
        ("proxy-only", ""),
        ("alice", "x" * 5000),
    ]:
        assert not accounts.check_password(username, password)
    accounts.set_password("alice", "battery staple")
    assert not accounts.check_password("alice", "correct horse")
    assert accounts.check_password("alice", "battery staple")


@pytest.mark.parametrize("name", ["", "a" * 151, "a  b", "a\nb", "<script>"])
def test_names_that_would_confuse_are_refused(accounts, name):
    with pytest.raises(InvalidRequest, match="username"):
        accounts.add(name)


def test_short_passwords_and_taken_names_are_refused(accounts):
    with pytest.raises(InvalidRequest, match="8 to 1024"):
        accounts.add("alice", "short")
    accounts.add("alice")
    with pytest.raises(Conflict, match="exists already"):
        accounts.add("alice")
    with pytest.raises(NotFound, match="user list"):
        accounts.set_password("bob", "long enough")


def test_a_token_stands_for_its_user_until_it_expires(accounts):
    account = accounts.add("alice", is_staff=True)
    token = accounts.issue_token("alice", label="laptop")
    expired = accounts.issue_token("alice", lifetime=timedelta(seconds=-1))
    assert accounts.by_token(token) == account
    for wrong in (expired, "", "x", token[:-1], token.upper() + "\udc80"):
        assert accounts.by_token(wrong) is None


def test_neither_passwords_nor_tokens_are_in_the_database(accounts):
    accounts.add("alice", "correct horse")
    token = accounts.issue_token("alice")
    with accounts._database.read() as session:
        users = session.execute(text("SELECT * FROM users")).all()
        tokens = session.execute(text("SELECT * FROM api_tokens")).all()
    assert "correct horse" not in str(users)
    assert token not in str(tokens)
    assert bytes.fromhex(token) not in tokens[0]


def test_last_access_is_kept_to_the_minute(accounts):
    account = accounts.add("alice")
    token = accounts.issue_token("alice")
    accounts.note_access(account, token)
    seen = accounts.get("alice").last_access
    assert seen is not None
    accounts.note_access(accounts.by_token(token), token)
    assert accounts.get("alice").last_access == seen


def test_each_token_has_a_last_use_of_its_own(accounts):
    accounts.add("alice")
    first, second = accounts.issue_token("alice"), accounts.issue_token("alice")
    accounts.note_access(accounts.by_token(first), first)
    assert [token.last_used_at is None for token in accounts.tokens("alice")] == [False, True]
    accounts.note_access(accounts.by_token(second), second)
    used = [token.last_used_at for token in accounts.tokens("alice")]
    assert None not in used
    accounts.note_access(accounts.by_token(second), second)
    assert [token.last_used_at for token in accounts.tokens("alice")] == used


def test_an_account_that_is_switched_off_opens_nothing(accounts):
    accounts.add("alice", "correct horse")
    token = accounts.issue_token("alice")
    accounts.set_active("alice", False)
    assert accounts.find("alice") is accounts.by_token(token) is None
    assert not accounts.check_password("alice", "correct horse")
    with pytest.raises(Conflict):
        accounts.add("alice")
    assert not accounts.get("alice").is_active
    accounts.set_active("alice", True)
    assert accounts.by_token(token) == accounts.find("alice")


def test_users_are_listed_by_name(accounts):
    for name in ("carol", "alice", "bob"):
        accounts.add(name)
    assert [account.username for account in accounts.list()] == ["alice", "bob", "carol"]
    assert len({account.profile for account in accounts.list()}) == 3
