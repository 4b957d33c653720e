"""One connection from lidir, that is one packet coming in."""

from __future__ import annotations

import socket

__all__ = ["Connection"]

FIRST_BYTE_SECONDS = 1.0
GRACE_SECONDS = 5.0
SLOWEST_BYTES_PER_SECOND = 16 * 1024


class Connection:
    """Collects what comes until its end, within bounds of size and time."""

    def __init__(self, peer: socket.socket, now: float, idle: float, longest: float) -> None:
        peer.setblocking(False)
        self.peer = peer
        self.packet = bytearray()
        self._began = now
        self._idle = idle
        self._last_moment = now + longest
        self.deadline = min(now + idle, self._last_moment)
        """When to give up on it."""

    def is_slow(self, now: float) -> bool:
        """Return whether the connection is slower than any link, and may be closed for another."""
        age = now - self._began
        if not self.packet:
            return age >= FIRST_BYTE_SECONDS
        return age >= GRACE_SECONDS and len(self.packet) < age * SLOWEST_BYTES_PER_SECOND

    def read(self, scratch: memoryview, now: float) -> bool:
        """Take what is there; False at the end of the stream.

        Raises:
            OSError: the connection broke.
        """
        try:
            count = self.peer.recv_into(scratch)
        except BlockingIOError:
            return True
        self.packet += scratch[:count]
        self.deadline = min(now + self._idle, self._last_moment)
        return count > 0
