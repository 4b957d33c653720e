"""Conditions on many values: one parameter, however many there are.

An `IN` list has a parameter for each value, of which databases take so many in a statement,
and which cost more than what is done with the row that is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, any_, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = ["among"]

T = TypeVar("T")


def among(
    session: Session | Connection, column: InstrumentedAttribute[T] | Column[T], values: Iterable[T]
) -> ColumnElement[bool]:
    """Return what is true where `column` has one of the values."""
    dialect = session.get_bind().dialect if isinstance(session, Session) else session.dialect
    if dialect.name == "postgresql":
        everything = bindparam(None, list(values), type_=ARRAY(column.type))
        return column == any_(everything)
    kept: Any = column.type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
    each = func.json_each(json.dumps([kept(value) for value in values])).table_valued("value")
    return column.in_(select(each.c.value))
