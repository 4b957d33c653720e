"""Which files are incomplete, and what is missing of one, as a ticket for the origin."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.tables import User
from eurydice_core.destination.extents import covered, missing
from eurydice_core.errors import Conflict, NotFound
from eurydice_core.installation import Installation
from eurydice_core.model.states import IncomingState
from eurydice_core.protocol.repair import Ticket, issue_ticket, read_ticket

__all__ = ["Incomplete", "Shortfall", "incomplete_files", "shortfall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What is missing of a file, and how to ask for it."""

    id: uuid.UUID
    name: str
    size: int
    bytes_missing: int
    pieces_missing: int
    pieces_in_ticket: int
    """How many of them fit into the ticket; the others are for the next one."""
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """A file that a ticket would bring what is missing of."""

    id: uuid.UUID
    name: str
    username: str | None
    """Whose it is; None while they are not associated."""
    size: int
    bytes_missing: int
    incomplete_since: datetime


def shortfall(installation: Installation, id: uuid.UUID, profile: bytes | None = None) -> Shortfall:
    """Return what is missing of an incomplete file, for its owner or an administrator.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Conflict: nothing is missing of it, or it cannot be repaired.
    """
    with installation.database.read() as session:
        row = session.get(IncomingTransferable, id)
        if row is None or profile not in (None, row.profile):
            raise NotFound(f"no transferable {id}")
        if not row.repairable or row.size is None:
            raise Conflict(f"the transferable is {row.state}: {_why_not(row.state)}")
        extents = session.execute(
            select(ReceivedExtent.start, ReceivedExtent.stop)
            .where(ReceivedExtent.transferable_id == id)
            .order_by(ReceivedExtent.start)
        )
        here = [(start, stop) for start, stop in extents]
    runs = [
        (start // row.piece_size, (stop - 1) // row.piece_size)
        for start, stop in missing(here, row.size)
    ]
    ticket = Ticket(id, runs)
    text = issue_ticket(ticket, installation.repair_key)
    return Shortfall(
        id=id,
        name=row.name,
        size=row.size,
        bytes_missing=row.size - covered(here),
        pieces_missing=ticket.pieces,
        pieces_in_ticket=read_ticket(text, installation.repair_key).pieces,
        ticket=text,
    )


def incomplete_files(installation: Installation) -> list[Incomplete]:
    """Return everybody's files that can be repaired, the longest incomplete first."""
    query = (
        select(IncomingTransferable, User.username)
        .join(OriginProfile, OriginProfile.profile == IncomingTransferable.profile)
        .outerjoin(User, User.id == OriginProfile.user_id)
        .where(IncomingTransferable.repairable, IncomingTransferable.size.is_not(None))
        .order_by(IncomingTransferable.finished_at, IncomingTransferable.id)
    )
    with installation.database.read() as session:
        return [
            Incomplete(
                id=row.id,
                name=row.name,
                username=username,
                size=row.size or 0,
                bytes_missing=(row.size or 0) - row.bytes_received,
                incomplete_since=row.finished_at or row.received_at,
            )
            for row, username in session.execute(query)
        ]


def _why_not(state: IncomingState) -> str:
    if state is IncomingState.SUCCESS:
        return "nothing is missing"
    if state is IncomingState.ONGOING:
        return "the rest of it is still expected; the origin's history will tell"
    return "it cannot be repaired"
