"""Looks at this machine for `diagnosis`: settings, sockets, addresses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import psutil
from pydantic import BaseModel

from eurydice_core.link.diagnosis import LinkFacts
from eurydice_core.link.kernel import Limits
from eurydice_core.model.states import Side

__all__ = ["link_facts"]

SO_RCVBUFFORCE = 33  # Linux; lets root go beyond net.core.rmem_max
LARGEST_OPTION = 2**31 - 1
LOOPBACK = "lo"


def link_facts(side: Side, transport: BaseModel, limits: Limits, *, watched: bool) -> LinkFacts:
    """Return what a transport's settings say under the names that links usually have.

    A transport that has no `mtu` or `port` is not looked at for these.
    """
    host: str | None = getattr(transport, "host", None)
    port: int | None = getattr(transport, "port", None)
    wanted: int | None = getattr(transport, "receive_buffer", None)
    local = local_address(host) if side is Side.ORIGIN and host else None
    bind: str | None = getattr(transport, "bind", None)
    interfaces = interfaces_of(local if side is Side.ORIGIN else bind, limits)
    return LinkFacts(
        side=side,
        interfaces=interfaces,
        host=host,
        port=port,
        mtu=getattr(transport, "mtu", None),
        receive_buffer=wanted,
        granted_buffer=granted_buffer(wanted) if wanted else None,
        is_neighbour=bool(host and local) and is_neighbour(host or "", interfaces),
        watched=watched,
    )


def interfaces_of(address: str | None, limits: Limits) -> Sequence[str]:
    """Return the interface that has an address, or all that are up where it names none."""
    named = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(known.address.partition("%")[0] == address for known in addresses)
    ]
    if named:
        return named
    return [name for name, it in limits.interfaces.items() if it.is_up and name != LOOPBACK]


def local_address(host: str) -> str | None:
    """Return the address from which a host is sent to; None if there is no way to it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)  # sends nothing
            local: str = sock.getsockname()[0]
    except OSError:
        return None
    return local


def is_neighbour(host: str, interfaces: Sequence[str]) -> bool:
    """Tell whether an IPv4 host is in a network that one of the interfaces is in."""
    try:
        wanted: Any = ipaddress.IPv4Address(host)
    except ValueError:  # a name, or IPv6
        return False
    if wanted.is_loopback:
        return False
    for name in interfaces:
        for known in psutil.net_if_addrs().get(name, ()):
            if known.family is socket.AF_INET and known.netmask:
                network = ipaddress.ip_network(f"{known.address}/{known.netmask}", strict=False)
                if wanted in network and str(wanted) != known.address:
                    return True
    return False


def granted_buffer(wanted: int) -> int:
    """Return the receive buffer that this user gets for asking."""
    wanted = min(wanted, LARGEST_OPTION)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted)
        except OSError:  # not allowed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux doubles it
