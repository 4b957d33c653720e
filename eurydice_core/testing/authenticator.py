"""What every authenticator must do, as tests to inherit."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType

import pytest
from loguru import logger

from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity, Refusal
from eurydice_core.testing.kit import ConformanceKit

__all__ = ["HOSTILE_VALUES", "AuthenticatorConformance"]

MAX_USERNAME = 150

HOSTILE_VALUES = [
    "",
    " ",
    ",",
    ":",
    "\0",
    "\r\nX-Injected: 1",
    "Basic",
    "Basic ",
    "Basic Og==",
    "Basic =",
    "Basic ====",
    "Basic not base64!",
    "Basic gICAgDpwYXNz",
    "Bearer",
    "Token " + "f" * 40,
    "Negotiate YIIJ",
    "\udcff\ud800",
    "é\u202e\u200b",
    "a" * 1_000_000,
    "Basic " + "QTpC" * 250_000,
    "../../etc/passwd",
    "' OR 1=1 --",
    "{0} %s ${jndi:x} <b>",
]
HOSTILE_CLIENTS = ["", "unknown", "999.1.1.1", "::1%lo", "127.0.0.1:80", "\0", "1" * 10_000]


class AuthenticatorConformance(ConformanceKit):
    """Whatever a request contains, nothing breaks and no secret gets out.

    A subclass gives the fixtures `authenticator` and `accepted_request`: a request that
    this authenticator recognises.
    """

    def secrets(self, request: AuthenticationRequest) -> Sequence[str]:
        """Return what of the accepted request must never be logged; by default, credentials."""
        credentials = request.headers.get("authorization", "")
        return [part for part in (credentials, credentials.partition(" ")[2]) if part]

    def test_accepted_request_has_an_author(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        identity = authenticator.authenticate(accepted_request)
        assert isinstance(identity, Identity)
        assert_sound(identity)

    def test_author_is_the_same_each_time(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(authenticator.authenticate, [accepted_request] * 16))
        assert len(found) == 1

    def test_request_without_headers_says_nothing(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        assert authenticator.authenticate(with_headers(accepted_request, {})) is None

    def test_request_is_left_as_it_is(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        sealed = with_headers(accepted_request, MappingProxyType(dict(accepted_request.headers)))
        assert authenticator.authenticate(sealed) is not None

    @pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: ascii(value[:24]))
    def test_hostile_header_is_no_error(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest, value: str
    ) -> None:
        for name in (*accepted_request.headers, "authorization", "cookie", "x-remote-user"):
            headers = {**accepted_request.headers, name: value}
            assert_sound(authenticator.authenticate(with_headers(accepted_request, headers)))

    def test_cut_header_is_no_error(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        for name, value in accepted_request.headers.items():
            for length in range(min(len(value), 200)):
                headers = {**accepted_request.headers, name: value[:length]}
                assert_sound(authenticator.authenticate(with_headers(accepted_request, headers)))

    def test_header_sent_twice_is_refused(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        headers = {name: f"{value}, {value}" for name, value in accepted_request.headers.items()}
        repeated = with_headers(accepted_request, headers)
        for names in (frozenset(), frozenset(headers)):
            request = dataclasses.replace(repeated, repeated=names)
            assert not isinstance(authenticator.authenticate(request), Identity)

    @pytest.mark.parametrize("client", HOSTILE_CLIENTS, ids=lambda client: ascii(client[:24]))
    def test_odd_client_address_is_no_error(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest, client: str
    ) -> None:
        request = dataclasses.replace(accepted_request, client=client, secure=False)
        assert_sound(authenticator.authenticate(request))

    def test_proxy_that_did_not_prove_itself_is_not_believed(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        if accepted_request.from_proxy:
            forged = dataclasses.replace(accepted_request, from_proxy=False)
            assert not isinstance(authenticator.authenticate(forged), Identity)

    def test_secrets_are_never_logged(
        self, authenticator: Authenticator, accepted_request: AuthenticationRequest
    ) -> None:
        secrets = self.secrets(accepted_request)
        refused = dataclasses.replace(accepted_request, check_password=lambda *_: False)
        remote = dataclasses.replace(accepted_request, client="192.0.2.1", secure=False)
        with recorded_logs() as lines:
            for request in (accepted_request, refused, remote):
                authenticator.authenticate(request)
        leaks = [line for line in lines for secret in secrets if secret in line]
        assert not leaks, f"logged with a secret: {leaks}"

    def test_challenge_is_a_header_value(self, authenticator: Authenticator) -> None:
        challenge = authenticator.challenge
        if challenge is not None:
            assert challenge.isascii()
            assert challenge.isprintable()
            assert challenge == challenge.strip() != ""


def with_headers(
    request: AuthenticationRequest, headers: Mapping[str, str]
) -> AuthenticationRequest:
    """Return the same request with other headers."""
    return dataclasses.replace(request, headers=headers)


def assert_sound(identity: Identity | Refusal | None) -> None:
    """Fail if this is somebody whose name could not be a user name."""
    if isinstance(identity, Identity):
        assert 0 < len(identity.username) <= MAX_USERNAME
        assert identity.username.isprintable(), ascii(identity.username)
        assert identity.username == identity.username.strip()


@contextmanager
def recorded_logs() -> Iterator[list[str]]:
    """Collect all that is logged, whatever its level, with loguru or logging."""
    lines: list[str] = []
    root, handler = logging.getLogger(), _ListHandler(lines)
    level = root.level
    sink = logger.add(
        lambda message: lines.append(str(message)), level=0, format="{message}{extra}"
    )
    root.addHandler(handler)
    root.setLevel(1)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        logger.remove(sink)


class _ListHandler(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(level=1)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
