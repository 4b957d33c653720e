"""The receiver's own record of its link, from this side's database."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from eurydice_core.config import Settings
from eurydice_core.db.notes import NoteKind, get_notes
from eurydice_core.db.schema import require_migrated, wanted_revision
from eurydice_core.errors import DatabaseNotMigrated, EurydiceError
from eurydice_core.installation import open_database
from eurydice_core.link.diagnosis import Diagnosis, Finding, Level, LinkFacts
from eurydice_core.link.reception import LinkRecord, ReceptionFacts, diagnose_reception
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side

__all__ = ["Reception", "read_reception", "read_record"]

PLACE: Final = "receiver's record"


@dataclass(frozen=True, slots=True)
class Reception:
    """What there is to know of the receiver's side of the link, or why there is nothing."""

    record: LinkRecord | None = None
    why_none: str | None = None

    def since(self, earlier: Reception) -> Reception:
        """Return what was noted after another reading."""
        if self.record is None or earlier.record is None:
            return self
        return Reception(self.record.since(earlier.record))

    def diagnosis(self, settings: Settings, link: LinkFacts) -> Diagnosis:
        """Say what it means."""
        if self.record is None:
            notes = [Finding(level=Level.NOTE, place=PLACE, what=self.why_none or "")]
            return Diagnosis(findings=notes if self.why_none else [], sound=[])
        expected = settings.receiver.expect_packet_every
        facts = ReceptionFacts(now=utc_now(), expect_packet_every=expected, watched=link.watched)
        return diagnose_reception(self.record, facts)

    def facts(self) -> dict[str, Any] | None:
        """Return the record for programs."""
        return None if self.record is None else asdict(self.record)


def read_reception(settings: Settings) -> Reception:
    """Return what the receiver noted, if there is one on this side."""
    if settings.side is Side.ORIGIN:
        return Reception()
    try:
        record = read_record(settings)
    except EurydiceError as error:
        return Reception(why_none=f"cannot be read, so only this machine was examined: {error}")
    if record is None:
        return Reception(why_none="there is none yet: the receiver has not run here")
    return Reception(record)


def read_record(settings: Settings) -> LinkRecord | None:
    """Return what the receiver noted last; None if it has not noted anything yet.

    Raises:
        DatabaseError: the database cannot be read.
    """
    with open_database(settings) as database:
        if database.is_sqlite and not Path(database.engine.url.database or "").exists():
            # Opening it would make it, for whoever runs this and not for the service.
            raise DatabaseNotMigrated(database.name, None, wanted_revision(settings.side))
        require_migrated(database, settings.side)
        with database.read() as session:
            noted = get_notes(session, NoteKind.LINK)
    return None if noted is None else LinkRecord.read(noted)
