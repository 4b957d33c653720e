"""What has to hold for this side to work, each looked at for itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from tempfile import TemporaryFile
from typing import Any, Final

from eurydice_core.db.facts import (
    DATABASE_CHECKED_AT,
    LAST_PACKET_RECEIVED_AT,
    LAST_PACKET_SENT_AT,
    MAINTENANCE,
    get_fact,
    get_time,
    set_time,
)
from eurydice_core.db.notes import NoteKind, get_notes
from eurydice_core.db.schema import require_migrated
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import HasFreeSpace
from eurydice_core.link.reception import moment
from eurydice_core.model.clock import ChangeAges, Clock, utc_now
from eurydice_core.model.quantities import format_duration, format_size
from eurydice_core.model.states import Side
from eurydice_core.service_ends import read_ends

__all__ = ["Health", "Result", "checks_of"]

STALE_SECONDS: Final = 60.0
"""Sender and receiver note every few seconds that they are there."""
ENDS_SECONDS: Final = 900.0
"""Seconds for which the unexpected end of a service is reported."""
LATE: Final = 3
"""So many times `[sender] heartbeat_every` without a packet is too long."""


class Health(StrEnum):
    """How something is; the worst last."""

    OK = "ok"
    DEGRADED = "degraded"
    """Users can work; somebody should look."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found."""

    health: Health = Health.OK
    reason: str = ""


OK: Final = Result()
Check = Callable[[], Result]
"""Blocks; what it raises is a failure, and the reason of it."""


class _Ages:
    """Seconds since a recorded time; by the wall clock only for what is seen the first time."""

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._changes = ChangeAges()

    def since(self, name: str, at: datetime) -> float:
        """Return the age of `at`, the latest time recorded under a name."""
        return self._changes.age(name, at, first=(self._now() - at).total_seconds())


def checks_of(installation: Installation, now: Clock = utc_now) -> Mapping[str, Check]:
    """Return the checks of a side by name."""
    link = _sender if installation.settings.side is Side.ORIGIN else _receiver
    ages = _Ages(now)
    checks: dict[str, Check] = {
        "database": lambda: _database(installation),
        "migrations": lambda: _migrations(installation),
        "storage": lambda: _storage(installation),
        "disk": lambda: _disk(installation),
        "link": lambda: link(installation, ages),
        "services": lambda: _services(installation, now()),
    }
    if isinstance(installation.storage, HasFreeSpace):
        checks["storage_space"] = lambda: _storage_space(installation)
    return checks


def _database(installation: Installation) -> Result:
    """Write a row: a standby, or a full disk, still answers queries."""
    with installation.database.write(durable=False) as session:
        set_time(session, DATABASE_CHECKED_AT, utc_now())
    return OK


def _migrations(installation: Installation) -> Result:
    require_migrated(installation.database, installation.settings.side)
    return OK


def _storage(installation: Installation) -> Result:
    installation.storage.check()
    return OK


def _disk(installation: Installation) -> Result:
    path = installation.settings.state_dir
    with TemporaryFile(dir=path) as probe:  # a disk that turned read-only still has space
        probe.write(b"check")
        probe.flush()
    return _space(installation, "state_dir", shutil.disk_usage(path).free)


def _storage_space(installation: Installation) -> Result:
    storage = installation.storage
    free = storage.free_space() if isinstance(storage, HasFreeSpace) else 0
    return _space(installation, "the storage", free)


def _space(installation: Installation, place: str, free: int) -> Result:
    low = installation.settings.api.low_space
    if free >= low:
        return OK
    return Result(
        Health.DEGRADED,
        f"{format_size(free)} are free in {place}, less than [api] low_space, {format_size(low)}",
    )


def _sender(installation: Installation, ages: _Ages) -> Result:
    with installation.database.read() as session:
        noted = get_notes(session, NoteKind.SENDER)
        last = get_time(session, LAST_PACKET_SENT_AT)
        if get_fact(session, MAINTENANCE):
            return Result(Health.OK, "maintenance: the sender is held back")
    allowed = LATE * installation.settings.sender.heartbeat_every
    return _alive("sender", noted, ages) or _noted(noted) or _recent(last, allowed, ages)


def _receiver(installation: Installation, ages: _Ages) -> Result:
    with installation.database.read() as session:
        noted = get_notes(session, NoteKind.LINK)
        last = get_time(session, LAST_PACKET_RECEIVED_AT)
    allowed = installation.settings.receiver.expect_packet_every
    return _alive("receiver", noted, ages) or _noted(noted) or _recent(last, allowed, ages)


def _alive(service: str, noted: Mapping[str, Any] | None, ages: _Ages) -> Result | None:
    at = moment(noted.get("recorded_at")) if noted else None
    if at is None:
        return Result(Health.DEGRADED, f"the {service} never ran")
    age = ages.since(service, at)
    if age <= STALE_SECONDS:
        return None
    return Result(
        Health.FAILING,
        f"the {service} has noted nothing for {format_duration(age)}: it does not run, or it waits"
        " for something; its log says for what",
    )


def _noted(noted: Mapping[str, Any] | None) -> Result | None:
    """Return what the daemons themselves report of what keeps them from working."""
    for group, health in (("problems", Health.FAILING), ("warnings", Health.DEGRADED)):
        lines = [line for lines in (noted or {}).get(group, {}).values() for line in lines]
        if lines:
            return Result(health, "; ".join(lines))
    return None


def _services(installation: Installation, now: datetime) -> Result:
    """Report services of this machine that ended by themselves a short time ago."""
    since = now - timedelta(seconds=ENDS_SECONDS)
    lines = []
    for service, ends in read_ends(installation.settings.state_dir).items():
        recent = [end for end in ends if end.at > since]
        if recent:
            last = recent[-1]
            lines.append(
                f"{service} ended {len(recent)} times within {format_duration(ENDS_SECONDS)}, the"
                f" last time at {last.at.isoformat(timespec='seconds')}: {last.reason}"
            )
    return Result(Health.DEGRADED, "; ".join(lines)) if lines else OK


def _recent(last: datetime | None, allowed: float, ages: _Ages) -> Result:
    if last is None:
        return Result(Health.DEGRADED, "no packet has crossed yet")
    age = ages.since("packet", last)
    if age <= allowed:
        return OK
    return Result(
        Health.DEGRADED,
        f"no packet for {format_duration(age)}, not even a heartbeat;"
        f" longer than {format_duration(allowed)} is an alarm",
    )
