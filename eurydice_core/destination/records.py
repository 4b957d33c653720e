"""What the destination writes down: whose files come, and how far each one is."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.upsert import insert as upsert
from eurydice_core.destination.extents import Extent, covered, covers
from eurydice_core.destination.transitions import record_ended
from eurydice_core.interfaces.storage import Assembly, AssemblyState
from eurydice_core.model.states import IncomingState, OutgoingState
from eurydice_core.protocol.elements import Revocation, TransferablePart

__all__ = [
    "Arrival",
    "Known",
    "accepts",
    "ensure_profiles",
    "insert_new",
    "load",
    "record_extents",
    "revoke_row",
    "update_row",
]


@dataclass(frozen=True, slots=True)
class Known:
    """What is written down about a transferable."""

    accepts: bool = True
    """Whether more of its data is of any use."""
    state: IncomingState = IncomingState.ONGOING
    extents: Sequence[Extent] = ()
    assembly: Mapping[str, Any] | None = field(default=None)


@dataclass(slots=True)
class Arrival:
    """What one packet brought of one transferable."""

    part: TransferablePart
    extents: list[Extent]
    is_new: bool
    assembly: Assembly | None = None
    state: AssemblyState | None = None
    outcome: IncomingState = IncomingState.ONGOING
    reason: str | None = None
    is_late: bool = False
    """Whether another receiver has put all of it away meanwhile."""

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here and their digest is known."""
        part = self.part
        return (
            part.size is not None and part.sha256 is not None and covers(self.extents, 0, part.size)
        )

    @property
    def is_settled(self) -> bool:
        """Whether inserting its row says all there is to say."""
        return self.is_new and self.outcome.is_final and self.assembly is None

    @property
    def assembly_state(self) -> dict[str, Any] | None:
        """What the storage needs to go on, as JSON."""
        return None if self.state is None else dict(self.state)


def load(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Return what is known of these; those that are new are left out."""
    table = IncomingTransferable
    rows = session.execute(
        select(table.id, table.state, table.repairable, table.assembly).where(table.id.in_(ids))
    ).all()
    accepting = [row.id for row in rows if accepts(row)]
    extents: dict[uuid.UUID, list[Extent]] = {id: [] for id in accepting}
    for extent in session.scalars(
        select(ReceivedExtent)
        .where(ReceivedExtent.transferable_id.in_(accepting))
        .order_by(ReceivedExtent.transferable_id, ReceivedExtent.start)
    ):
        extents[extent.transferable_id].append((extent.start, extent.stop))
    return {
        row.id: Known(accepts(row), row.state, extents.get(row.id, []), row.assembly)
        for row in rows
    }


def accepts(row: Any) -> bool:
    """Tell whether data of this transferable is still of use."""
    return row.state is IncomingState.ONGOING or bool(row.repairable)


def ensure_profiles(session: Session, profiles: Iterable[bytes], now: datetime) -> None:
    """Make records of origin users that are new; whose account they are is told later, by words."""
    values = [{"profile": profile, "created_at": now} for profile in sorted(set(profiles))]
    if values:
        session.execute(upsert(session, OriginProfile).on_conflict_do_nothing(), values)


def insert_new(session: Session, arrivals: Sequence[Arrival], now: datetime) -> set[uuid.UUID]:
    """Make the rows of transferables seen for the first time; return which are.

    A row that another receiver made meanwhile stays as it is.
    """
    values = [_new_row(arrival, now) for arrival in arrivals]
    if not values:
        return set()
    table = IncomingTransferable
    made = session.scalars(
        upsert(session, table).on_conflict_do_nothing().returning(table.id), values
    )
    new = set(made)
    record_ended(session, [a.part.id for a in arrivals if a.is_settled and a.part.id in new])
    return new


def update_row(session: Session, arrival: Arrival, now: datetime) -> bool:
    """Write down how far a transferable is; return False if what is stored of it must go."""
    part = arrival.part
    row = session.get_one(IncomingTransferable, part.id, with_for_update=True)
    if row.state is IncomingState.SUCCESS:  # another receiver was faster
        return True
    if not accepts(row):  # revoked while its bytes were being stored
        row.assembly, row.stored = arrival.assembly_state, True
        return False
    if part.ranges:
        row.received_at = now
    row.size = part.size if row.size is None else row.size
    row.sha1, row.sha256 = row.sha1 or part.sha1, row.sha256 or part.sha256
    # A part sent early in an upload knows less than what may have come before it.
    part = replace(part, size=row.size, sha1=row.sha1, sha256=row.sha256)
    arrival.part = part
    if arrival.assembly is not None:
        row.assembly, row.stored = arrival.assembly_state, True
    if arrival.outcome.is_final:
        row.repairable = False
        _end(session, row, arrival.outcome, arrival.reason, now)
    elif part.ended is not None and not arrival.is_whole:
        _note_ending(session, row, part.ended, covered(arrival.extents), now)
    record_extents(session, row, arrival.extents)
    return accepts(row)


def _end(
    session: Session,
    row: IncomingTransferable,
    outcome: IncomingState,
    reason: str | None,
    finished_at: datetime | None,
) -> None:
    """Bring a transferable to a final state, with one event if it is another one than before."""
    before = row.state
    row.state, row.reason, row.finished_at = outcome, reason, finished_at
    if outcome is not before:
        record_ended(session, [row.id])


def _note_ending(
    session: Session, row: IncomingTransferable, ended: OutgoingState, here: int, now: datetime
) -> None:
    """Note that nothing more of an incomplete transferable will come unasked."""
    if ended is OutgoingState.SUCCESS and row.size is not None:
        row.repairable = True
        outcome = IncomingState.ERROR
        reason = f"{row.size - here} of {row.size} bytes never came; a repair ticket brings them"
    else:
        row.repairable = False
        canceled = ended is OutgoingState.CANCELED
        outcome = IncomingState.REVOKED if canceled else IncomingState.ERROR
        reason = "taken back at the origin" if canceled else "it failed at the origin"
    first = row.state is IncomingState.ONGOING
    _end(session, row, outcome, reason, now if first else row.finished_at)


def revoke_row(session: Session, revocation: Revocation, now: datetime) -> bool:
    """Note that the origin took a transferable back; return whether its data must go."""
    row = session.get(IncomingTransferable, revocation.id, with_for_update=True)
    if row is None:
        session.add(
            IncomingTransferable(
                id=revocation.id,
                profile=revocation.profile,
                created_at=now,
                received_at=now,
                finished_at=now,
                name=revocation.name,
                state=IncomingState.REVOKED,
                reason=revocation.reason,
            )
        )
        record_ended(session, [revocation.id])
        return False
    if not accepts(row):
        return False
    row.repairable = False
    _end(session, row, IncomingState.REVOKED, revocation.reason, now)
    record_extents(session, row, [])
    return True


def record_extents(session: Session, row: IncomingTransferable, extents: Sequence[Extent]) -> None:
    """Write down which bytes are here, in place of what was written before."""
    session.execute(delete(ReceivedExtent).where(ReceivedExtent.transferable_id == row.id))
    if extents and accepts(row):
        session.execute(
            insert(ReceivedExtent),
            [{"transferable_id": row.id, "start": start, "stop": stop} for start, stop in extents],
        )
    row.bytes_received = covered(extents)


def _new_row(arrival: Arrival, now: datetime) -> dict[str, Any]:
    part = arrival.part
    return {
        "id": part.id,
        "profile": part.profile,
        "created_at": now,
        "received_at": now,
        "name": part.name,
        "user_provided_meta": dict(part.metadata),
        "piece_size": part.piece_size,
        "size": part.size,
        "sha1": part.sha1,
        "sha256": part.sha256,
        "bytes_received": covered(arrival.extents) if arrival.is_settled else 0,
        "state": arrival.outcome if arrival.is_settled else IncomingState.ONGOING,
        "reason": arrival.reason,
        "finished_at": now if arrival.is_settled else None,
        "stored": arrival.outcome is IncomingState.SUCCESS,
    }
