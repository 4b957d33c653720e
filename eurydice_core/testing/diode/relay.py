"""The emulated diode on real sockets: takes datagrams at one port, passes them on to another.

Whole batches go through where the kernel has GRO and GSO, and only datagrams that
something happens to are looked at one by one: 500 MB/s and more at 3 % of loss.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from eurydice_core.testing.diode.faults import Decisions, Faults
from eurydice_core.testing.diode.passage import Passage, Run
from eurydice_core.testing.diode.trace import TraceWriter

__all__ = ["Address", "EmulatedDiode"]

Address = tuple[str, int]

BUFFER_BYTES = 1 << 16
ANCILLARY_BYTES = 128
MAX_SEGMENTS = 64  # the kernel's limit of datagrams cut from one buffer
MAX_CALL_BYTES = 65_507
RECEIVE_BUFFER = 64 << 20  # the diode itself must lose nothing but what it is told to
STEP_SECONDS = 0.05
# Linux numbers that the socket module has no names for.
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
SO_RCVBUFFORCE = 33
SO_RXQ_OVFL = 40


class Decider(Protocol):
    """`Faults`, or the `Trace` of an earlier run."""

    def decisions(self) -> Decisions:
        """Return what happens, from the first datagram on."""


class EmulatedDiode:
    """A one-way relay that does what its faults say; open from construction to `close`."""

    def __init__(
        self,
        listen: Address,
        forward: Address,
        faults: Decider | None = None,
        *,
        trace: Path | None = None,
    ) -> None:
        self._closing = ExitStack()
        try:
            self._open(listen, forward)
            writer = self._closing.enter_context(TraceWriter(trace)) if trace else None
        except BaseException:
            self._closing.close()
            raise
        self._forward = forward
        self._passage = Passage(
            (faults or Faults()).decisions(), note=writer.note if writer else None
        )
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._held: deque[Run] = deque()
        self._stalled_until = 0.0
        self._began: float | None = None
        self._kernel_drops = 0
        self._forwarded = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """Where the origin is to send to; tells the port, if 0 was asked for."""
        return self._address

    def counts(self) -> Mapping[str, int]:
        """Return what came (`datagrams`, `bytes`), what happened, and what was `forwarded`.

        `kernel_drops` must be 0 for the faults to be those that were asked for.
        """
        return {
            **self._passage.counts,
            "forwarded": self._forwarded,
            "kernel_drops": self._kernel_drops,
        }

    def step(self, timeout: float = STEP_SECONDS) -> bool:
        """Pass on what comes next; False if nothing came in that time.

        When nothing comes, datagrams that waited to be overtaken go on.
        """
        stalled = self._stalled_until - time.monotonic() if self._held else 0.0
        self._in.settimeout(max(0.001, min(timeout, stalled) if stalled > 0 else timeout))
        try:
            size, ancillary, _, _ = self._in.recvmsg_into([self._buffer], ANCILLARY_BYTES)
        except TimeoutError:
            self._pass_on(self._passage.release())
            return False
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        segment = self._segment_size(ancillary) or size
        runs = self._passage.feed(self._buffer[:size], segment, now - self._began)
        if stall := self._passage.take_stall():
            self._stalled_until = max(self._stalled_until, now) + stall
        self._pass_on(runs)
        return True

    def run(self, stop: threading.Event) -> None:
        """Pass on until `stop` is set, and then what is still there."""
        while not stop.is_set():
            self.step()
        while self.step(0.001) or self._held:
            pass

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Pass on in a thread of its own, until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop,), name="emulated diode")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """Close the sockets and the trace."""
        self._closing.close()

    def _open(self, listen: Address, forward: Address) -> None:
        family = socket.getaddrinfo(*forward, type=socket.SOCK_DGRAM)[0][0]
        self._in = self._closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        self._out = self._closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        try:
            self._in.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except OSError:  # not root
            self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        for level, option in ((SOL_UDP, UDP_GRO), (socket.SOL_SOCKET, SO_RXQ_OVFL)):
            with suppress(OSError):  # an older kernel: one datagram a call
                self._in.setsockopt(level, option, 1)
        self._in.bind(listen)
        self._address: Address = self._in.getsockname()[:2]

    def _segment_size(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        """Return the size of the datagrams in a batch, 0 if it is a single one."""
        size = 0
        for level, kind, data in ancillary:
            if (level, kind) == (SOL_UDP, UDP_GRO):
                size = int.from_bytes(data[:2], "little")
            elif (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                self._kernel_drops = int.from_bytes(data[:4], "little")
        return size

    def _pass_on(self, runs: list[Run]) -> None:
        """Send, or hold back for the time of a stall."""
        if time.monotonic() < self._stalled_until:
            self._held += [(memoryview(bytes(data)), size) for data, size in runs]
            return
        while self._held:
            self._send([self._held.popleft()])
        self._send(runs)

    def _send(self, runs: list[Run]) -> None:
        batch: list[memoryview] = []
        batch_size = batch_bytes = 0
        for data, size in pieces(runs):
            room = min(MAX_CALL_BYTES, MAX_SEGMENTS * batch_size)
            if batch and (size != batch_size or batch_bytes + len(data) > room):
                self._send_batch(batch, batch_size, batch_bytes)
                batch, batch_bytes = [], 0
            batch.append(data)
            batch_size = size
            batch_bytes += len(data)
        if batch:
            self._send_batch(batch, batch_size, batch_bytes)

    def _send_batch(self, batch: list[memoryview], size: int, total: int) -> None:
        """Have the kernel cut a batch into datagrams."""
        self._forwarded += max(1, total // size) if size else 1
        ancillary = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))] if total > size else []
        try:
            self._out.sendmsg(batch, ancillary, 0, self._forward)
        except OSError:
            if not ancillary:
                raise
            for data in batch:
                for start in range(0, len(data), size):
                    self._out.sendto(data[start : start + size], self._forward)


def pieces(runs: list[Run]) -> Iterator[Run]:
    """Yield runs, cut to what one call can take."""
    for data, size in runs:
        step = max(1, min(MAX_SEGMENTS, MAX_CALL_BYTES // size)) * size if size else 1
        for start in range(0, max(1, len(data)), step):
            yield data[start : start + step], size
