"""Between the link and ingestion: the link is emptied whatever ingestion waits for."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from loguru import logger

from eurydice_core.destination.losses import Losses
from eurydice_core.destination.source import PacketSource, SourceState
from eurydice_core.destination.spool import Spool
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.buffer import Buffer
from eurydice_core.model.quantities import format_duration
from eurydice_core.outages import OutageLog, describe, is_outage

__all__ = ["Intake", "open_intake"]

POLL_SECONDS: Final = 0.1
"""How soon the thread sees that it is to stop."""
LONGEST_RETRY: Final = 1.0
"""Seconds; while the thread waits, the link overflows."""
MOST_BUGS: Final = 10
"""Unexpected errors in a row after which only a new process may help."""
STUCK_SECONDS: Final = 30.0
"""A transport whose `receive` takes longer, though asked for `POLL_SECONDS`, is stuck."""
LAST_PACKETS: Final = 16
"""How many packets are still taken from the link when stopping; more only keep coming."""
JOIN_SECONDS: Final = 10.0


class Intake(PacketSource):
    """Moves packets from the link to memory, and to the spool while memory is full.

    A packet stays where it is until it is acknowledged: after a crash, a spooled one is
    received again, and when the service stops, those in memory go to the spool.

    If the spool cannot be written and memory is full, the packet in hand is kept and tried
    again; meanwhile the transport buffers what it can, and counts what it drops. If the
    spool is full, the newest packet is dropped: the start of a file, which is there already,
    is what a repair ticket needs to ask for the rest.
    """

    def __init__(
        self,
        link: PacketReceiver,
        spool: Spool,
        *,
        packets: int,
        size: float = math.inf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep up to `packets` packets of together `size` bytes in memory, one in any case."""
        self._link = link
        self._spool = spool
        self._most_packets = packets
        self._most_bytes = size
        self._monotonic = monotonic
        self._memory: deque[Buffer] = deque()
        self._in_memory = 0
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._stop = threading.Event()
        self._in_hand: Buffer | None = None
        """Received from the link, and not in memory or the spool yet."""
        self._out: Buffer | None = None
        """Received from here, and not acknowledged yet."""
        self._is_spooled = False
        """Whether `_out` is in the spool as well."""
        self._counts: Counter[str] = Counter()
        self._losses = Losses(monotonic=monotonic)
        self._outage = OutageLog(monotonic=monotonic)
        self._looked_at = monotonic()
        self._thread = threading.Thread(target=self._collect, name="intake", daemon=True)

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the packet that has waited longest, or None if none came in that time."""
        packet = self._next()
        if packet is None and timeout_seconds > 0:
            self._arrived.wait(timeout_seconds)
            packet = self._next()
        return packet

    def acknowledge(self) -> None:
        """Forget the packet that was received last; on disk it is deleted."""
        if self._is_spooled:
            self._spool.drop_first()
        self._out, self._is_spooled = None, False

    def put_back(self) -> bool:
        """Append the packet that was received last to the spool or else to memory."""
        packet, self._out = self._out, None
        if packet is None:
            return True
        if self._is_spooled:
            self._spool.put_off()
            self._is_spooled = False
            return True
        try:
            is_kept = self._spool.put(packet)
        except OSError as error:
            self._losses.note(f"the spool cannot be written: {describe(error)}", is_kept=True)
            is_kept = False
        is_kept = is_kept or self._to_memory(packet)
        self._counts["lost"] += not is_kept
        return is_kept

    def counters(self) -> Mapping[str, int]:
        """Return the link's counters, how many packets were spooled or dropped, and how many wait.

        `dropped` has those that the transport had no room for as well as those of the spool;
        `lost` those that could be kept nowhere for another reason.
        """
        counts = Counter(self._link.counters()) + self._counts
        return {**counts, "spool_packets": len(self._spool), "spool_bytes": self._spool.size}

    def state(self) -> SourceState:
        """Return what keeps packets from coming, and what was lost a short time ago."""
        problems = []
        silent = self._monotonic() - self._looked_at
        if self._outage.reason is not None:
            problems.append(f"no packet can be received: {self._outage.reason}")
        elif silent > STUCK_SECONDS:
            problems.append(f"the transport does not answer for {format_duration(silent)}")
        return SourceState(problems, self._losses.recent(self.counters()))

    def start(self) -> None:
        """Begin to empty the link."""
        self._looked_at = self._monotonic()
        self._thread.start()

    def close(self) -> None:
        """Stop emptying the link; what waits in memory goes to the spool."""
        self._stop.set()
        self._thread.join(JOIN_SECONDS)
        waiting = [self._out] if self._out is not None and not self._is_spooled else []
        waiting += [*self._memory, *([] if self._in_hand is None else [self._in_hand])]
        waiting += self._last_packets()
        lost, reason = 0, "the spool is full; raise [receiver] spool_size"
        for packet in waiting:
            try:
                if self._spool.put(packet):
                    continue
            except OSError as error:
                reason = describe(error)
            lost += 1
        if lost:
            logger.error(
                "{} packets that waited in memory are lost, as they cannot be spooled: {};"
                " what the origin does not repeat, a repair ticket asks for",
                lost,
                reason,
            )

    def _last_packets(self) -> Iterator[Buffer]:
        for _ in range(LAST_PACKETS):
            try:
                packet = self._link.receive(0)
            except Exception as error:  # nothing more comes, whatever the reason
                logger.warning("the link was not emptied: {}", describe(error))
                return
            if packet is None:
                return
            yield packet

    def _next(self) -> Buffer | None:
        self._arrived.clear()
        with self._lock:
            if self._memory:
                self._out = self._memory.popleft()
                self._in_memory -= len(self._out)
                return self._out
        spooled = self._spool.first()
        self._is_spooled = spooled is not None
        self._out = spooled
        return spooled

    def _collect(self) -> None:
        bugs = 0
        while not self._stop.is_set():
            try:
                self._collect_one()
            except Exception as error:
                wait = self._outage.report(describe(error))
                bugs += not is_outage(error)
                if bugs >= MOST_BUGS:
                    raise
                self._looked_at = self._monotonic()
                self._stop.wait(min(wait, LONGEST_RETRY))
            else:
                bugs = 0
                self._outage.end()

    def _collect_one(self) -> None:
        if self._in_hand is None:
            self._in_hand = self._link.receive(POLL_SECONDS)
        self._looked_at = self._monotonic()
        if self._in_hand is not None:
            self._keep(self._in_hand)
            self._in_hand = None

    def _keep(self, packet: Buffer) -> None:
        """Put a packet into memory or the spool.

        Raises:
            OSError: memory is full and the spool cannot be written.
        """
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
        try:
            if self._spool.put(packet):
                self._counts["spooled"] += 1
                return
        except OSError as error:
            if not self._to_memory(packet):
                raise
            self._losses.note(f"the spool cannot be written: {describe(error)}", is_kept=True)
            return
        if self._to_memory(packet):
            return
        self._counts["dropped"] += 1
        self._losses.note(
            "ingestion is behind and the spool is full: raise [receiver] spool_size or find out"
            " what ingestion waits for",
            is_kept=False,
        )


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
