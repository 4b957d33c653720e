"""Whether a request comes from a trusted proxy, and whom it names."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from loguru import logger

from eurydice_auth_remoteuser.settings import Settings
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.model.identity import AuthenticationRequest, Identity, Refusal
from eurydice_core.model.usernames import canonical_name, username_problem

__all__ = ["RemoteUserAuthenticator"]

MAX_HEADER_CHARS = 1024


class RemoteUserAuthenticator(Authenticator):
    """Believes one header, from the configured proxies only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warned = False

    def authenticate(self, request: AuthenticationRequest) -> Identity | Refusal | None:
        """Return whom the proxy names."""
        value = request.headers.get(self._settings.header, "")
        if not value:
            return None
        if not self._is_trusted(request):
            self._warn_of_stranger(request.client)
            return None
        is_repeated = self._settings.header in request.repeated
        if is_repeated or len(value) > MAX_HEADER_CHARS:
            what = "came more than once" if is_repeated else "is too long"
            return Refusal(reason=f"{self._settings.header} {what}")
        return self._identity(canonical_name(_as_utf8(value)).strip(" \t"))

    @property
    def challenge(self) -> None:
        """Nothing a client could do: signing in is the proxy's business."""
        return None

    def _is_trusted(self, request: AuthenticationRequest) -> bool:
        """Return whether a proxy that proved itself, and signs users in, sent the request."""
        if not request.from_proxy:
            return False
        proxies = self._settings.trusted_proxies
        if not proxies or not request.client:
            return True
        try:
            address = ip_address(request.client)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in proxies)

    def _warn_of_stranger(self, client: str) -> None:
        if not self._warned:  # once: a client could repeat it for ever
            self._warned = True
            logger.warning(
                "{} from {!r} is ignored: no trusted proxy that proved itself sent it (said once)",
                self._settings.header,
                client[:64],
            )

    def _identity(self, value: str) -> Identity | Refusal:
        settings, name = self._settings, value
        if settings.pattern is not None:
            found = settings.pattern.fullmatch(value)
            if found is None:
                return self._refusal(value, "it does not match pattern")
            name = found["name"] or ""
        elif settings.strip_realm is not None:
            name = value.removesuffix(f"@{settings.strip_realm}")
        problem = username_problem(name)
        if problem is not None:
            return self._refusal(name, problem)
        return Identity(username=name, create=settings.create_users, ignore_case=settings.fold_case)

    def _refusal(self, name: str, problem: str) -> Refusal:
        return Refusal(reason=f"{self._settings.header} names {name[:40]!a}: {problem}")


def _as_utf8(value: str) -> str:
    """Undo Latin-1, which HTTP servers read headers as, where the bytes are UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except ValueError:
        return value
