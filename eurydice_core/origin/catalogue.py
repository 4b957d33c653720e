"""What users may see of the origin's transferables: one, a list of them, figures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select
from sqlalchemy.orm import Session

from eurydice_core.db.counts import OutgoingCount
from eurydice_core.db.facts import LAST_PACKET_SENT_AT, MAINTENANCE, get_fact, get_time
from eurydice_core.db.finders import by_index, by_name
from eurydice_core.db.names import contains, fold
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.paging import Finder, Keyset, KeysetQueries
from eurydice_core.db.spans import Span, list_spans, within
from eurydice_core.db.waiting import WaitingCount
from eurydice_core.errors import NotFound
from eurydice_core.model.states import OutgoingState
from eurydice_core.model.transferable import Outgoing

__all__ = ["Figures", "Filter", "Status", "figures", "find", "shown", "status", "transferables"]

Row = OutgoingTransferable
# When all of it was sent; as `Outgoing.finished_at`.
FINISHED = and_(
    Row.__table__.c.submission_succeeded_at.is_not(None),
    Row.__table__.c.size == Row.__table__.c.bytes_transferred,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which transferables to list; every bound is inclusive."""

    created_after: datetime | None = None
    created_before: datetime | None = None
    submission_succeeded_after: datetime | None = None
    submission_succeeded_before: datetime | None = None
    transfer_finished_after: datetime | None = None
    transfer_finished_before: datetime | None = None
    states: Sequence[OutgoingState] = ()
    name: str = ""
    """Part of the name, in any case and Unicode form."""
    sha1: bytes | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How the link does."""

    maintenance: bool
    last_packet_sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How much of everybody's is where."""

    pending_transferables: int
    ongoing_transferables: int
    recent_successes: int
    recent_errors: int
    queue_size: int
    """Bytes that wait to be sent."""
    last_packet_sent_at: datetime | None


# Of plain columns: lists are read as rows, not as objects.
COLUMNS, COUNTS = Row.__table__.c, OutgoingCount.__table__.c
OWN = COLUMNS.user_id == bindparam("owner")
TOTAL = select(func.sum(COUNTS.total)).where(COUNTS.user_id == bindparam("owner"))
SHOWN = tuple(field.name for field in fields(Outgoing))
ALL = KeysetQueries(Row, SHOWN, [OWN], TOTAL)


def transferables(user_id: uuid.UUID, wanted: Filter) -> Keyset:
    """Return a user's transferables that a filter lets through."""
    conditions = _conditions(wanted)
    values = {"owner": user_id}
    if not conditions:
        return Keyset(ALL, values)
    total = None
    if wanted.states and len(conditions) == 1:
        total = TOTAL.where(COUNTS.state.in_(wanted.states))
    finders, spans = list(_finders(wanted)), _spans(wanted)
    queries = KeysetQueries(Row, SHOWN, [OWN, *conditions], total, finders, spans)
    return Keyset(queries, values)


def find(session: Session, user_id: uuid.UUID, transferable_id: uuid.UUID) -> Outgoing:
    """Return one transferable of a user.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = session.get(Row, transferable_id)
    if row is None or row.user_id != user_id:
        raise NotFound(f"no transferable {transferable_id}")
    return shown(row)


def shown(row: OutgoingTransferable | Any) -> Outgoing:
    """Return a row, of the table or of a list, as users see it."""
    return Outgoing(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        sha1=row.sha1,
        sha256=row.sha256,
        size=row.size,
        user_provided_meta=row.user_provided_meta,
        submission_succeeded_at=row.submission_succeeded_at,
        state=row.state,
        bytes_received=row.bytes_received,
        bytes_transferred=row.bytes_transferred,
        ranges_transferred=row.ranges_transferred,
        last_range_finished_at=row.last_range_finished_at,
    )


def status(session: Session) -> Status:
    """Return how the link does."""
    return Status(
        maintenance=bool(get_fact(session, MAINTENANCE)),
        last_packet_sent_at=get_time(session, LAST_PACKET_SENT_AT),
    )


def figures(session: Session, since: datetime) -> Figures:
    """Return the figures of now, and of what ended after `since`."""
    open_states = _counts(
        session,
        select(COUNTS.state, func.sum(COUNTS.total))
        .where(COUNTS.state.in_((OutgoingState.PENDING, OutgoingState.ONGOING)))
        .group_by(COUNTS.state),
    )
    waiting = select(func.sum(WaitingCount.bytes))
    return Figures(
        pending_transferables=open_states.get(OutgoingState.PENDING, 0),
        ongoing_transferables=open_states.get(OutgoingState.ONGOING, 0),
        recent_successes=_count_recent(session, OutgoingState.SUCCESS, since),
        recent_errors=_count_recent(session, OutgoingState.ERROR, since),
        queue_size=int(session.scalar(waiting) or 0),
        last_packet_sent_at=get_time(session, LAST_PACKET_SENT_AT),
    )


def _counts(session: Session, query: Select[OutgoingState, int]) -> dict[OutgoingState, int]:
    return {row[0]: int(row[1]) for row in session.execute(query)}


def _count_recent(session: Session, state: OutgoingState, since: datetime) -> int:
    """Count the transferables that have a state since a time."""
    total = select(func.sum(COUNTS.total)).where(COUNTS.state == state)
    same = [COLUMNS.state == state]
    span = Span(column=COLUMNS.state_changed_at, same=same, after=since, total=total)
    return span.read(session.connection())


def _spans(wanted: Filter) -> list[Span]:
    """Return the stretches of an index that have all rows of a filter, if there are such."""
    if wanted.name or wanted.sha1 is not None:
        return []
    finished = wanted.transfer_finished_after, wanted.transfer_finished_before
    submitted = wanted.submission_succeeded_after, wanted.submission_succeeded_before
    if any(finished):  # no counter knows how many were sent whole
        others = (wanted.created_after, wanted.created_before, *submitted, *wanted.states)
        same, column = [OWN, FINISHED], COLUMNS.last_range_finished_at
        span = Span(column=column, same=same, after=finished[0], before=finished[1])
        return [] if any(others) else [span]
    return list_spans(
        [
            (COLUMNS.created_at, wanted.created_after, wanted.created_before),
            (COLUMNS.submission_succeeded_at, *submitted),
        ],
        OWN,
        (COLUMNS.state, wanted.states),
        TOTAL,
        COUNTS.state,
    )


def _finders(wanted: Filter) -> Iterator[Finder]:
    """Yield the indexes by which the rows that a filter lets through may be found."""
    if wanted.name:
        yield by_name(Row, wanted.name)
        yield by_index(
            select(COLUMNS.id).where(OWN, contains(COLUMNS.folded_name, fold(wanted.name)))
        )
    if submitted := _submitted(wanted):
        yield by_index(select(COLUMNS.id).where(OWN, *submitted))
    if finished := _finished(wanted):
        yield by_index(select(COLUMNS.id).where(OWN, FINISHED, *finished))


def _submitted(wanted: Filter) -> list[ColumnElement[bool]]:
    bounds = wanted.submission_succeeded_after, wanted.submission_succeeded_before
    return within(COLUMNS.submission_succeeded_at, *bounds)


def _finished(wanted: Filter) -> list[ColumnElement[bool]]:
    bounds = wanted.transfer_finished_after, wanted.transfer_finished_before
    return within(COLUMNS.last_range_finished_at, *bounds)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    finished = _finished(wanted)
    conditions = [
        *within(COLUMNS.created_at, wanted.created_after, wanted.created_before),
        *_submitted(wanted),
        *([FINISHED, *finished] if finished else []),
    ]
    if wanted.states:
        one = len(wanted.states) == 1  # then an index has them in order
        conditions.append(
            COLUMNS.state == wanted.states[0] if one else COLUMNS.state.in_(wanted.states)
        )
    if wanted.name:
        conditions.append(contains(COLUMNS.folded_name, fold(wanted.name)))
    if wanted.sha1 is not None:
        conditions.append(COLUMNS.sha1 == wanted.sha1)
    return conditions
