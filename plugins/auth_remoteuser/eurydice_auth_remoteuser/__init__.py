"""The identity that a trusted reverse proxy has established."""

from __future__ import annotations

from eurydice_auth_remoteuser.authenticator import RemoteUserAuthenticator
from eurydice_auth_remoteuser.settings import Settings
from eurydice_core.hookspecs import AuthenticatorPlugin, hookimpl

__all__ = ["RemoteUserAuthenticator", "Settings"]


@hookimpl
def eurydice_authenticator() -> AuthenticatorPlugin:
    """Offer the identity in a header of a reverse proxy."""
    return AuthenticatorPlugin(
        name="auth_remoteuser",
        summary="The identity that a trusted reverse proxy has established.",
        settings=Settings,
        create=lambda settings, _: RemoteUserAuthenticator(settings),
        needs_proxy=True,
    )
