"""HTTP Basic, against the passwords of this installation."""

from __future__ import annotations

from eurydice_auth_basic.authenticator import BasicAuthenticator, Settings
from eurydice_auth_basic.credentials import Credentials, parse_authorization
from eurydice_core.hookspecs import AuthenticatorPlugin, hookimpl

__all__ = ["BasicAuthenticator", "Credentials", "Settings", "parse_authorization"]


@hookimpl
def eurydice_authenticator() -> AuthenticatorPlugin:
    """Offer HTTP Basic."""
    return AuthenticatorPlugin(
        name="auth_basic",
        summary="HTTP Basic, against the passwords of this installation.",
        settings=Settings,
        create=lambda settings, _: BasicAuthenticator(settings),
    )
