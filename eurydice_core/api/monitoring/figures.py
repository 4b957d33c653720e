"""What the database knows of a side, for Prometheus: what waits, how the link does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from eurydice_core.api.monitoring.families import counters, gauge, labelled, moment
from eurydice_core.api.monitoring.measures import Family
from eurydice_core.db.facts import (
    LAST_PACKET_RECEIVED_AT,
    LAST_PACKET_SENT_AT,
    MAINTENANCE,
    get_fact,
    get_time,
)
from eurydice_core.db.notes import NoteKind, get_notes
from eurydice_core.destination import backlog as incoming
from eurydice_core.installation import Installation
from eurydice_core.link.reception import LinkRecord, StreamRecord
from eurydice_core.link.reception import moment as read_moment
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side
from eurydice_core.origin import backlog as outgoing

__all__ = ["read_figures"]

SHOWN_STREAMS: Final = 5
"""A sender that starts again begins another stream; those of long ago are nobody's concern."""


def read_figures(installation: Installation) -> list[Family]:
    """Return what the database knows; blocking."""
    settings = installation.settings
    since = utc_now() - timedelta(seconds=settings.api.metrics_window)
    named = settings.api.metrics_users
    with installation.database.read() as session:
        if settings.side is Side.ORIGIN:
            parts = _origin(session, outgoing.backlog(session), named)
            ended: dict[Any, int] = dict(outgoing.recently_ended(session, since))
        else:
            parts = _destination(session, incoming.backlog(session), named)
            ended = dict(incoming.recently_ended(session, since))
            silence = settings.receiver.expect_packet_every
            parts = chain(
                parts,
                gauge("expect_packet_every_seconds", "Longer silence is an alarm.", silence),
            )
        recent = labelled(
            "recent_transferables",
            "Transferables that ended within [api] metrics_window.",
            ("state",),
            (((state.value,), count) for state, count in ended.items()),
        )
        return [*parts, *recent]


class _OfUser(Protocol):
    @property
    def username(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Labels:
    """Gives names to the users that come first, and none to the others."""

    named: frozenset[str]

    @classmethod
    def first(cls, users: Sequence[_OfUser], count: int) -> _Labels:
        return cls(frozenset(user.username for user in users[:count]))

    def of(self, user: _OfUser) -> str:
        return user.username if user.username in self.named else ""


def _origin(session: Session, users: Sequence[outgoing.Backlog], named: int) -> Iterator[Family]:
    label = _Labels.first(users, named).of
    yield from labelled(
        "queue_transferables",
        "Transferables that are not sent yet.",
        ("user", "state"),
        (
            ((label(user), state.value), count)
            for user in users
            for state, count in user.transferables.items()
        ),
    )
    yield from labelled(
        "queue_ranges",
        "Ranges that wait to be sent.",
        ("user",),
        (((label(user),), user.ranges) for user in users),
    )
    yield from labelled(
        "queue_bytes",
        "Bytes that wait to be sent.",
        ("user",),
        (((label(user),), user.bytes) for user in users),
    )
    oldest = outgoing.oldest_range(session)
    yield from moment("queue_oldest_range", "When the range came that waits longest.", oldest)
    yield from moment(
        "last_packet_sent", "When the link last took one.", get_time(session, LAST_PACKET_SENT_AT)
    )
    maintenance = bool(get_fact(session, MAINTENANCE))
    yield from gauge("maintenance", "Whether the sender is held back.", maintenance)
    noted = get_notes(session, NoteKind.SENDER) or {}
    yield from moment(
        "sender_recorded", "When the sender last noted this.", read_moment(noted.get("recorded_at"))
    )
    yield from counters("sender", "Since the sender was started", noted.get("sender", {}))
    yield from counters("transport", "Since the sender was started", noted.get("transport", {}))


def _destination(
    session: Session, users: Sequence[incoming.Backlog], named: int
) -> Iterator[Family]:
    label = _Labels.first(users, named).of
    yield from labelled(
        "incoming_transferables",
        "Transferables of which not everything came yet.",
        ("user",),
        (((label(user),), user.transferables) for user in users),
    )
    yield from labelled(
        "incoming_bytes",
        "Bytes that came of those.",
        ("user",),
        (((label(user),), user.bytes) for user in users),
    )
    yield from moment(
        "last_packet_received",
        "When the link last brought one.",
        get_time(session, LAST_PACKET_RECEIVED_AT),
    )
    record = LinkRecord.read(get_notes(session, NoteKind.LINK) or {})
    yield from moment("receiver_recorded", "When the receiver last noted this.", record.recorded_at)
    yield from counters("receiver", "Since the receiver was started", record.receiver)
    yield from counters("transport", "Since the receiver was started", record.transport)
    yield from _streams(list(record.streams.items())[-SHOWN_STREAMS:])


def _streams(streams: Sequence[tuple[str, StreamRecord]]) -> Iterator[Family]:
    yield from labelled(
        "stream_packets",
        "Packets that came of the last runs of a sender.",
        ("stream",),
        (((id,), stream.packets) for id, stream in streams),
    )
    yield from labelled(
        "stream_missing_packets",
        "Packets that did not.",
        ("stream",),
        (((id,), stream.missing) for id, stream in streams),
    )
    yield from labelled(
        "stream_last_packet_timestamp_seconds",
        "When the last one came.",
        ("stream",),
        (
            ((id,), stream.last_packet_at.timestamp())
            for id, stream in streams
            if stream.last_packet_at
        ),
    )
