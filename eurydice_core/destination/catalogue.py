"""What users may see of the files that came: one, a list of them, figures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from eurydice_core.db.counts import IncomingCount
from eurydice_core.db.facts import LAST_PACKET_RECEIVED_AT, get_time
from eurydice_core.db.finders import by_index, by_name
from eurydice_core.db.incoming import IncomingTransferable, file_key
from eurydice_core.db.names import contains, fold
from eurydice_core.db.paging import Finder, Keyset, KeysetQueries
from eurydice_core.db.spans import Span, list_spans, within
from eurydice_core.errors import NotFound
from eurydice_core.model.states import IncomingState
from eurydice_core.model.transferable import Incoming

__all__ = ["Figures", "Filter", "figures", "find", "last_packet", "shown", "transferables"]

Row = IncomingTransferable
CAME_WHOLE = (IncomingState.SUCCESS, IncomingState.REMOVED, IncomingState.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which transferables to list; every bound is inclusive."""

    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None
    states: Sequence[IncomingState] = ()
    name: str = ""
    """Part of the name, in any case and Unicode form."""
    sha1: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How many of everybody's files are where."""

    ongoing_transferables: int
    recent_successes: int
    recent_errors: int
    last_packet_received_at: datetime | None


# Of plain columns: lists are read as rows, not as objects.
COLUMNS, COUNTS = Row.__table__.c, IncomingCount.__table__.c
OWN = COLUMNS.profile == bindparam("owner")
TOTAL = select(func.sum(COUNTS.total)).where(COUNTS.profile == bindparam("owner"))
SHOWN = tuple(field.name for field in fields(Incoming) if field.name != "key")
ALL = KeysetQueries(Row, SHOWN, [OWN], TOTAL)


def transferables(profile: bytes, wanted: Filter) -> Keyset:
    """Return the transferables of a profile that a filter lets through."""
    conditions = _conditions(wanted)
    values = {"owner": profile}
    if not conditions:
        return Keyset(ALL, values)
    total = None
    if wanted.states and len(conditions) == 1:
        total = TOTAL.where(COUNTS.state.in_(wanted.states))
    finders, spans = list(_finders(wanted)), _spans(wanted)
    queries = KeysetQueries(Row, SHOWN, [OWN, *conditions], total, finders, spans)
    return Keyset(queries, values)


def find(session: Session, profile: bytes, transferable_id: uuid.UUID) -> Incoming:
    """Return one transferable of a profile.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = session.get(Row, transferable_id)
    if row is None or row.profile != profile:
        raise NotFound(f"no transferable {transferable_id}")
    return shown(row)


def shown(row: IncomingTransferable | Any) -> Incoming:
    """Return a row, of the table or of a list, as users see it."""
    return Incoming(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        sha1=row.sha1,
        sha256=row.sha256,
        size=row.size,
        user_provided_meta=row.user_provided_meta,
        state=row.state,
        reason=row.reason,
        bytes_received=row.bytes_received,
        finished_at=row.finished_at,
        key=file_key(row.id),
    )


def last_packet(session: Session) -> datetime | None:
    """Return when the link last brought something."""
    return get_time(session, LAST_PACKET_RECEIVED_AT)


def figures(session: Session, since: datetime) -> Figures:
    """Return the figures of now, and of what ended after `since`."""
    ongoing = select(func.sum(COUNTS.total)).where(COUNTS.state == IncomingState.ONGOING)
    return Figures(
        ongoing_transferables=int(session.scalar(ongoing) or 0),
        recent_successes=sum(_count_recent(session, state, since) for state in CAME_WHOLE),
        recent_errors=_count_recent(session, IncomingState.ERROR, since),
        last_packet_received_at=last_packet(session),
    )


def _count_recent(session: Session, state: IncomingState, since: datetime) -> int:
    """Count the transferables of a state that ended at a time or later."""
    total = select(func.sum(COUNTS.total)).where(COUNTS.state == state)
    same = [COLUMNS.state == state]
    span = Span(column=COLUMNS.finished_at, same=same, after=since, total=total)
    return span.read(session.connection())


def _spans(wanted: Filter) -> list[Span]:
    """Return the stretches of an index that have all rows of a filter, if there are such."""
    if wanted.name or wanted.sha1 is not None:
        return []
    return list_spans(
        [
            (COLUMNS.created_at, wanted.created_after, wanted.created_before),
            (COLUMNS.finished_at, wanted.finished_after, wanted.finished_before),
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
    if finished := _finished(wanted):
        yield by_index(select(COLUMNS.id).where(OWN, *finished))


def _finished(wanted: Filter) -> list[ColumnElement[bool]]:
    return within(COLUMNS.finished_at, wanted.finished_after, wanted.finished_before)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [
        *within(COLUMNS.created_at, wanted.created_after, wanted.created_before),
        *_finished(wanted),
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
