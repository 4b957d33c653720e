"""The peer of a request: the connection's address, and what a proven proxy says of the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import Scope

from eurydice_core.api.proxies import ProxyTrust

__all__ = ["Peer", "joined_headers", "peer_of", "repeated_headers"]


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a request's connection, and the user behind it."""

    address: str
    """Of the TCP connection: the user's, or a reverse proxy's; empty on a Unix socket."""
    user_address: str
    """The user's; empty if the request comes from a proxy that did not name it."""
    secure: bool
    """Whether the user's connection is encrypted."""
    host: str = ""
    """The name of this side in the user's URL, as in `Host`."""
    from_proxy: bool = False
    """Whether a reverse proxy passed the request on and proved itself."""


def joined_headers(scope: Scope) -> dict[str, str]:
    """Return headers by name in lower case; one that came twice is joined with ", "."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def repeated_headers(scope: Scope) -> frozenset[str]:
    """Return the names, in lower case, of headers that were sent more than once."""
    names = Counter(raw_name.decode("latin-1").lower() for raw_name, _ in scope["headers"])
    return frozenset(name for name, number in names.items() if number > 1)


def peer_of(scope: Scope, trust: ProxyTrust) -> Peer:
    """Return the peer of a request; `X-Forwarded-*` counts from a proven proxy only."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    secure = scope.get("scheme") == "https"
    headers = joined_headers(scope)
    host = headers.get("host", "")
    if not trust.is_proven(scope, headers):
        # A location of the proxy that forgets its headers must not seem to be this machine.
        user_address = "" if trust.is_proxy_address(address) else address
        return Peer(address, user_address, secure, host)
    # Each proxy appends the address it saw itself: only what trusted ones appended is true.
    protocols = _listed(headers, "x-forwarded-proto")
    hosts = _listed(headers, "x-forwarded-host")
    return Peer(
        address,
        _user_address(_listed(headers, "x-forwarded-for"), trust),
        protocols[-1].lower() == "https" if protocols else secure,
        hosts[-1] if hosts else host,
        from_proxy=True,
    )


def _user_address(forwarded: Sequence[str], trust: ProxyTrust) -> str:
    """Return the last address before the trusted proxies, empty if there is none."""
    address = ""
    for hop in reversed(forwarded):
        hop_address = _without_port(hop)
        if hop_address is None:
            break
        address = hop_address
        if not trust.is_proxy_address(address):
            break
    return address


def _without_port(hop: str) -> str | None:
    """Return the address of `192.0.2.1:4711`, `[2001:db8::1]:4711`, or either without a port."""
    host = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ip_address(host[:45]))
    except ValueError:
        return None


def _listed(headers: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in headers.get(name, "").split(",") if item.strip()]
