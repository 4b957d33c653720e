"""The receiver: source -> seal -> ingest; a packet that fails costs only itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger

from eurydice_core.db.notes import NoteKind, set_note
from eurydice_core.destination.ingest import Ingest
from eurydice_core.destination.quarantine import open_quarantine
from eurydice_core.destination.source import PacketSource
from eurydice_core.destination.watch import LinkWatch
from eurydice_core.errors import IngestFailed, PacketError
from eurydice_core.installation import Installation
from eurydice_core.model.buffer import Buffer
from eurydice_core.outages import describe, is_outage
from eurydice_core.protocol.packet import Packet, open_packet
from eurydice_core.service import Service

__all__ = ["TRIES", "Receiver"]

RECEIVER: Final = "receiver"
RECORD_EVERY: Final = 5.0
"""Seconds between two records of what is known of the link."""
TRIES: Final = 5
"""Number of attempts to ingest a packet before its failing elements go to the quarantine."""


@dataclass(slots=True)
class Held:
    """The packet that is being ingested."""

    data: Buffer
    packet: Packet | None = None
    failures: int = 0
    """Tries that failed for another reason than an outage."""


class Receiver(Service):
    """Ingests packets for as long as there are any.

    A packet is acknowledged once it is ingested, refused or in the quarantine. An outage
    leaves it where it is, for as long as it takes.
    """

    interval = 0.0  # waiting happens in the source

    def __init__(self, installation: Installation, source: PacketSource) -> None:
        super().__init__()
        settings = installation.settings.receiver
        self._source = source
        self._key = installation.seal_key
        self._ingest = Ingest(installation)
        self._quarantine = open_quarantine(installation.settings)
        self._timeout = settings.poll_every
        self._watch = LinkWatch(settings.expect_packet_every)
        self._database = installation.database
        self._leases = installation.leases
        self._held: Held | None = None
        self._resumed = False
        self._recorded_at = float("-inf")

    def step(self) -> bool:
        """Ingest the next packet; return whether there was one.

        Raises:
            Exception: an outage or `IngestFailed`; the packet is kept and tried again.
        """
        self._record_safely()
        if not self._resumed:
            self._ingest.resume()
            self._resumed = True
        if self._held is None:
            data = self._source.receive(self._timeout)
            if data is None:
                self._watch.nothing_came()
                return False
            self._held = Held(data)
        self._ingest_held(self._held)
        return True

    def _ingest_held(self, held: Held) -> None:
        try:
            if held.packet is None:
                held.packet = self._opened(held.data)
            if held.packet is not None:
                self._ingest.packet(held.packet)
        except Exception as error:
            if is_outage(error):
                raise
            self._note_failure(held, error)
            return
        self._source.acknowledge()
        self._held = None

    def _note_failure(self, held: Held, error: Exception) -> None:
        """Have a packet tried again, or ingest what can be of it and set it aside."""
        held.failures += 1
        name = self._watch.failed(held.packet, error, is_first=held.failures == 1)
        if held.failures < TRIES:
            raise IngestFailed(
                f"{name} was not ingested (try {held.failures} of {TRIES}): {describe(error)}"
            ) from error
        failures = [describe(error)]
        if held.packet is not None:
            failures = self._ingest.each(held.packet)
        if failures and not self._set_aside(held, "; ".join(failures)):
            held.failures = 0
            if not self._source.put_back():
                self._watch.lost()
                logger.error("{} is lost: memory, spool and quarantine are full", name)
        else:
            self._source.acknowledge()
        self._held = None

    def _set_aside(self, held: Held, reason: str) -> bool:
        """Move a packet to the quarantine; return whether that worked."""
        packet = held.packet
        id = f"{packet.stream.hex}-{packet.sequence}" if packet else f"unread-{time.time_ns()}"
        try:
            is_kept = self._quarantine.add(id, held.data, reason)
        except OSError as error:
            logger.error("the quarantine cannot be written: {}", describe(error))
            return False
        if is_kept:
            self._watch.quarantined()
            logger.error("packet {} is in the quarantine: {}", id, reason)
        else:
            logger.error("the quarantine is full: see 'eurydice quarantine list'")
        return is_kept

    def _record_safely(self) -> None:
        """Record the state; a bug in that keeps no packet from being ingested."""
        try:
            self.record()
        except Exception as error:
            if is_outage(error):
                raise
            logger.exception("the state of the receiver cannot be recorded")
            self._recorded_at = time.monotonic()

    def record(self) -> None:
        """Record counters and problems for metrics, `/readyz` and `eurydice link doctor`."""
        now = time.monotonic()
        if now - self._recorded_at < RECORD_EVERY:
            return
        place = self._leases.place(RECEIVER)
        note = self._watch.record(self._source.counters())
        with self._database.write(durable=False) as session:
            set_note(session, NoteKind.LINK, place, {**note, **self._state(place)})
        self._recorded_at = now

    def _state(self, place: str) -> dict[str, Any]:
        state = self._source.state()
        problems, warnings = list(state.problems), list(state.warnings)
        if self.outage.reason is not None:
            problems.append(f"no packet can be ingested: {self.outage.reason}")
        try:
            waiting = len(self._quarantine.list())
        except OSError as error:
            warnings.append(f"the quarantine cannot be read: {describe(error)}")
        else:
            if waiting:
                warnings.append(
                    f"{waiting} packets in the quarantine: see 'eurydice quarantine list'"
                )
        # By place, so that of several receivers none hides another one's.
        return {"problems": {place: problems}, "warnings": {place: warnings}}

    def _opened(self, data: Buffer) -> Packet | None:
        """Return the packet if it is one of ours."""
        try:
            packet = open_packet(data, self._key)
        except PacketError as error:
            self._watch.refused(error)
            return None
        self._watch.heard(packet)
        return packet
