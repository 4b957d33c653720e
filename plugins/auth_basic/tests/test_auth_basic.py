"""HTTP Basic takes the right password over a private line, and nothing else."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from pydantic import ValidationError

from eurydice_auth_basic import (
    BasicAuthenticator,
    Settings,
    eurydice_authenticator,
    parse_authorization,
)
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity
from eurydice_core.testing.authenticator import AuthenticatorConformance

PASSWORDS = {"alice": "s3cret:with colons:", "bøb": "pässwörd", "quiet": ""}


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def request(
    authorization: str, *, client: str = "192.0.2.7", secure: bool = True, **headers: str
) -> AuthenticationRequest:
    return AuthenticationRequest(
        headers={"authorization": authorization, **headers},
        client=client,
        secure=secure,
        check_password=lambda name, word: PASSWORDS.get(name) == word,
    )


ALICE = basic("alice", PASSWORDS["alice"])


class TestBasicAuthenticator(AuthenticatorConformance):
    @pytest.fixture
    def authenticator(self) -> Authenticator:
        return BasicAuthenticator(Settings())

    @pytest.fixture
    def accepted_request(self) -> AuthenticationRequest:
        return request(ALICE)

    def secrets(self, request: AuthenticationRequest) -> list[str]:
        return [*super().secrets(request), PASSWORDS["alice"]]


@pytest.fixture
def authenticator() -> BasicAuthenticator:
    return BasicAuthenticator(Settings())


@pytest.mark.parametrize("username", PASSWORDS)
def test_right_password_is_accepted_and_no_account_is_made(authenticator, username):
    found = authenticator.authenticate(request(basic(username, PASSWORDS[username])))
    assert found == Identity(username=username, create=False)


@pytest.mark.parametrize(
    "header", [basic("alice", "wrong"), basic("mallory", "x"), basic("alice", "")]
)
def test_wrong_password_is_refused(authenticator, header):
    assert authenticator.authenticate(request(header)) is None


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic", "Basic "])
def test_scheme_is_read_whatever_its_case_and_spaces(scheme):
    credentials = parse_authorization(f"{scheme} {ALICE.partition(' ')[2]}")
    assert credentials is not None
    assert credentials.username == "alice"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer " + ALICE.partition(" ")[2],
        ALICE.replace(" ", "\t"),
        ALICE + "!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b":password of nobody").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:not UTF-8").decode(),
        basic("al\nice", "x"),
        basic("alice ", "x"),
        basic("alice", "with\0zero"),
        basic("alice", "with\x7fdelete"),
        basic("a" * 151, "x"),
        basic("alice", "x" * 1025),
        "Basic " + "A" * 8192,
    ],
)
def test_malformed_header_says_nothing(header):
    assert parse_authorization(header) is None


@given(
    username=st.text(
        st.characters(exclude_categories=["C", "Z"], exclude_characters=":"),
        min_size=1,
        max_size=150,
    ),
    password=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=1024),
)
def test_every_proper_name_and_password_is_read_back(username, password):
    credentials = parse_authorization(basic(username, password))
    if len(basic(username, password)) <= 8192:
        assert credentials is not None
        assert (credentials.username, credentials.password) == (username, password)


@given(st.text() | st.binary().map(lambda raw: "Basic " + base64.b64encode(raw).decode()))
def test_no_header_raises(header):
    parse_authorization(header)


@pytest.mark.parametrize("client", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "", "odd"])
def test_plain_http_from_elsewhere_is_refused(authenticator, client):
    assert authenticator.authenticate(request(ALICE, client=client, secure=False)) is None


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_plain_http_from_this_machine_is_accepted(authenticator, client):
    assert authenticator.authenticate(request(ALICE, client=client, secure=False))


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_plain_http_through_a_proxy_of_this_machine_is_refused(authenticator, name):
    proxied = request(ALICE, client="127.0.0.1", secure=False, **{name: "203.0.113.9"})
    assert authenticator.authenticate(proxied) is None
    assert authenticator.authenticate(dataclasses.replace(proxied, secure=True))


def test_password_over_plain_http_is_not_even_checked(authenticator):
    def fail(*_: str) -> bool:
        pytest.fail("the password was looked at")

    refused = dataclasses.replace(request(ALICE, secure=False), check_password=fail)
    assert authenticator.authenticate(refused) is None


def test_refusal_of_plain_http_is_logged_once(authenticator):
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    for _ in range(3):
        authenticator.authenticate(request(ALICE, secure=False))
    logger.remove(sink)
    assert len(lines) == 1
    assert "allow_http" in lines[0]


def test_plain_http_is_accepted_where_settings_allow_it():
    authenticator = BasicAuthenticator(Settings(allow_http=True))
    assert authenticator.authenticate(request(ALICE, secure=False))


def test_challenge_names_the_realm():
    assert BasicAuthenticator(Settings()).challenge == 'Basic realm="api"'
    assert BasicAuthenticator(Settings(realm="Our gate")).challenge == 'Basic realm="Our gate"'


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "", "é"])
def test_realm_that_would_break_the_header_is_refused(realm):
    with pytest.raises(ValidationError):
        Settings(realm=realm)


def test_password_stays_out_of_repr():
    assert "s3cret" not in repr(parse_authorization(ALICE))


def test_plugin_creates_the_authenticator():
    plugin = eurydice_authenticator()
    assert isinstance(plugin.create(plugin.settings(), None), BasicAuthenticator)
