"""Many messages by one system call: `recvmmsg(2)`, which Python's sockets do not offer.

A core that takes 64 KiB a call spends most of its time between the calls. Here one call
fills as many buffers as have come, and messages of the usual length land one behind the
other, so that what follows treats them as one array.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from eurydice_transport_udp.sockets import Ancillary, overflow_count, segment_size
from eurydice_transport_udp.wire import Bytes

__all__ = ["MessageReader", "Source", "Train"]

Source = tuple[str, int]
"""Address and port that datagrams come from."""

MESSAGES: Final = 12  # together within the second-level cache of one core
MESSAGE_BYTES: Final = 1 << 16  # the kernel never joins more datagrams than this
CONTROL_BYTES: Final = 128
NAME_BYTES: Final = 28  # sockaddr_in6, the larger of the two
MSG_WAITFORONE: Final = 0x10000
PASSING: Final = {errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED, errno.ENOBUFS, errno.ENOMEM}

# struct iovec and struct mmsghdr as C lays them out, so that numpy can read and reset all at once.
IOVEC: Final = np.dtype([("base", np.uintp), ("length", np.uintp)], align=True)
HEADER: Final = np.dtype(
    [
        ("name", np.uintp),
        ("name_length", np.uint32),
        ("vectors", np.uintp),
        ("vector_count", np.uintp),
        ("control", np.uintp),
        ("control_length", np.uintp),
        ("flags", np.int32),
    ],
    align=True,
)
MESSAGE: Final = np.dtype([("header", HEADER), ("length", np.uint32)], align=True)
CONTROL_HEADER: Final = struct.Struct("@Nii")


@dataclass(frozen=True, slots=True)
class Train:
    """Datagrams of one size, one behind the other, that came from one sender."""

    datagrams: Bytes
    """Good until the next reading."""
    size: int
    source: Source


class MessageReader:
    """Reads what has come to a socket, up to `MESSAGES` messages at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._call = ctypes.CDLL(None, use_errno=True).recvmmsg
        self.dropped: int | None = None
        """How many datagrams the kernel has had no room for, if it ever said."""
        self.messages = 0
        """How many messages the last reading found."""
        # A message longer than the stride ends in its own part of `rest`, not in the next one.
        self._buffer = np.zeros(MESSAGES * MESSAGE_BYTES, np.uint8)
        self._rest = np.zeros((MESSAGES, MESSAGE_BYTES), np.uint8)
        self._names = np.zeros((MESSAGES, NAME_BYTES), np.uint8)
        self._control = np.zeros((MESSAGES, CONTROL_BYTES), np.uint8)
        self._vectors = np.zeros((MESSAGES, 2), IOVEC)
        self._messages = np.zeros(MESSAGES, MESSAGE)
        self._headers = self._messages["header"]
        self._usual = MESSAGE_BYTES
        self._prepare()
        self._sources: dict[bytes, Source] = {}
        self._sizes: dict[bytes, int] = {}

    def read(self) -> Sequence[Train]:
        """Wait until something comes, and return it; nothing if the socket's time-out passes.

        Raises:
            OSError: the socket cannot be read.
        """
        if self._stride != self._usual:
            self._set_stride(self._usual)
        self._headers["name_length"] = NAME_BYTES
        self._headers["control_length"] = CONTROL_BYTES
        count = self._call(
            self._socket.fileno(),
            ctypes.c_void_p(self._messages.ctypes.data),
            MESSAGES,
            MSG_WAITFORONE,
            None,
        )
        self.messages = max(0, count)
        if count < 0:
            number = ctypes.get_errno()
            if number in PASSING:
                return []
            raise OSError(number, os.strerror(number))
        return self._trains(count)

    def _prepare(self) -> None:
        numbers = np.arange(MESSAGES, dtype=np.uintp)
        self._vectors["length"][:, 1] = MESSAGE_BYTES
        self._vectors["base"][:, 1] = self._rest.ctypes.data + numbers * MESSAGE_BYTES
        self._headers["name"] = self._names.ctypes.data + numbers * NAME_BYTES
        self._headers["vectors"] = self._vectors.ctypes.data + numbers * 2 * IOVEC.itemsize
        self._headers["vector_count"] = 2
        self._headers["control"] = self._control.ctypes.data + numbers * CONTROL_BYTES
        self._set_stride(self._usual)

    def _set_stride(self, stride: int) -> None:
        numbers = np.arange(MESSAGES, dtype=np.uintp)
        self._stride = stride
        self._vectors["length"][:, 0] = stride
        self._vectors["base"][:, 0] = self._buffer.ctypes.data + numbers * stride

    def _trains(self, count: int) -> Sequence[Train]:
        lengths = self._messages["length"][:count].tolist()
        kinds = [self._kind(number, length) for number, length in enumerate(lengths)]
        trains, first = [], 0
        while first < count:
            stop = first + 1
            if lengths[first] == self._stride:
                while (
                    stop < count and lengths[stop] == self._stride and kinds[stop] == kinds[first]
                ):
                    stop += 1
            trains.append(Train(self._joined(first, stop, lengths[stop - 1]), *kinds[first]))
            first = stop
        longest = max(lengths)
        if lengths.count(longest) > 1:
            self._usual = longest
        return trains

    def _joined(self, first: int, stop: int, last_length: int) -> Bytes:
        start = first * self._stride
        if last_length <= self._stride:
            return self._buffer[start : (stop - 1) * self._stride + last_length]
        rest = self._rest[first, : last_length - self._stride]
        return np.concatenate([self._buffer[start : start + self._stride], rest])

    def _kind(self, number: int, length: int) -> tuple[int, Source]:
        """Return the size of a message's datagrams, and who sent it."""
        control = self._control[number, : self._headers["control_length"][number]].tobytes()
        size = self._sizes.get(control)
        if size is None:
            ancillary = parse_control(control)
            dropped = overflow_count(ancillary)
            self.dropped = self.dropped if dropped is None else dropped
            size = segment_size(ancillary, 0)
            if len(self._sizes) > MESSAGES:
                self._sizes.clear()
            self._sizes[control] = size
        return size or length, self._source(self._names[number].tobytes())

    def _source(self, name: bytes) -> Source:
        source = self._sources.get(name)
        if source is None:
            if len(self._sources) > MESSAGES:
                self._sources.clear()
            source = self._sources[name] = parse_name(name)
        return source


def parse_control(control: bytes) -> Ancillary:
    """Return the control messages of a buffer, as `recvmsg` would."""
    messages, offset = [], 0
    alignment = struct.calcsize("@N")
    while offset + CONTROL_HEADER.size <= len(control):
        length, level, kind = CONTROL_HEADER.unpack_from(control, offset)
        if length < CONTROL_HEADER.size:
            break
        messages.append((level, kind, control[offset + CONTROL_HEADER.size : offset + length]))
        offset += -(-length // alignment) * alignment
    return messages


def parse_name(name: bytes) -> Source:
    """Return the address and port of a socket address."""
    family = int.from_bytes(name[:2], sys.byteorder)
    port = int.from_bytes(name[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
