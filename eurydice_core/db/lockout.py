"""Wrong passwords are counted, and after too many of them none is looked at for a while.

They are counted for a user name together with an address, so that nobody can lock out
somebody else, and, ten times as many, for an address alone, which may try many names.
Names that do not exist are counted in the same way. A count is forgotten when its window
ends, or its lockout, or (that of the name) with a right password.

Times are of the database's clock, which all processes share. An end that lies further ahead than
twice a window or a lockout is from before a step back of that clock: it has passed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from loguru import logger
from sqlalchemy import ColumnElement, and_, case, delete, not_, select
from sqlalchemy.orm import Session

from eurydice_core.db.engine import Database
from eurydice_core.db.leases import DatabaseClock, database_now
from eurydice_core.db.tables import SignInFailures
from eurydice_core.db.upsert import insert

__all__ = ["Lockout", "LockoutRules", "Standing", "place_of"]

BATCH = 1000
"""Counts forgotten at once; each failure takes its time, so hardly more end between two."""
NAMES = 10
"""How many times the attempts of one name an address has for all names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutRules:
    """How often is too often."""

    attempts: int
    window: float
    """Seconds."""
    duration: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts against the next password."""

    seconds: float
    """For how long it is not looked at."""
    failed: bool
    """Whether wrong ones of this name are counted, to be forgotten with a right one."""


@dataclass(frozen=True, slots=True)
class _Count:
    """One of the things that are counted."""

    key: bytes
    limit: int
    label: str
    is_address: bool = False


class Lockout:
    """Counts in the database, since any process may be asked next."""

    def __init__(
        self,
        database: Database,
        rules: LockoutRules,
        *,
        now: DatabaseClock = database_now,
    ) -> None:
        self._database = database
        self._rules = rules
        self._now = now

    def standing(self, session: Session, username: str, address: str) -> Standing:
        """Return what counts against the passwords of a name from an address."""
        now, row = self._now(session), SignInFailures
        counts = {count.key: count for count in self._counts(username, address)}
        query = select(row).where(row.key.in_(counts), self._counts_at(now))
        seconds, failed = 0.0, False
        for known in session.scalars(query):
            count = counts[known.key]
            failed = failed or not count.is_address
            if known.failures >= count.limit:
                seconds = max(seconds, (known.ends_at - now).total_seconds())
        return Standing(seconds, failed)

    def note_failure(self, username: str, address: str) -> None:
        """Count a wrong password, and forget what ended."""
        locked = []
        self._trim()
        with self._database.write() as session:
            now = self._now(session)
            for count in self._counts(username, address):
                if self._failures(session, count, now) == count.limit:
                    locked.append(count.label)
        for label in locked:
            logger.warning(
                "too many wrong passwords for {}: none is looked at for {:g} seconds",
                label,
                self._rules.duration,
            )

    def forget(self, username: str, address: str) -> None:
        """Forget the wrong passwords of a name, after a right one; the address' count on."""
        key = next(self._counts(username, address)).key
        with self._database.write() as session:
            session.execute(delete(SignInFailures).where(SignInFailures.key == key))

    def _counts_at(self, now: datetime) -> ColumnElement[bool]:
        """Return the predicate of counts that have not ended."""
        row, rules = SignInFailures, self._rules
        longest = now + 2 * timedelta(seconds=max(rules.window, rules.duration))
        return and_(row.ends_at > now, row.ends_at <= longest)

    def _trim(self) -> None:
        """Delete counts that have ended, except those that another process is changing."""
        row = SignInFailures
        with self._database.write() as session:
            ended = select(row.key).where(not_(self._counts_at(self._now(session)))).limit(BATCH)
            session.execute(
                delete(row)
                .where(row.key.in_(ended.with_for_update(skip_locked=True)))
                .execution_options(synchronize_session=False)
            )

    def _failures(self, session: Session, count: _Count, now: datetime) -> int:
        row, rules = SignInFailures, self._rules
        window_end = now + timedelta(seconds=rules.window)
        lockout_end = now + timedelta(seconds=rules.duration)
        first_end = lockout_end if count.limit == 1 else window_end
        ended = not_(self._counts_at(now))
        failures: int = session.scalar(
            insert(session, row)
            .values(key=count.key, failures=1, ends_at=first_end)
            .on_conflict_do_update(
                index_elements=[row.key],
                set_={
                    "failures": case((ended, 1), else_=row.failures + 1),
                    "ends_at": case(
                        (ended, first_end),
                        (row.failures + 1 == count.limit, lockout_end),
                        else_=row.ends_at,
                    ),
                },
            )
            .returning(row.failures)
        )
        return failures

    def _counts(self, username: str, address: str) -> Iterator[_Count]:
        place = place_of(address)
        attempts = self._rules.attempts
        yield _Count(_key(place, username), attempts, f"user name {username[:150]!r} at {place}")
        yield _Count(_key(place), attempts * NAMES, f"all user names at {place}", True)


def _key(*parts: str) -> bytes:
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "big") + data)
    return hasher.digest()


def place_of(address: str) -> str:
    """Return what one person has: an IPv4 address, or a network of IPv6 addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:45]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
