"""A header is believed from the configured proxies, and from nobody else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eurydice_auth_remoteuser import RemoteUserAuthenticator, Settings, eurydice_authenticator
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity, Refusal
from eurydice_core.testing.authenticator import AuthenticatorConformance


def request(
    value: str,
    *,
    client: str = "127.0.0.1",
    header: str = "x-remote-user",
    from_proxy: bool = True,
) -> AuthenticationRequest:
    def fail(*_: str) -> bool:
        pytest.fail("there is no password to check")

    return AuthenticationRequest(
        headers={header: value},
        client=client,
        secure=True,
        from_proxy=from_proxy,
        check_password=fail,
    )


def username(value: str, **settings: object) -> str | None:
    found = RemoteUserAuthenticator(Settings(**settings)).authenticate(request(value))
    return found.username if isinstance(found, Identity) else None


def reason(value: str, **settings: object) -> str:
    found = RemoteUserAuthenticator(Settings(**settings)).authenticate(request(value))
    assert isinstance(found, Refusal)
    return found.reason


class TestRemoteUserAuthenticator(AuthenticatorConformance):
    @pytest.fixture
    def authenticator(self) -> Authenticator:
        return RemoteUserAuthenticator(Settings())

    @pytest.fixture
    def accepted_request(self) -> AuthenticationRequest:
        return request("alice")


@pytest.mark.parametrize("create", [True, False])
def test_unknown_user_gets_an_account_where_settings_say_so(create):
    authenticator = RemoteUserAuthenticator(Settings(create_users=create))
    expected = Identity(username="alice", create=create, ignore_case=True)
    assert authenticator.authenticate(request("alice")) == expected


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "10.1.2.3", ""])
def test_unproven_proxy_is_not_believed(client):
    for settings in (Settings(), Settings(trusted_proxies=["127.0.0.1", "::1", "10.1.2.3"])):
        found = RemoteUserAuthenticator(settings).authenticate(
            request("alice", client=client, from_proxy=False)
        )
        assert found is None


@pytest.mark.parametrize("client", ["127.0.0.1", "10.1.2.3", ""])
def test_every_proven_proxy_signs_users_in_by_default(client):
    assert RemoteUserAuthenticator(Settings()).authenticate(request("alice", client=client))


def test_configured_proxies_alone_sign_users_in():
    authenticator = RemoteUserAuthenticator(Settings(trusted_proxies=["10.1.0.0/16", "fd00::7"]))
    for client in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7", ""):
        assert authenticator.authenticate(request("alice", client=client))
    for client in ("10.2.0.1", "fd00::8", "127.0.0.1", "localhost", "10.1.2.3, 192.0.2.1"):
        assert authenticator.authenticate(request("alice", client=client)) is None


@pytest.mark.parametrize("spelling", ["10.1.0.0/16, fd00::7", '["10.1.0.0/16", "fd00::7"]'])
def test_list_of_proxies_may_come_from_the_environment(spelling):
    expected = Settings(trusted_proxies=["10.1.0.0/16", "fd00::7"])
    assert Settings(trusted_proxies=spelling) == expected


@pytest.mark.parametrize("networks", ["[", ["nonsense"], ["10.0.0.1/8"]])
def test_list_of_proxies_must_make_sense(networks):
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=networks)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("X-Remote-User", "x-remote-user"),
        ("HTTP_X_REMOTE_USER", "x-remote-user"),
        ("HTTP_REMOTE_USER", "remote-user"),
        ("REMOTE_USER", "remote-user"),
        ("Xq7Zt", "xq7zt"),
    ],
)
def test_header_may_be_spelt_in_either_way(spelling, name):
    authenticator = RemoteUserAuthenticator(Settings(header=spelling))
    assert authenticator.authenticate(request("alice", header=name))


@pytest.mark.parametrize("spelling", ["", "HTTP_", "X Remote", "X:User", "X-Üser"])
def test_impossible_header_is_refused(spelling):
    with pytest.raises(ValidationError, match="header"):
        Settings(header=spelling)


def test_header_with_underscores_is_another_header():
    authenticator = RemoteUserAuthenticator(Settings())
    assert authenticator.authenticate(request("mallory", header="x_remote_user")) is None


@pytest.mark.parametrize(
    "value", ["alice, mallory", ",", " ", "al\0ice", "al\nice", "a" * 151, "\u202eecila"]
)
def test_value_that_is_not_one_name_is_refused(value):
    assert username(value) is None


@pytest.mark.parametrize("name", ["alice", "Alice Liddell", "alice@EXAMPLE.ORG", "a" * 150, "él"])
def test_name_is_taken_as_it_is(name):
    assert username(name) == name


def test_utf8_read_as_latin1_is_repaired():
    assert username("éloïse".encode().decode("latin-1")) == "éloïse"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("alice@EXAMPLE.ORG", "alice"),
        ("alice", "alice"),
        ("alice@OTHER.ORG", "alice@OTHER.ORG"),
        ("alice@SUB.EXAMPLE.ORG", "alice@SUB.EXAMPLE.ORG"),
        ("@EXAMPLE.ORG", None),
    ],
)
def test_only_the_configured_realm_is_taken_off(value, name):
    assert username(value, strip_realm="EXAMPLE.ORG") == name


README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(
    r"^\| `([^`]+)` \| `([^`]+)` \| `pattern = '([^']+)'` \|$", README, re.MULTILINE
)


def test_readme_has_an_example_of_each_form():
    assert [value for value, _, _ in EXAMPLES] == [
        "CORP\\alice",
        "alice@EXAMPLE.ORG",
        "CN=alice,O=Org",
        "CN=Alice Liddell,O=Org",
    ]


@pytest.mark.parametrize(("value", "name", "pattern"), EXAMPLES)
def test_example_of_a_pattern_takes_the_name(value, name, pattern):
    assert username(value, pattern=pattern) == name
    for other in (f"{value}x@y", f"{value}\\n", name[::-1], "", f"{value}, {value}"):
        assert username(other, pattern=pattern) is None


@pytest.mark.parametrize("pattern", ["(?P<user>.*)", ".*", "(?P<name>"])
def test_pattern_without_a_name_is_refused(pattern):
    with pytest.raises(ValidationError, match="pattern"):
        Settings(pattern=pattern)


def test_pattern_and_strip_realm_exclude_each_other():
    with pytest.raises(ValidationError, match="exclude each other"):
        Settings(pattern="(?P<name>.*)", strip_realm="EXAMPLE.ORG")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("-", "no letter and no digit"),
        ("(null)", "use 1 to 150"),
        ("\u0430lice", "mixes letters of several scripts: cyrillic, latin"),
        ("al\u03b9ce", "mixes letters of several scripts: greek, latin"),
        ("alice\u202e", "use 1 to 150"),
        ("CORP\\alice", "use 1 to 150"),
        ("a  b", "use 1 to 150"),
    ],
)
def test_name_that_deceives_is_refused_with_its_reason(value, why):
    found = reason(value.encode().decode("latin-1"))
    assert why in found
    assert found.isascii()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("\uff41\uff4c\uff49\uff43\uff45", "alice"),
        ("e\u0301loi\u0308se", "\u00e9lo\u00efse"),
        ("\u0438\u0432\u0430\u043d", "\u0438\u0432\u0430\u043d"),
        ("\u6771\u4eac\u30bf\u30ef", "\u6771\u4eac\u30bf\u30ef"),
    ],
)
def test_names_are_normalized(value, name):
    found = username(value.encode().decode("latin-1"))
    assert found == name


def test_header_that_came_twice_is_refused():
    found = RemoteUserAuthenticator(Settings(pattern="CN=(?P<name>[^,]+).*")).authenticate(
        dataclasses.replace(request("CN=alice, CN=root"), repeated=frozenset({"x-remote-user"}))
    )
    assert isinstance(found, Refusal)
    assert "more than once" in found.reason


def test_case_may_be_distinguished():
    found = RemoteUserAuthenticator(Settings(fold_case=False)).authenticate(request("Alice"))
    assert found == Identity(username="Alice", create=True, ignore_case=False)


@given(st.text(), st.text())
def test_no_request_raises(value, client):
    RemoteUserAuthenticator(Settings()).authenticate(request(value, client=client))
    RemoteUserAuthenticator(Settings()).authenticate(request(value))


def test_there_is_no_challenge():
    assert RemoteUserAuthenticator(Settings()).challenge is None


def test_plugin_creates_the_authenticator():
    plugin = eurydice_authenticator()
    assert isinstance(plugin.create(plugin.settings(), None), RemoteUserAuthenticator)
