"""Between the link and ingestion: the link is emptied whatever ingestion waits for."""

from __future__ import annotations

import queue
import threading
from collections import Counter
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

    def __init__(self, link: PacketReceiver, spool: Spool, capacity: int) -> None:
        self._link = link
        self._spool = spool
        self._memory: queue.Queue[Buffer] = queue.Queue(capacity)
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
        while not self._memory.empty():
            self._to_disk(self._memory.get_nowait())

    def _next(self) -> Buffer | None:
        self._arrived.clear()
        try:
            return self._memory.get_nowait()
        except queue.Empty:
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
        # Only this thread adds to the queue, so what has room now has room in a moment.
        if len(self._spool) == 0 and not self._memory.full():
            self._memory.put_nowait(packet)
        else:
            self._to_disk(packet)
        self._arrived.set()

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
def open_intake(link: PacketReceiver, spool: Spool, capacity: int) -> Iterator[Intake]:
    """Empty a link in a thread for as long as the block lasts."""
    intake = Intake(link, spool, capacity)
    intake.start()
    try:
        yield intake
    finally:
        intake.close()
