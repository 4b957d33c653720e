"""Users whom a proxy names: which accounts they get, and which not."""

from __future__ import annotations

import pytest
from loguru import logger

from eurydice_core.errors import Conflict, InvalidRequest
from eurydice_core.model.states import Side

ME = "/api/v1/user/me/"


@pytest.fixture
def lines():
    """The messages that are logged meanwhile."""
    records = []
    number = logger.add(lambda message: records.append(message.record["message"]), level="WARNING")
    yield records
    logger.remove(number)


@pytest.fixture
def make(make_bench, proxy_api):
    def make(**options):
        auth = {"plugins": ["auth_remoteuser"], "auth_remoteuser": options}
        bench = make_bench(Side.ORIGIN, auth=auth, api=proxy_api)
        bench.token = ""
        return bench

    return make


def ask(bench, name, **headers):
    response = bench.get(ME, headers={"X-Remote-User": name.encode(), **headers})
    return response.json()["username"] if response.status_code == 200 else response.status_code


def names(bench):
    return {account.username for account in bench.installation.accounts.list()}


def test_spellings_of_a_name_are_one_account(make):
    bench = make()
    for name in ("Carol", "carol", "CAROL", "\uff23arol"):
        assert ask(bench, name) == "carol"
    assert names(bench) == {"alice", "carol"}


@pytest.mark.parametrize("name", ["-", "\u0430lice", "al\u0456ce", "(null)", "a,b"])
def test_deceptive_name_makes_no_account(make, lines, name):
    bench = make()
    assert [ask(bench, name) for _ in range(20)] == [401] * 20
    assert names(bench) == {"alice"}
    assert len([line for line in lines if line.startswith("a user was refused: ")]) == 1


def test_account_in_another_case_is_neither_split_nor_doubled(make):
    bench = make()
    bench.user("Bob")
    assert [ask(bench, name) for name in ("Bob", "bob", "BOB")] == ["Bob"] * 3
    assert names(bench) == {"alice", "Bob"}


def test_accounts_that_were_apart_stay_apart(make, lines):
    bench = make()
    accounts = bench.installation.accounts
    accounts.add("Bob")
    accounts.add("bob", distinguish_case=True)
    assert [ask(bench, name) for name in ("Bob", "bob")] == ["Bob", "bob"]
    assert ask(bench, "BOB") == 401
    assert "could be any of" in lines[-1]


def test_inactive_account_is_not_replaced(make):
    bench = make()
    bench.user("bob")
    bench.installation.accounts.set_active("bob", False)
    assert [ask(bench, name) for name in ("bob", "Bob")] == [401, 401]
    assert names(bench) == {"alice", "bob"}


def test_directory_may_distinguish_case(make):
    bench = make(fold_case=False)
    assert [ask(bench, name) for name in ("Bob", "bob")] == ["Bob", "bob"]


def test_unknown_user_gets_no_account_where_none_are_made(make, lines):
    bench = make(create_users=False)
    assert ask(bench, "mallory") == 401
    assert ask(bench, "ALICE") == "alice"
    assert names(bench) == {"alice"}
    assert "there is no account 'mallory'" in lines[0]


@pytest.mark.parametrize("name", ["mallory", "m\u0430llory"])
def test_refused_user_does_not_use_the_session_of_another(make, name):
    bench = make(create_users=False)
    login = bench.get("/api/v1/user/login/", headers={"X-Remote-User": "alice"})
    session = login.headers.get_list("set-cookie")[0].partition(";")[0]
    bench.client.cookies.clear()
    assert bench.get(ME, headers={"Cookie": session}).status_code == 200
    assert ask(bench, name, Cookie=session) == 401


def test_name_with_spaces_is_an_account(make):
    assert ask(make(pattern="CN=(?P<name>[^,]+),O=Org"), "CN=Alice Liddell,O=Org") == (
        "alice liddell"
    )


@pytest.mark.parametrize("alike", ["ALICE", "Alice"])
def test_no_account_is_made_that_looks_like_another(origin, alike):
    accounts = origin.installation.accounts
    with pytest.raises(Conflict, match="would look like 'alice'"):
        accounts.add(alike)
    with pytest.raises(InvalidRequest, match="several scripts"):
        accounts.add("\u0430lice")
    with pytest.raises(InvalidRequest, match="write it as"):
        accounts.add("\uff41lice")
