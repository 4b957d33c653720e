"""Events of a transaction: recorded with the change they are about, reported once it is committed.

A change that is undone reports nothing, and each function that changes a state reports it
in one place, whoever calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.orm import Session

from eurydice_core.model.event import EventKind

__all__ = ["EventReporter", "are_events_wanted", "begin_recording", "record_event", "report_events"]

EventReporter = Callable[..., None]
"""Takes an event's kind and, by keyword, its facts."""

RECORDED: Final = "eurydice_events"


def begin_recording(session: Session) -> None:
    """Have `record_event` keep the events of this session."""
    session.info[RECORDED] = []


def are_events_wanted(session: Session) -> bool:
    """Return whether an event of this session would be reported: its facts may cost a query."""
    return RECORDED in session.info


def record_event(session: Session, kind: EventKind, **facts: Any) -> None:
    """Report an event once this session is committed; a no-op if nobody listens."""
    if are_events_wanted(session):
        session.info[RECORDED].append((kind, facts))


def report_events(session: Session, report: EventReporter) -> None:
    """Report what was recorded; to be called after the commit."""
    for kind, facts in session.info.pop(RECORDED, ()):
        report(kind, **facts)
