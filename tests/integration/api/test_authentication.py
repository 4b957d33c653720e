"""Who gets in, as whom, and what every answer says about it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from eurydice_core.api.passwords import PasswordCheck
from eurydice_core.db.tables import User
from eurydice_core.errors import ConfigurationError
from eurydice_core.hookspecs import AuthenticatorPlugin, PluginSettings, hookimpl
from eurydice_core.model.identity import Identity
from eurydice_core.model.states import Side
from eurydice_core.testing.fakes.authenticator import StaticAuthenticator

ME = "/api/v1/user/me/"
PASSWORD = "correct horse"


def basic(username, password):
    return {
        "Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    }


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer"])
def test_a_token_lets_its_user_in(origin, scheme):
    response = origin.get(ME, headers={"Authorization": f"{scheme} {origin.token}"})
    assert response.status_code == 200
    assert response.json() == {"username": "alice"}
    assert response.headers["Authenticated-User"] == "alice"


@pytest.mark.parametrize(
    "authorization", ["", "Token", "Token x", "Bearer x", "Basic x", "Magic x"]
)
def test_nobody_else_gets_in(origin, authorization):
    response = origin.get(ME, headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.headers.get_list("www-authenticate") == ['Basic realm="api"', "Token"]
    assert response.headers["content-type"] == "application/problem+json"
    assert "Authenticated-User" not in response.headers


def test_a_token_that_expired_lets_nobody_in(origin):
    origin.token = origin.installation.accounts.issue_token("alice", lifetime=timedelta(seconds=-1))
    assert origin.get(ME).status_code == 401


@pytest.fixture
def with_password(origin):
    origin.installation.accounts.set_password("alice", PASSWORD)
    return origin


def test_a_password_lets_its_user_in(with_password, origin):
    assert origin.get(ME, headers=basic("alice", PASSWORD)).json() == {"username": "alice"}
    assert origin.get(ME, headers=basic("alice", "wrong password")).status_code == 401
    assert origin.get(ME, headers=basic("bob", PASSWORD)).status_code == 401


def test_a_password_is_computed_once_and_forgotten_when_it_changes(
    with_password, origin, monkeypatch
):
    check = PasswordCheck(origin.installation)
    computed = []
    real = origin.installation.accounts.check_password

    def counting(username, password):
        computed.append(username)
        return real(username, password)

    monkeypatch.setattr(origin.installation.accounts, "check_password", counting)
    assert [check("alice", PASSWORD) for _ in range(3)] == [True] * 3
    assert len(computed) == 1
    origin.installation.accounts.set_password("alice", "another horse")
    assert not check("alice", PASSWORD)
    assert check("alice", "another horse")
    assert len(computed) == 3


def test_a_wrong_password_is_never_remembered(with_password, origin):
    check = PasswordCheck(origin.installation)
    assert not check("alice", "wrong password")
    assert not check("alice", "wrong password")
    assert check("alice", PASSWORD)


class Doorman:
    """An authenticator plugin that knows words."""

    def __init__(self, **identities):
        self.identities = identities

    @hookimpl
    def eurydice_authenticator(self):
        return AuthenticatorPlugin(
            name="doorman",
            summary="Knows words, for tests.",
            settings=PluginSettings,
            create=lambda settings, context: StaticAuthenticator(self.identities),
        )


@pytest.fixture
def door(make_bench):
    doorman = Doorman(
        new=Identity(username="newcomer", create=True),
        stranger=Identity(username="stranger"),
        odd=Identity(username="not/a/name", create=True),
    )
    return make_bench(Side.ORIGIN, plugins=(("doorman", doorman),), auth={"plugins": ["doorman"]})


def test_users_sign_in_when_they_come_and_when_they_come_back(door):
    for _ in range(3):
        door.get(ME, headers={"Authorization": "Static new"})
    door.get(ME, headers={"Authorization": "Static nonsense"})
    long_ago = datetime.now(UTC) - timedelta(minutes=31)
    with door.installation.database.write() as session:
        session.execute(update(User).values(last_access=long_ago))
    for _ in range(3):
        door.get(ME, headers={"Authorization": "Static new"})
    assert door.sign_ins() == ["newcomer", "newcomer"]


def test_an_authenticator_may_make_the_account(door):
    for _ in range(2):
        response = door.get(ME, headers={"Authorization": "Static new"})
        assert response.json() == {"username": "newcomer"}
    assert door.installation.accounts.find("newcomer").last_access is not None


@pytest.mark.parametrize("word", ["stranger", "odd"])
def test_a_recognised_user_without_account_does_not_get_in(door, word):
    response = door.get(ME, headers={"Authorization": f"Static {word}"})
    assert response.status_code == 401
    assert response.headers.get_list("www-authenticate") == ["Static", "Token"]


def test_access_is_noted(origin):
    assert origin.installation.accounts.get("alice").last_access is None
    origin.get(ME)
    assert origin.installation.accounts.get("alice").last_access is not None


def test_every_answer_to_a_known_user_names_them(origin):
    missing = origin.get("/api/v1/transferables/nothing/")
    assert missing.status_code == 404
    assert missing.headers["Authenticated-User"] == "alice"


def test_a_remote_user_header_counts_from_its_proxy_only(make_bench, proxy_api):
    for address, status in (("127.0.0.1", 200), ("10.0.0.2", 401)):
        bench = make_bench(
            Side.ORIGIN,
            client_address=address,
            auth={"plugins": ["auth_remoteuser"]},
            api=proxy_api,
        )
        bench.token = ""
        response = bench.get(ME, headers={"X-Remote-User": "carol"})
        assert response.status_code == status


def test_authenticator_that_needs_a_proxy_is_refused_without_one(make_bench):
    with pytest.raises(ConfigurationError, match=r"set \[api\] socket, or"):
        make_bench(Side.ORIGIN, auth={"plugins": ["auth_remoteuser"]})


@pytest.mark.parametrize("side", Side)
def test_a_user_fetches_and_renews_a_token(make_bench, side):
    bench = make_bench(side)
    first = bench.get("/api/v1/user/token/").json()["token"]
    assert bench.get("/api/v1/user/token/").json()["token"] == first
    second = bench.delete("/api/v1/user/token/").json()["token"]
    assert second != first
    bench.token, issued = first, bench.token
    assert bench.get(ME).status_code == 401
    bench.token = second
    assert bench.get(ME).status_code == 200
    bench.token = issued  # tokens that an administrator gave are not touched
    assert bench.get(ME).status_code == 200


def test_a_fetched_token_is_only_its_users(origin):
    origin.user("bob")
    first = origin.get("/api/v1/user/token/").json()["token"]
    origin.sign_in("bob")
    origin.token = origin.get("/api/v1/user/token/").json()["token"]
    assert origin.token != first
    assert origin.get(ME).json() == {"username": "bob"}
