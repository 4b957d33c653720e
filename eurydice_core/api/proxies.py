"""Decides whether a request was passed on by a reverse proxy whose headers are believed.

An address proves nothing: any program on the proxy's machine, and any location of the proxy
that forgets to replace a client's headers, has it too. So a proxy proves itself by the Unix
socket that only it may open, or by a secret that it adds to every request.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from loguru import logger
from starlette.types import Scope

from eurydice_core.api.networks import is_within
from eurydice_core.config import ApiSettings

__all__ = ["ProxyTrust"]


class ProxyTrust:
    """The proxies of one installation, and the secret that they share with it."""

    def __init__(self, settings: ApiSettings) -> None:
        self._networks = settings.trusted_proxies
        self._has_socket = settings.socket is not None
        self._secret_header = settings.proxy_secret_header.lower()
        secret = settings.proxy_secret
        self._secret = None if secret is None else secret.get_secret_value().encode()
        self._warned = False

    def is_proxy_address(self, address: str) -> bool:
        """Return whether proxies connect from this address; empty is the Unix socket."""
        return is_within(address, self._networks) if address else self._has_socket

    def is_proven(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Return whether the proxy's headers of this request are believed."""
        client = scope.get("client")
        address = str(client[0]) if client else ""
        if not self.is_proxy_address(address):
            return False
        if self._secret is None:
            return not address  # the socket's permissions say who may open it
        given = headers.get(self._secret_header, "").encode("latin-1", "replace")
        proven = secrets.compare_digest(given, self._secret)
        if not proven and given:
            self._warn_of_wrong_secret(address)
        return proven

    def without_secret(self, scope: Scope) -> Scope:
        """Return the scope without the secret's header, which nobody behind needs to see."""
        name = self._secret_header.encode()
        headers = scope["headers"]
        if all(key.lower() != name for key, _ in headers):
            return scope
        return {**scope, "headers": [pair for pair in headers if pair[0].lower() != name]}

    def _warn_of_wrong_secret(self, address: str) -> None:
        if not self._warned:  # once: a client could repeat it for ever
            self._warned = True
            logger.warning(
                "{} from {} does not hold [api] proxy_secret: nothing is believed of the proxy"
                " until it sends the same secret (said once)",
                self._secret_header,
                address or "the Unix socket",
            )
