"""The static authenticator keeps what an authenticator promises, and the kit finds who does not."""

from __future__ import annotations

import pytest
from loguru import logger

from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity
from eurydice_core.testing.authenticator import AuthenticatorConformance
from eurydice_core.testing.fakes.authenticator import StaticAuthenticator


def request(authorization: str) -> AuthenticationRequest:
    return AuthenticationRequest(
        headers={"authorization": authorization},
        client="127.0.0.1",
        secure=True,
        check_password=lambda *_: False,
    )


class TestStaticAuthenticator(AuthenticatorConformance):
    @pytest.fixture
    def authenticator(self) -> Authenticator:
        return StaticAuthenticator({"sesame": Identity(username="alice")})

    @pytest.fixture
    def accepted_request(self) -> AuthenticationRequest:
        return request("Static sesame")


def test_unknown_word_is_nobody() -> None:
    authenticator = StaticAuthenticator({"sesame": Identity(username="alice")})
    assert authenticator.authenticate(request("Static barley")) is None


def test_kit_finds_a_logged_secret() -> None:
    class Chatty(StaticAuthenticator):
        def authenticate(self, request: AuthenticationRequest) -> Identity | None:
            logger.trace("request with {}", dict(request.headers))
            return super().authenticate(request)

    chatty = Chatty({"sesame": Identity(username="alice")})
    with pytest.raises(AssertionError, match="sesame"):
        AuthenticatorConformance().test_secrets_are_never_logged(chatty, request("Static sesame"))


def test_kit_finds_a_name_that_cannot_be_one() -> None:
    careless = StaticAuthenticator({"sesame": Identity(username="alice\n")})
    with pytest.raises(AssertionError):
        AuthenticatorConformance().test_accepted_request_has_an_author(
            careless, request("Static sesame")
        )
