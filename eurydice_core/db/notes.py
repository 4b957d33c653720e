"""What several processes of one kind note of their work, read as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from eurydice_core.db.facts import set_fact
from eurydice_core.db.tables import Fact

__all__ = ["NoteKind", "get_notes", "set_note"]

FRESH: Final = timedelta(seconds=20)
"""A note so much older than the newest one is of a process that is no more."""
LEAST: Final = frozenset({"margin_percent"})
"""What is no sum of all, but the worst of them."""
SIDE_BY_SIDE: Final = frozenset({"problems", "streams", "warnings"})
"""Groups whose keys are of one process each."""


class NoteKind(Enum):
    """The kinds of processes that leave notes; no strings, so that none is read as a fact."""

    LINK = "link"
    """Receivers: `LinkWatch.record`."""
    SENDER = "sender"
    """Senders: `SenderWatch.record`."""


def set_note(session: Session, kind: NoteKind, place: str, note: Mapping[str, Any]) -> None:
    """Note what the process at a place does, instead of what stood there.

    Args:
        session: a transaction that writes.
        kind: which processes it is one of.
        place: tells processes that live at the same time apart; the next one in that place
            goes on with it.
        note: counters by group, and `recorded_at`.
    """
    set_fact(session, f"{kind.value}/{place}", dict(note))


def get_notes(session: Session, kind: NoteKind) -> dict[str, Any] | None:
    """Return the sum of what living processes noted; the last one's note if none lives."""
    query = select(Fact.value).where(Fact.name.startswith(f"{kind.value}/", autoescape=True))
    notes = sorted(session.scalars(query), key=lambda note: _when(note) or "")
    if not notes:
        return None
    newest = _when(notes[-1])
    if newest is None:
        return dict(notes[-1])
    since = datetime.fromisoformat(newest) - FRESH
    return _together(
        [note for note in notes if (at := _when(note)) and datetime.fromisoformat(at) >= since]
    )


def _when(note: Mapping[str, Any]) -> str | None:
    at = note.get("recorded_at")
    return None if at is None else str(at)


def _together(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up counters, put streams side by side, and take anything else from the newest."""
    whole: dict[str, Any] = {}
    for note in notes:
        for group, value in note.items():
            before = whole.get(group)
            if not (isinstance(value, dict) and isinstance(before, dict)):
                whole[group] = value
            elif group in SIDE_BY_SIDE:
                whole[group] = {**before, **value}
            else:
                whole[group] = _added(before, value)
    return whole


def _added(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    total = Counter(before)
    total.update(after)
    worst = {
        name: min(before.get(name, number), after.get(name, number))
        for name, number in total.items()
        if name in LEAST
    }
    return {**total, **worst}
