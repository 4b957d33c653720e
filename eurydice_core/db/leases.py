"""Leases in the database: a name, its holder, and a counter that the holder raises.

A lease ends when its counter has stood still for its duration on the observer's own monotonic
clock, so no clock that steps ends or prolongs one: see `eurydice_core.leases`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    String,
    and_,
    delete,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from eurydice_core.db.tables import Base
from eurydice_core.db.upsert import insert

__all__ = [
    "DatabaseClock",
    "Lease",
    "database_now",
    "database_time",
    "drop_leases",
    "get_leases",
    "renew_leases",
    "take_lease",
]


DatabaseClock = Callable[[Session], datetime]
"""Returns the time of a session's database, in UTC."""


class Lease(Base):
    """Lease of one process; it lasts for as long as the process raises the counter."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[uuid.UUID]
    renewals: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    expires_at: Mapped[float] = mapped_column(Float(53))
    """Seconds since 1970 on the database's clock; a hint for who has not observed the counter."""


def get_leases(session: Session, prefix: str) -> list[Lease]:
    """Return the leases whose names begin with `prefix`, ended ones as well."""
    return list(
        session.scalars(select(Lease).where(Lease.name.startswith(prefix, autoescape=True)))
    )


def take_lease(
    session: Session, name: str, holder: uuid.UUID, seconds: float, ended: Lease | None
) -> bool:
    """Take a free lease, renew an own one, or replace `ended`; return whether it is held.

    Args:
        session: a transaction that writes.
        name: the lease.
        holder: who is to have it.
        seconds: its duration.
        ended: the lease as it was when it was seen to have ended.
    """
    mine: ColumnElement[bool] = Lease.holder == holder
    if ended is not None:
        unchanged = and_(Lease.holder == ended.holder, Lease.renewals == ended.renewals)
        mine = or_(mine, unchanged)
    expires_at = database_time(session) + seconds
    taken = session.execute(
        insert(session, Lease)
        .values(name=name, holder=holder, renewals=0, expires_at=expires_at)
        .on_conflict_do_update(
            index_elements=[Lease.name],
            set_={"holder": holder, "renewals": Lease.renewals + 1, "expires_at": expires_at},
            where=mine,
        )
        .returning(Lease.name)
    )
    return taken.first() is not None


def renew_leases(
    session: Session, names: Collection[str], holder: uuid.UUID, seconds: float
) -> set[str]:
    """Raise the counters of leases; return the names of those that are still held."""
    kept = session.scalars(
        update(Lease)
        .where(Lease.name.in_(names), Lease.holder == holder)
        .values(renewals=Lease.renewals + 1, expires_at=database_time(session) + seconds)
        .returning(Lease.name)
        .execution_options(synchronize_session=False)
    )
    return set(kept)


def drop_leases(session: Session, names: Collection[str], holder: uuid.UUID) -> None:
    """Give leases up, so that others need not wait for their end."""
    session.execute(
        delete(Lease)
        .where(Lease.name.in_(names), Lease.holder == holder)
        .execution_options(synchronize_session=False)
    )


def database_time(session: Session) -> float:
    """Return the time of the database's clock, in seconds since 1970."""
    clock: ColumnElement[Any]
    if session.get_bind().dialect.name == "postgresql":
        clock = func.extract("epoch", func.clock_timestamp())
    else:
        clock = (func.julianday("now") - 2440587.5) * 86400.0
    return float(session.scalar(select(type_coerce(clock, Float(53)))) or 0.0)


def database_now(session: Session) -> datetime:
    """Return the time of the database's clock, in UTC: the same for all processes."""
    return datetime.fromtimestamp(database_time(session), UTC)
