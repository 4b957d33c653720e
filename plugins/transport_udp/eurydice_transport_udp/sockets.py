"""The sockets of both ends: addresses, buffers, and what the kernel can take over."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack

from loguru import logger

from eurydice_core.errors import TransportError
from eurydice_core.os_advice import FILE_LIMIT
from eurydice_transport_udp.settings import Settings

__all__ = [
    "Address",
    "Ancillary",
    "open_receiving_socket",
    "open_sending_socket",
    "overflow_count",
    "segment_size",
    "segmentation",
]

Address = tuple[str, int] | tuple[str, int, int, int]
Ancillary = Sequence[tuple[int, int, bytes]]

# Linux numbers that the socket module has no names for.
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_RXQ_OVFL = 40
MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
PMTUDISC_PROBE = 3
TIMEVAL = struct.Struct("@ll")


def open_sending_socket(settings: Settings) -> tuple[socket.socket, Address]:
    """Open an unconnected socket, which no answer of any kind can disturb.

    Raises:
        TransportError: the address means nothing here.
    """
    family, address = resolve(settings.host, settings.port, "host")
    with ExitStack() as stack:
        sock = stack.enter_context(new_socket(family))
        ask_buffer(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, settings.send_buffer)
        set_option(sock, socket.SO_SNDTIMEO, timeval(settings.send_timeout))
        # Too large an mtu is an error here, not fragments that are lost together.
        set_if_known(sock, *MTU_DISCOVER[family], PMTUDISC_PROBE)
        stack.pop_all()
        return sock, address


def open_receiving_socket(settings: Settings, wake_seconds: float) -> socket.socket:
    """Open and bind; receiving wakes up after that time if nothing comes.

    Raises:
        TransportError: the address is in use, or not of this machine.
    """
    family, address = resolve(settings.bind, settings.port, "bind")
    with ExitStack() as stack:
        sock = stack.enter_context(new_socket(family))
        try:
            sock.bind(address)
        except OSError as error:
            raise cannot_listen(settings, error) from error
        prepare_receiving(sock, settings, wake_seconds)
        stack.pop_all()
        return sock


def prepare_receiving(sock: socket.socket, settings: Settings, wake_seconds: float) -> None:
    given = ask_buffer(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, settings.receive_buffer)
    if given < settings.receive_buffer:
        logger.warning(
            "the kernel gave {} bytes of receive buffer where {} were asked for, so bursts may be"
            " lost; run: sysctl -w net.core.rmem_max={}",
            given,
            settings.receive_buffer,
            settings.receive_buffer,
        )
    set_option(sock, socket.SO_RCVTIMEO, timeval(wake_seconds))
    set_if_known(sock, SOL_UDP, UDP_GRO)
    set_if_known(sock, socket.SOL_SOCKET, SO_RXQ_OVFL)


def segmentation(size: int) -> Ancillary:
    """Return what makes `sendmsg` cut a buffer into datagrams of this size."""
    return [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]


def segment_size(ancillary: Ancillary, received: int) -> int:
    """Return the size of the datagrams in what one call received."""
    for level, kind, data in ancillary:
        if level == SOL_UDP and kind == UDP_GRO:
            return int.from_bytes(data[:2], "little")
    return received


def overflow_count(ancillary: Ancillary) -> int | None:
    """Return how many datagrams the kernel has dropped for want of room, if it said so."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
            return int.from_bytes(data[:4], "little")
    return None


def resolve(host: str, port: int, field: str) -> tuple[socket.AddressFamily, Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise TransportError(
            f"no address is known for {host}: {error.strerror}; correct [transport] {field}"
        ) from error
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]  # an internet address, having a port


def new_socket(family: socket.AddressFamily) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise TransportError(
            f"cannot open a socket for the link: {error.strerror}; see that descriptors"
            " (LimitNOFILE) and memory are enough"
        ) from error


def set_option(sock: socket.socket, option: int, value: bytes | int) -> None:
    """Set what the link cannot do without."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError as error:
        raise TransportError(
            f"the link's socket refuses option {option}: {error.strerror}"
        ) from error


def ask_buffer(sock: socket.socket, option: int, force: int, size: int) -> int:
    """Ask for a kernel buffer, beyond the system's limit where we may; return what we got."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except OSError:  # not allowed, or not Linux
        set_option(sock, option, size)
    return sock.getsockopt(socket.SOL_SOCKET, option) // 2  # Linux doubles it for its own needs


def set_if_known(sock: socket.socket, level: int, option: int, value: int = 1) -> None:
    """Switch on what an older kernel may lack; the link works without it, only slower."""
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        logger.info("going on without socket option {}/{}: {}", level, option, error.strerror)


def timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))


def cannot_listen(settings: Settings, error: OSError) -> TransportError:
    where = f"{settings.bind}:{settings.port}"
    reason = os.strerror(error.errno or 0).lower()
    advice = {
        errno.EMFILE: FILE_LIMIT,
        errno.EADDRINUSE: "stop the other receiver, or set another [transport] port on both sides",
        errno.EADDRNOTAVAIL: "set [transport] bind to an address of this machine",
        errno.EACCES: "set [transport] port to 1024 or more on both sides",
    }.get(error.errno or 0, "correct [transport] bind and port")
    return TransportError(f"cannot listen on {where}: {reason}; {advice}")
