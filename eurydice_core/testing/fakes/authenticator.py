"""Identities by fixed words."""

from __future__ import annotations

from collections.abc import Mapping

from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity

__all__ = ["StaticAuthenticator"]


class StaticAuthenticator(Authenticator):
    """Knows whoever sends `Authorization: Static <word>` with one of these words."""

    def __init__(self, identities: Mapping[str, Identity]) -> None:
        self._identities = dict(identities)

    def authenticate(self, request: AuthenticationRequest) -> Identity | None:
        """Look the word up."""
        scheme, _, word = request.headers.get("authorization", "").partition(" ")
        return self._identities.get(word) if scheme == "Static" else None

    @property
    def challenge(self) -> str | None:
        """What a 401 asks for."""
        return "Static"
