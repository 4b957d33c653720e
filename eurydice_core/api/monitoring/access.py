"""Who may read what operators watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.types import Scope

from eurydice_core.api.networks import Network, is_within
from eurydice_core.api.peer import Peer, joined_headers

__all__ = ["is_watcher"]

PASSED_ON: Final = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)
"""Headers that proxies add. Where the proxy is not trusted, the user's address is unknown."""


def is_watcher(scope: Scope, networks: Sequence[Network]) -> bool:
    """Return whether a request comes directly, or through a proven proxy, from these networks."""
    peer: Peer = scope["state"]["peer"]
    if not is_within(peer.user_address, networks):
        return False
    return peer.from_proxy or not any(name in joined_headers(scope) for name in PASSED_ON)
