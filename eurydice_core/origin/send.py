"""The sender: scheduler -> packet -> transport -> and only then marked as sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from loguru import logger

from eurydice_core.db.facts import LAST_PACKET_SENT_AT, MAINTENANCE, get_fact, set_time
from eurydice_core.db.outgoing import range_key
from eurydice_core.errors import ObjectMissing
from eurydice_core.installation import Installation
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.interfaces.transport import PacketSender
from eurydice_core.model.clock import Clock, utc_now
from eurydice_core.model.event import EventKind
from eurydice_core.model.queue import PendingRange
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin.history import History
from eurydice_core.origin.queue import Queue
from eurydice_core.protocol.elements import Revocation, TransferablePart
from eurydice_core.protocol.packet import PacketBuilder
from eurydice_core.service import Service

__all__ = ["Sender"]


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
    ) -> None:
        super().__init__()
        settings = installation.settings.sender
        self.interval = settings.poll_every
        self._installation = installation
        self._scheduler = scheduler
        self._link = link
        self._now = now
        self._queue = Queue(installation.database)
        self._history = History(
            installation.database,
            duration=timedelta(seconds=settings.history_duration),
            limit=settings.history_entries_per_packet,
        )
        self._stream = uuid.uuid4()
        self._sequence = 0
        self._budget = settings.packet_size
        self._max_ranges = settings.max_ranges_per_packet
        self._repeats = settings.repeat - 1
        self._repeat_after = timedelta(seconds=settings.repeat_after)
        self._heartbeat = timedelta(seconds=settings.heartbeat_every)
        self._last_sent: datetime | None = None

    def step(self) -> bool:
        """Send one packet if there is anything to say; return whether there was data in it.

        Raises:
            LinkDown: the link did not take it; nothing counts as sent.
            StorageUnavailable: the data cannot be read now.
        """
        with self._installation.database.read() as session:
            paused = bool(get_fact(session, MAINTENANCE))
        ranges = [] if paused else self.choose()
        revocations = [] if paused else self._queue.revocations()
        history = [] if paused else self._history.due(self._now())
        if not (ranges or revocations or history or paused) and self._repeat():
            return True
        due = self._last_sent is None or self._now() - self._last_sent >= self._heartbeat
        if not (ranges or revocations or history or due):
            return False
        told = [revocation for _, revocation in revocations]
        packet = self._pack(ranges, self._queue.mark_missing, told, history)
        if packet is None:
            return True
        self._link.send(packet)
        self._note_sent(ranges, [row for row, _ in revocations])
        self._history.mark_told([entry.id for entry in history], self._now())
        return bool(ranges or history)

    def _repeat(self) -> bool:
        """Use an idle link to send something once more; return whether there was anything."""
        if self._repeats == 0:
            return False
        ranges = self._queue.due_again(
            self._now() - self._repeat_after, self._budget, self._max_ranges
        )
        if not ranges:
            return False
        ranges.sort(key=_by_first_place(ranges))
        packet = self._pack(ranges, self._queue.give_up_repeating)
        if packet is not None:
            self._link.send(packet)
            self._note_packet()
            self._queue.mark_sent_again([item.id for item in ranges], self._now())
        return True

    def choose(self) -> list[PendingRange]:
        """Ask the scheduler what goes next, as much as fits into a packet."""
        chosen: list[PendingRange] = []
        size = 0
        with self._queue.pending() as pending:
            for item in self._scheduler.select(pending, self._budget):
                size += item.size
                if chosen and size > self._budget:
                    break
                chosen.append(item)
                if size >= self._budget or len(chosen) >= self._max_ranges:
                    break
        # Ranges of one file side by side share the description of their file.
        return sorted(chosen, key=_by_first_place(chosen))

    def _pack(
        self,
        ranges: Sequence[PendingRange],
        on_missing: Callable[[PendingRange], None],
        revocations: Sequence[Revocation] = (),
        history: Sequence[TransferablePart] = (),
    ) -> memoryview | None:
        """Return the sealed packet; None if a range's bytes are gone and it must be chosen anew."""
        builder = PacketBuilder(
            stream=self._stream,
            sequence=self._sequence,
            sent_at_ms=round(self._now().timestamp() * 1000),
            parts=[*self._queue.parts(ranges), *history],
            revocations=revocations,
        )
        for item, slot in zip(ranges, builder.slots, strict=True):
            try:
                self._fill(item, slot)
            except ObjectMissing as error:
                logger.error("transferable {} cannot be sent: {}", item.transferable_id, error)
                on_missing(item)
                return None
        return builder.sealed(self._installation.seal_key)

    def _fill(self, item: PendingRange, slot: memoryview) -> None:
        if not item.size:
            return
        key = range_key(item.transferable_id, item.offset)
        filled = 0
        for chunk in self._installation.storage.read(key, 0, item.size):
            slot[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        if filled != item.size:
            raise ObjectMissing(key)

    def _note_sent(self, ranges: Sequence[PendingRange], revocations: Sequence[int]) -> None:
        now = self._note_packet()
        changed = self._queue.mark_sent(
            [item.id for item in ranges], revocations, now, repeats=self._repeats
        )
        for transferable_id, state in changed.items():
            if state is OutgoingState.SUCCESS:
                logger.info("transferable {} sent", transferable_id)
                self._installation.events.tell(EventKind.SENT, transferable_id=transferable_id)

    def _note_packet(self) -> datetime:
        now = self._last_sent = self._now()
        self._sequence += 1
        with self._installation.database.write() as session:
            set_time(session, LAST_PACKET_SENT_AT, now)
        return now


def _by_first_place(chosen: Sequence[PendingRange]) -> Callable[[PendingRange], int]:
    first: dict[uuid.UUID, int] = {}
    for place, item in enumerate(chosen):
        first.setdefault(item.transferable_id, place)
    return lambda item: first[item.transferable_id]
