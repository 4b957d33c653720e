"""Whether a request carries a name and its password, over a line that keeps them secret."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from loguru import logger
from pydantic import Field

from eurydice_auth_basic.credentials import parse_authorization
from eurydice_core.hookspecs import PluginSettings
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity

__all__ = ["BasicAuthenticator", "Settings"]

FORWARDING_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-real-ip")
"""What a reverse proxy adds; the user behind one is elsewhere."""


class Settings(PluginSettings):
    """The keys of `[auth.auth_basic]`."""

    realm: str = Field(
        "api",
        pattern=r"^[ !#-\[\]-~]+$",
        description="Shown by browsers where they ask for the password.",
    )
    allow_http: bool = Field(
        False,
        description="Take passwords over plain HTTP from other machines too, where anybody on"
        " the way can read them.",
    )


class BasicAuthenticator(Authenticator):
    """HTTP Basic; a password is looked at only if nobody else could read it on its way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warned = False

    def authenticate(self, request: AuthenticationRequest) -> Identity | None:
        """Return whose name and password these are."""
        credentials = parse_authorization(request.headers.get("authorization", ""))
        if credentials is None or not self._is_private(request):
            return None
        if not request.check_password(credentials.username, credentials.password):
            return None
        return Identity(username=credentials.username)

    @property
    def challenge(self) -> str:
        """What makes a browser ask for a password."""
        return f'Basic realm="{self._settings.realm}"'

    def _is_private(self, request: AuthenticationRequest) -> bool:
        if request.secure or self._settings.allow_http or _is_this_machine(request):
            return True
        if not self._warned:  # once is enough, and a client could repeat it for ever
            self._warned = True
            logger.warning(
                "a password sent over plain HTTP was refused: use HTTPS, or set allow_http in"
                " [auth.auth_basic]"
            )
        return False


def _is_this_machine(request: AuthenticationRequest) -> bool:
    """Whether the user is on this machine, so that no network sees the password."""
    if any(name in request.headers for name in FORWARDING_HEADERS):
        return False
    try:
        address = ip_address(request.client)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
