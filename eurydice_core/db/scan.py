"""Searches a long table newest first, at a bounded cost however little of it is found.

What an index knows bounds where the search begins; everything else is looked at row by
row, and after so many rows the search stops and says from where to go on.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, aliased

from eurydice_core.db.names import contains, fold
from eurydice_core.db.paging import Position
from eurydice_core.db.spans import within
from eurydice_core.db.tables import Base
from eurydice_core.errors import InvalidRequest
from eurydice_core.interfaces.administration import TransferableQuery

__all__ = [
    "Found",
    "Search",
    "read_position",
    "read_states",
    "search",
    "search_for",
    "write_position",
]

MOST_ROWS: Final = 50_000
"""Rows looked at for one page: a tenth of a second or so."""
POSITION: Final = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")
"""Microseconds, up to the year 5138, and an id."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

Conditions = Sequence[ColumnElement[bool]]
State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for in a table that has `created_at` and a UUID `id`."""

    table: type[Base]
    indexed: Conditions
    """Conditions that an index ending in `created_at` and `id` meets."""
    others: Callable[[Any], Conditions] | None
    """Conditions on a row, as an entity of the table; None where there are none."""
    start: Position | None
    """The place that rows follow; None to begin with the newest."""
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """A page of what was found."""

    rows: Sequence[Any]
    next: Position | None
    """The place that the next page follows; None if there is nothing more."""
    was_cut: bool
    """Whether the search stopped because it had looked at enough."""


def search(session: Session, wanted: Search, most: int = MOST_ROWS) -> Found:
    """Return the newest rows that meet all conditions, out of the next `most`."""
    row: Any = wanted.table
    order = (row.created_at.desc(), row.id.asc())
    place = [] if wanted.start is None else [_after(row, wanted.start)]
    looked_at = select(row).where(*wanted.indexed, *place).order_by(*order)
    if wanted.others is None:
        return _page(session.scalars(looked_at.limit(wanted.limit + 1)).all(), wanted.limit)
    seen: Any = aliased(wanted.table, looked_at.limit(most).subquery())
    matching = (
        select(seen)
        .where(*wanted.others(seen))
        .order_by(seen.created_at.desc(), seen.id.asc())
        .limit(wanted.limit + 1)
    )
    found = _page(session.scalars(matching).all(), wanted.limit)
    if found.next is not None:
        return found
    ids = select(row.created_at, row.id).where(*wanted.indexed, *place).order_by(*order)
    last: Any = session.execute(ids.offset(most - 1).limit(1)).first()
    end = None if last is None else Position(last[0], last[1])
    return Found(found.rows, end, was_cut=end is not None)


def search_for(
    table: type[Base],
    query: TransferableQuery,
    owner: ColumnElement[bool] | None,
    states: Sequence[StrEnum],
) -> Search:
    """Return what to look for in a table of transferables.

    Raises:
        InvalidRequest: the query begins nowhere.
    """
    row: Any = table
    indexed = within(row.created_at, query.created_after, query.created_before)
    indexed += [] if owner is None else [owner]
    text = query.text
    try:
        indexed.append(row.id == uuid.UUID(text))
        text = ""
    except ValueError:
        pass
    # An owner's own states are in an index; everybody's are looked through.
    if len(states) == 1 and owner is not None:
        indexed.append(row.state == states[0])
        states = []

    def others(seen: Any) -> Conditions:
        name = [contains(seen.folded_name, fold(text))] if text else []
        return [*name, *([seen.state.in_(states)] if states else [])]

    return Search(
        table=table,
        indexed=indexed,
        others=others if text or states else None,
        start=read_position(query.start),
        limit=query.limit,
    )


def read_states(names: Sequence[str], known: type[State]) -> list[State]:
    """Return states by their names.

    Raises:
        InvalidRequest: one of them is none.
    """
    try:
        return [known(name) for name in names]
    except ValueError as error:
        raise InvalidRequest(f"a state is one of {', '.join(known)}") from error


def write_position(place: Position | None) -> str | None:
    """Return a place as a text that an address can have."""
    if place is None:
        return None
    return f"{(place.created_at - EPOCH) // MICROSECOND}-{place.id.hex}"


def read_position(text: str | None) -> Position | None:
    """Return the place that a text stands for.

    Raises:
        InvalidRequest: it stands for none.
    """
    if not text:
        return None
    match = POSITION.fullmatch(text)
    if match is None:
        raise InvalidRequest("that is no place in a list: begin with its first page")
    return Position(EPOCH + int(match[1]) * MICROSECOND, uuid.UUID(match[2]))


def _page(rows: Sequence[Any], limit: int) -> Found:
    if len(rows) <= limit:
        return Found(rows, None, was_cut=False)
    last = rows[limit - 1]
    return Found(rows[:limit], Position(last.created_at, last.id), was_cut=False)


def _after(row: Any, place: Position) -> ColumnElement[bool]:
    # The first term is implied by the second: it is what an index can use.
    later = or_(row.created_at < place.created_at, row.id > place.id)
    return and_(row.created_at <= place.created_at, later)
