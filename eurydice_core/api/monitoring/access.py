"""Who may read what operators watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.types import Scope

from eurydice_core.api.middleware import Network, Peer, is_within, joined_headers

__all__ = ["is_watcher"]

PASSED_ON: Final = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""What proxies add. From one that is not trusted, a request comes from nobody knows where."""


def is_watcher(scope: Scope, networks: Sequence[Network]) -> bool:
    """Return whether a request comes straight, or through trusted proxies, from these."""
    peer: Peer = scope["state"]["peer"]
    if not is_within(peer.user_address, networks):
        return False
    told_by_proxy = peer.user_address != peer.address
    return told_by_proxy or not any(name in joined_headers(scope) for name in PASSED_ON)
