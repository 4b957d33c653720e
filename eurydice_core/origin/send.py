"""The sender: scheduler -> packet -> transport -> and only then marked as sent.

While the link takes a packet, the next one is planned, read and sealed, so that the link
need not wait for the disk.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from loguru import logger

from eurydice_core.db.bell import open_bell
from eurydice_core.db.facts import LAST_PACKET_SENT_AT, set_time
from eurydice_core.installation import Installation
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.interfaces.transport import PacketSender
from eurydice_core.model.clock import Clock, steady_seconds, utc_now
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin.bad_ranges import BadRanges
from eurydice_core.origin.claims import Claims
from eurydice_core.origin.history import History
from eurydice_core.origin.payload import KeptRange, RangeReader
from eurydice_core.origin.plan import Load, Planner
from eurydice_core.origin.queue import Queue
from eurydice_core.origin.watch import SenderWatch
from eurydice_core.outages import describe, is_outage
from eurydice_core.protocol.packet import PacketBuilder
from eurydice_core.service import Service

__all__ = ["Sender"]

LOOK_EVERY: Final = 1.0
"""Seconds after which an idle sender looks for what is due again, though nothing was queued."""
GATHER_SECONDS: Final = 0.1
"""At least so far apart are packets that are not full: what a packet of a few small files
costs both sides is what a packet of a thousand costs.
"""


@dataclass(frozen=True, slots=True)
class Flight:
    """A packet the link is taking."""

    load: Load
    sequence: int
    taken: Future[None]


class Sender(Service):
    """Fills the link from the queue.

    A crash between the link taking a packet and the queue knowing it sends the packet
    again, which the destination does not mind.
    """

    def __init__(
        self,
        installation: Installation,
        scheduler: Scheduler,
        link: PacketSender,
        *,
        now: Clock = utc_now,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        super().__init__()
        settings = installation.settings.sender
        self.interval = settings.poll_every
        self._installation = installation
        self._link = link
        self._now = now
        self._queue = Queue(installation.database)
        self._history = History(
            installation.database,
            duration=timedelta(seconds=settings.history_duration),
            limit=settings.history_entries_per_packet,
        )
        self._claims = Claims(installation)
        self._planner = Planner(
            installation, scheduler, self._queue, self._claims, self._history, now
        )
        self._reader = RangeReader(installation.storage, installation.settings.storage.plugin)
        self._bad_ranges = BadRanges(self._queue, self._claims)
        self._repeats = settings.repeat - 1
        self._heartbeat = settings.heartbeat_every
        self._steady = steady
        self._stream = uuid.uuid4()
        self._watch = SenderWatch(
            installation.database, installation.leases, self._stream, link.counters
        )
        self._sequence = 0
        self._last_sent: float | None = None
        self._flight: Flight | None = None
        self._next_at = 0.0
        self._buffers = [bytearray(), bytearray()]
        self._bell = open_bell(installation.database, settings.poll_every)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="link")

    def step(self) -> bool:
        """Prepare a packet while the one before is on its way; return whether there was either.

        Raises:
            LinkDown: the link did not take the one before; nothing of it counts as sent.
            StorageUnavailable: the data cannot be read now.
        """
        self._watch.record()
        began = time.monotonic()
        load = self._planner.plan(self._flight.load if self._flight else None)
        self._next_at = began if self._planner.is_full(load) else began + GATHER_SECONDS
        wanted = not load.is_empty or self._heartbeat_is_due()
        try:
            packet = self._pack(load) if wanted else None
            landed = self.land()
            if packet is not None:
                taken = self._beside.submit(self._link.send, packet)
                self._flight = Flight(load, self._sequence, taken)
                self._sequence += 1
                load = Load()  # the link has it
        finally:
            self._planner.give_back(load)
        return wanted or landed

    def land(self) -> bool:
        """Wait for the packet on its way and record it as sent; return whether there was one.

        Raises:
            LinkDown: the link did not take it; nothing of it counts as sent.
        """
        flight, self._flight = self._flight, None
        if flight is None:
            return False
        try:
            self._await(flight)
            self._note_sent(flight.load)
        except BaseException:
            self._planner.give_back(flight.load)
            raise
        return True

    def gather(self, stop: threading.Event) -> None:
        """Let more come for the next packet, unless this one was full."""
        stop.wait(max(0.0, self._next_at - time.monotonic()))

    def idle(self, stop: threading.Event) -> None:
        """Wait until something may be queued, or be due again."""
        self._bell.wait(stop, max(self.interval, LOOK_EVERY))

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set, and record what was on its way then."""
        try:
            super().run(stop)
            self.land()
        except Exception as error:
            if not is_outage(error):
                raise
            logger.error("{}; it will be sent at the next start", describe(error))
        finally:
            self.close()

    def close(self) -> None:
        """End the thread that waits for the link."""
        self._beside.shutdown()
        self._bell.close()

    def _await(self, flight: Flight) -> None:
        try:
            flight.taken.result()
        except BaseException:
            self._sequence = flight.sequence  # it never existed, so it must not be missed
            self._watch.failed()
            raise

    def _heartbeat_is_due(self) -> bool:
        if self._flight is not None:
            return False
        return self._last_sent is None or self._steady() - self._last_sent >= self._heartbeat

    def _pack(self, load: Load) -> memoryview | None:
        """Return the sealed packet; None if a range cannot be read: it is planned anew."""
        turn = self._sequence % 2
        builder = PacketBuilder(
            stream=self._stream,
            sequence=self._sequence,
            sent_at_ms=round(self._now().timestamp() * 1000),
            parts=[*self._queue.parts(load.ranges), *load.history],
            revocations=[revocation for _, revocation in load.revocations],
            # Two take turns: the link may still be reading the other one.
            buffer=self._buffers[turn],
        )
        self._buffers[turn] = builder.buffer
        if self._fill(load, builder.slots):
            return builder.sealed(self._installation.seal_key)
        return None

    def _fill(self, load: Load, slots: Sequence[memoryview]) -> bool:
        """Bring the ranges' bytes into the packet; return whether all of them are there.

        Every range is looked at, so that many bad ones do not cost a packet each.
        """
        kept = self._queue.kept(load.ranges)
        is_whole = True
        for item, slot in zip(load.ranges, slots, strict=True):
            fault = self._reader.fill(item, slot, kept.get(item.id, KeptRange()))
            if fault is None:
                self._bad_ranges.read(item)
            else:
                self._bad_ranges.report(item, fault, again=load.again)
                is_whole = False
        return is_whole

    def _note_sent(self, load: Load) -> None:
        now = self._now()
        self._last_sent = self._steady()
        self._watch.sent(load)
        ranges = [item.id for item in load.ranges]
        revocations = [row for row, _ in load.revocations]
        changed: dict[uuid.UUID, OutgoingState] = {}
        # A power cut that undoes this has everything sent once more.
        with self._installation.database.write(durable=False) as session:
            if load.again:
                self._queue.mark_sent_again(session, ranges, now)
            else:
                repeats = self._repeats
                changed = self._queue.mark_sent(session, ranges, revocations, now, repeats=repeats)
                self._history.mark_told(session, [entry.id for entry in load.history], now)
            self._claims.release(session, ranges)
            set_time(session, LAST_PACKET_SENT_AT, now)
        for transferable_id, state in changed.items():
            if state is OutgoingState.SUCCESS:
                logger.info("transferable {} sent", transferable_id)
