"""Counts the rows between two times by the shorter way: those within, or the total less the others.

Counting a million entries of an index takes a tenth of a second or more. A filter by date mostly
excludes few rows or most of them, and triggers count all rows of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.sql.elements import KeyedColumnElement

__all__ = ["Span", "Times", "list_spans", "within"]

Times = tuple[KeyedColumnElement[Any], datetime | None, datetime | None]
"""A column and its bounds."""


def within(
    column: ColumnElement[Any],
    after: datetime | None,
    before: datetime | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a time between two bounds, both inclusive, each optional."""
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        conditions.append(column >= after)
    if before is not None:
        conditions.append(column <= before)
    return conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The rows of which a column is between two times, both inclusive.

    An index begins with the columns of `same` and then has this column.
    """

    column: KeyedColumnElement[Any]
    same: Sequence[ColumnElement[bool]]
    """Conditions of equality, on the owner and the state."""
    after: datetime | None
    before: datetime | None = None
    total: Select[Any] | None = None
    """Reads how many rows meet `same`, if a counter knows that."""

    def is_most(self, connection: Connection, values: Mapping[str, object]) -> bool:
        """Estimate from the oldest and the newest time whether most rows are within.

        A wrong estimate makes the count slower, not wrong.
        """
        known = select(self.column).where(*self.same, self.column.is_not(None)).limit(1)
        ends = select(
            known.order_by(self.column).scalar_subquery(),
            known.order_by(self.column.desc()).scalar_subquery(),
        )
        oldest, newest = connection.execute(ends, values).one()
        if oldest is None:
            return False
        first = oldest if self.after is None else max(self.after, oldest)
        last = newest if self.before is None else min(self.before, newest)
        return bool(2 * (last - first) >= newest - oldest and first <= last)

    def count(self, *, is_most: bool) -> ColumnElement[int]:
        """Return the expression of the number of these rows, read one way or the other."""
        if not is_most or self.total is None:
            return self._counted(*within(self.column, self.after, self.before))
        count: ColumnElement[int] = func.coalesce(self.total.scalar_subquery(), 0)
        if self.after is not None:
            count = count - self._counted(self.column < self.after)
        if self.before is not None:
            count = count - self._counted(self.column > self.before)
        if self.column.nullable:
            count = count - self._counted(self.column.is_(None))
        return count

    def read(self, connection: Connection) -> int:
        """Return the number of these rows."""
        is_most = self.is_most(connection, {})
        return int(connection.scalar(select(self.count(is_most=is_most))) or 0)

    def _counted(self, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        rows = select(func.count()).select_from(self.column.table)
        return rows.where(*self.same, *conditions).scalar_subquery()


def list_spans(
    times: Sequence[Times],
    owner: ColumnElement[bool],
    states: tuple[KeyedColumnElement[Any], Sequence[object]],
    total: Select[Any],
    total_state: KeyedColumnElement[Any],
) -> list[Span]:
    """Return the spans that together are the rows of a filter by one time and perhaps by states.

    Args:
        times: those of a filter; the first column is the one that lists are ordered by.
        owner: whose rows.
        states: the column of states, and the wanted ones; none of them for all.
        total: reads how many rows the owner has.
        total_state: the column of states of that counter.

    Returns:
        Nothing if no index has those rows in one stretch for each state.
    """
    given = [each for each in times if each[1] or each[2]]
    if len(given) != 1:
        return []
    column, after, before = given[0]
    state, wanted = states
    if not wanted:
        return [Span(column=column, same=[owner], after=after, before=before, total=total)]
    if column is not times[0][0]:
        return []
    return [
        Span(
            column=column,
            same=[owner, state == each],
            after=after,
            before=before,
            total=total.where(total_state == each),
        )
        for each in dict.fromkeys(wanted)
    ]
