"""Who does what, told to processes on other machines: a name, its holder, and until when.

Times are the database's own, so that machines whose clocks differ agree on them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Float, String, delete, func, or_, select, type_coerce, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from eurydice_core.db.tables import Base
from eurydice_core.db.upsert import insert

__all__ = ["Lease", "drop_leases", "holder_of", "live_holders", "renew_leases", "take_lease"]


class Lease(Base):
    """Something that one process does, for as long as it says that it lives."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[uuid.UUID]
    expires_at: Mapped[float] = mapped_column(Float(53))
    """Seconds since 1970."""


def take_lease(session: Session, name: str, holder: uuid.UUID, seconds: float) -> bool:
    """Take a lease that nobody else holds, or hold it for longer; return whether it is held."""
    now = database_time(session)
    taken = session.execute(
        insert(session, Lease)
        .values(name=name, holder=holder, expires_at=now + seconds)
        .on_conflict_do_update(
            index_elements=[Lease.name],
            set_={"holder": holder, "expires_at": now + seconds},
            where=or_(Lease.holder == holder, Lease.expires_at < now),
        )
        .returning(Lease.name)
    )
    return taken.first() is not None


def renew_leases(
    session: Session, names: Collection[str], holder: uuid.UUID, seconds: float
) -> set[str]:
    """Hold leases for longer; return those that are still held."""
    kept = session.scalars(
        update(Lease)
        .where(Lease.name.in_(names), Lease.holder == holder)
        .values(expires_at=database_time(session) + seconds)
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


def live_holders(session: Session, prefix: str) -> set[uuid.UUID]:
    """Return who holds a lease whose name begins so."""
    query = select(Lease.holder).where(
        Lease.name.startswith(prefix, autoescape=True),
        Lease.expires_at >= database_time(session),
    )
    return set(session.scalars(query))


def holder_of(session: Session, name: str) -> uuid.UUID | None:
    """Return who holds a lease now."""
    query = select(Lease.holder).where(
        Lease.name == name, Lease.expires_at >= database_time(session)
    )
    return session.scalar(query)


def database_time(session: Session) -> float:
    """Return the database's time, in seconds since 1970."""
    clock: ColumnElement[Any]
    if session.get_bind().dialect.name == "postgresql":
        clock = func.extract("epoch", func.clock_timestamp())
    else:
        clock = (func.julianday("now") - 2440587.5) * 86400.0
    return float(session.scalar(select(type_coerce(clock, Float(53)))) or 0.0)
