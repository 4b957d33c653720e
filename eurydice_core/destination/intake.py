"""Between the link and ingestion: the link is emptied whatever ingestion waits for."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from loguru import logger

from eurydice_core.destination.spool import Spool
from eurydice_core.errors import PacketError, TransportError
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.buffer import Buffer
from eurydice_core.protocol.packet import peek

__all__ = ["Intake", "open_intake"]

POLL_SECONDS: Final = 0.1
"""How soon the thread sees that it is to stop."""
RETRY_SECONDS: Final = 1.0
LAST_PACKETS: Final = 16
"""How many packets are still taken from the link when stopping; more only keep coming."""


class Intake(PacketReceiver):
    """A link whose packets wait in memory, then on disk, when they are not asked for.

    A packet from the disk stays there until the next one is asked for, which means that it
    was taken in; a crash before that gives it again.
    """

    def __init__(
        self, link: PacketReceiver, spool: Spool, *, packets: int, size: float = math.inf
    ) -> None:
        """Keep up to `packets` packets of together `size` bytes in memory, one in any case."""
        self._link = link
        self._spool = spool
        self._most_packets = packets
        self._most_bytes = size
        self._memory: deque[Buffer] = deque()
        self._in_memory = 0
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._stop = threading.Event()
        self._spooled_is_out = False
        self._counts: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._collect, name="intake", daemon=True)

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the packet that has waited longest, or None if none came in that time."""
        if self._spooled_is_out:
            self._spool.drop_first()
            self._spooled_is_out = False
        packet = self._next()
        if packet is None and timeout_seconds > 0:
            self._arrived.wait(timeout_seconds)
            packet = self._next()
        return packet

    def counters(self) -> Mapping[str, int]:
        """Return the link's counters, how many packets were spooled or dropped, and how many wait.

        `dropped` has those that the transport had no room for as well as those of the spool.
        """
        counts = Counter(self._link.counters()) + self._counts
        return {**counts, "spool_packets": len(self._spool), "spool_bytes": self._spool.size}

    def start(self) -> None:
        """Begin to empty the link."""
        self._thread.start()

    def close(self) -> None:
        """Stop emptying the link; what already came goes to the disk."""
        self._stop.set()
        self._thread.join()
        for _ in range(LAST_PACKETS):
            packet = self._link.receive(0)
            if packet is None:
                break
            self._keep(packet)
        # What waits in memory is older than what waits on disk, but ingestion does not mind.
        while self._memory:
            self._to_disk(self._memory.popleft())

    def _next(self) -> Buffer | None:
        self._arrived.clear()
        with self._lock:
            if self._memory:
                packet = self._memory.popleft()
                self._in_memory -= len(packet)
                return packet
        spooled = self._spool.first()
        self._spooled_is_out = spooled is not None
        return spooled

    def _collect(self) -> None:
        while not self._stop.is_set():
            try:
                packet = self._link.receive(POLL_SECONDS)
            except TransportError as error:
                logger.error("{}; trying again", error)
                self._stop.wait(RETRY_SECONDS)
                continue
            if packet is not None:
                self._keep(packet)
            del packet  # or it would be kept until the next one comes

    def _keep(self, packet: Buffer) -> None:
        if len(self._spool) > 0 or not self._to_memory(packet):
            self._to_disk(packet)
        self._arrived.set()

    def _to_memory(self, packet: Buffer) -> bool:
        with self._lock:
            room = (
                len(self._memory) < self._most_packets
                and self._in_memory + len(packet) <= self._most_bytes
            )
            if not (room or not self._memory):
                return False
            self._memory.append(packet)
            self._in_memory += len(packet)
            return True

    def _to_disk(self, packet: Buffer) -> None:
        if self._spool.put(packet):
            self._counts["spooled"] += 1
            return
        self._counts["dropped"] += 1
        logger.error(
            "{} dropped: ingestion is behind and the spool is full; raise [receiver] spool_size"
            " or find out what ingestion waits for",
            _name(packet),
        )


def _name(packet: Buffer) -> str:
    try:
        stream, sequence = peek(packet)
    except PacketError:
        return f"{len(packet)} bytes that are no packet"
    return f"packet {sequence} of stream {stream}"


@contextmanager
def open_intake(
    link: PacketReceiver, spool: Spool, *, packets: int, size: float = math.inf
) -> Iterator[Intake]:
    """Empty a link in a thread for as long as the block lasts."""
    intake = Intake(link, spool, packets=packets, size=size)
    intake.start()
    try:
        yield intake
    finally:
        intake.close()
