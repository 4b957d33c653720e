"""From an opened packet to bytes in the storage and rows in the database.

Order of things, so that a crash at any point costs nothing that was written down: bytes
are durable in the storage, then the database says that they are there, then the whole
file is checked, and only then it is a SUCCESS. Every step may be repeated.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from loguru import logger
from sqlalchemy import or_, select

from eurydice_core.db.exclusive import exclusively
from eurydice_core.db.facts import LAST_PACKET_RECEIVED_AT, set_time
from eurydice_core.db.incoming import IncomingTransferable, file_key
from eurydice_core.destination.digests import Digests
from eurydice_core.destination.extents import covers, merged
from eurydice_core.destination.purge import purge_or_leave
from eurydice_core.destination.records import (
    Arrival,
    Known,
    accepts,
    ensure_profiles,
    insert_new,
    load,
    record_extents,
    revoke_row,
    update_row,
)
from eurydice_core.destination.transitions import record_ended
from eurydice_core.installation import Installation
from eurydice_core.model.clock import Clock, utc_now
from eurydice_core.model.states import IncomingState
from eurydice_core.outages import describe, is_outage
from eurydice_core.protocol.packet import Packet

__all__ = ["Ingest"]

LONGEST_REASON: Final = 200  # characters


@dataclass(slots=True)
class Ingest:
    """Takes packets in."""

    installation: Installation
    now: Clock = utc_now
    digests: Digests = field(default_factory=Digests)

    def packet(self, packet: Packet, *, is_last_try: bool = False) -> None:
        """Ingest all of a packet; ingesting it again changes nothing.

        On the last try, a file that is whole and cannot be put together is an ERROR, which a
        repair ticket mends.

        Raises:
            Exception: the packet is to be given again.
        """
        # Of a file in several pieces, other receivers may have some at the same time.
        in_pieces = {part.id for part in packet.parts if not part.is_whole}
        with exclusively(self.installation.database, in_pieces):
            arrivals = self._store(packet)
            ended = self._write_down(packet, arrivals)
        for arrival in arrivals:
            if arrival.is_late:
                continue
            if arrival.outcome.is_final:
                _log_outcome(arrival.part.id, arrival.outcome, arrival.reason)
            elif arrival.is_whole:
                self.complete(arrival.part.id, is_last_try=is_last_try)
        for id in ended:
            self.digests.forget(id)
            purge_or_leave(self.installation, id)

    def each(self, packet: Packet) -> list[str]:
        """Ingest every element of a packet by itself; return why others cannot be ingested.

        Raises:
            Exception: an outage; the packet is to be given again.
        """
        failures = []
        for name, element in elements(packet):
            try:
                self.packet(element, is_last_try=True)
            except Exception as error:
                if is_outage(error):
                    raise
                logger.exception("{} cannot be ingested", name)
                failures.append(f"{name}: {describe(error)}"[:LONGEST_REASON])
        return failures

    def resume(self) -> None:
        """Complete files that a crash left whole but unchecked.

        Raises:
            Exception: an outage.
        """
        with self.installation.database.read() as session:
            row = IncomingTransferable
            ids = session.scalars(
                select(row.id).where(
                    or_(row.state == IncomingState.ONGOING, row.repairable),
                    row.sha256.is_not(None),
                    row.bytes_received == row.size,
                )
            ).all()
        for id in ids:
            try:
                self.complete(id, is_last_try=True)
            except Exception as error:
                if is_outage(error):
                    raise
                logger.exception("transferable {} cannot be completed", id)

    def complete(self, id: uuid.UUID, *, is_last_try: bool = False) -> None:
        """Check a file that is whole, and hand it over or declare it broken.

        Raises:
            Exception: it cannot be checked; on the last try, only if this is an outage.
        """
        with exclusively(self.installation.database, [id]):
            self._complete(id, is_last_try=is_last_try)

    def _complete(self, id: uuid.UUID, *, is_last_try: bool) -> None:
        with self.installation.database.read() as session:
            row = session.get_one(IncomingTransferable, id)
        if not accepts(row) or row.size is None:
            return
        is_storage_at_fault = False
        try:
            reason = self._fault(row, row.size)
        except Exception as error:
            if is_outage(error) or not is_last_try:
                raise
            logger.exception("transferable {} cannot be completed", id)
            reason, is_storage_at_fault = describe(error)[:LONGEST_REASON], True
        outcome = IncomingState.SUCCESS if reason is None else IncomingState.ERROR
        if reason is not None:
            self.digests.forget(id)
            self._delete(row.key, is_last_try=is_storage_at_fault)
        with self.installation.database.write() as session:
            row = session.get_one(IncomingTransferable, id, with_for_update=True)
            if not accepts(row):
                return
            before = row.state
            row.state, row.reason, row.finished_at = outcome, reason, self.now()
            row.assembly = None
            row.stored = outcome is IncomingState.SUCCESS or is_storage_at_fault
            # Record the extents before: those of a row that takes no more data are not kept.
            record_extents(session, row, [] if is_storage_at_fault else [(0, row.size or 0)])
            row.repairable = is_storage_at_fault
            if outcome is not before:
                record_ended(session, [id])
        _log_outcome(id, outcome, reason)

    def _delete(self, key: str, *, is_last_try: bool) -> None:
        try:
            self.installation.storage.delete([key])
        except Exception as error:
            if is_outage(error) or not is_last_try:
                raise
            logger.exception("{} stays in the storage", key)

    def _fault(self, row: IncomingTransferable, size: int) -> str | None:
        """Put a whole file together and check it; return what is wrong with it, None if nothing."""
        storage = self.installation.storage
        assembly = storage.assemble(row.key, piece_size=row.piece_size, state=row.assembly)
        assembly.commit(size)
        start = self.digests.position(row.id)
        rest = storage.read(row.key, start) if start < size else iter(())
        right = self.digests.finish(row.id, rest) == row.sha256
        return None if right else "the digest is not the one of the origin"

    def _store(self, packet: Packet) -> list[Arrival]:
        """Make the packet's bytes durable."""
        with self.installation.database.read() as session:
            known = load(session, {part.id for part in packet.parts})
        arrivals: dict[uuid.UUID, Arrival] = {}
        for part, payloads in zip(packet.parts, packet.payloads, strict=True):
            before = known.get(part.id, Known())
            if not before.accepts:
                logger.debug("transferable {} is {}: more of it ignored", part.id, before.state)
                continue
            is_new = part.id not in known
            arrival = arrivals.get(part.id) or Arrival(part, list(before.extents), is_new=is_new)
            arrival.part = part
            self._store_part(arrival, payloads, before)
            arrivals[part.id] = arrival
        for arrival in arrivals.values():
            if arrival.assembly is not None and arrival.outcome is IncomingState.ONGOING:
                arrival.state = arrival.assembly.checkpoint()
        return list(arrivals.values())

    def _store_part(self, arrival: Arrival, payloads: Sequence[memoryview], before: Known) -> None:
        part = arrival.part
        if arrival.is_new and part.is_whole:
            self._store_whole(arrival, payloads[0])
            return
        if arrival.assembly is None and part.ranges:
            arrival.assembly = self.installation.storage.assemble(
                file_key(part.id), piece_size=part.piece_size, state=before.assembly
            )
        for (offset, length), data in zip(part.ranges, payloads, strict=True):
            if arrival.assembly and not covers(arrival.extents, offset, offset + length):
                arrival.assembly.put(offset, data)
                self.digests.feed(part.id, offset, data)
                arrival.extents = merged([*arrival.extents, (offset, offset + length)])

    def _store_whole(self, arrival: Arrival, data: memoryview) -> None:
        """Take a small file in at once."""
        part = arrival.part
        if hashlib.sha256(data).digest() != part.sha256:
            arrival.outcome = IncomingState.ERROR
            arrival.reason = "the digest is not the one of the origin"
            return
        with self.installation.storage.write(file_key(part.id)) as writer:
            writer.write(data)
        arrival.extents = [(0, len(data))] if len(data) else []
        arrival.outcome = IncomingState.SUCCESS

    def _write_down(self, packet: Packet, arrivals: Sequence[Arrival]) -> list[uuid.UUID]:
        """Record in one transaction what the packet brought; return what is to be purged."""
        now = self.now()
        with self.installation.database.write() as session:
            profiles = {part.profile for part in packet.parts}
            profiles |= {revocation.profile for revocation in packet.revocations}
            ensure_profiles(session, profiles, now)
            made = insert_new(session, [arrival for arrival in arrivals if arrival.is_new], now)
            for arrival in arrivals:
                arrival.is_late = arrival.is_settled and arrival.part.id not in made
            ended = [
                arrival.part.id
                for arrival in arrivals
                if not arrival.is_settled and not update_row(session, arrival, now)
            ]
            ended += [
                revocation.id
                for revocation in packet.revocations
                if revoke_row(session, revocation, now)
            ]
            set_time(session, LAST_PACKET_RECEIVED_AT, now)
        return ended


def _log_outcome(id: uuid.UUID, outcome: IncomingState, reason: str | None) -> None:
    if outcome is IncomingState.SUCCESS:
        logger.info("transferable {} received", id)
    else:
        logger.error("transferable {} is {}: {}", id, outcome, reason)


def elements(packet: Packet) -> Iterator[tuple[str, Packet]]:
    """Yield a packet for each element of a packet, and what the element is."""
    for part, payloads in zip(packet.parts, packet.payloads, strict=True):
        single = replace(packet, parts=[part], payloads=[payloads], revocations=())
        yield f"a part of transferable {part.id}", single
    for revocation in packet.revocations:
        single = replace(packet, parts=(), payloads=(), revocations=[revocation])
        yield f"the revocation of transferable {revocation.id}", single
