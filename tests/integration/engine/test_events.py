"""Each change of a transferable's state gives one event, once it is committed, and no other."""

from __future__ import annotations

import random
import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from eurydice_core.db.recorded_events import record_event
from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.destination.deliver import mark_lost, remove
from eurydice_core.destination.oversight import expire_transferable
from eurydice_core.errors import StorageError
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RevocationReason
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.oversight import revoke_transferable
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.submit import Submission

DATA = random.Random(1).randbytes(350)


class Recorder:
    """Remembers what event plugins would be told."""

    def __init__(self, *databases) -> None:
        self.facts: list[dict[str, object]] = []
        for database in databases:
            database.report_events_to(self)

    def __call__(self, kind, **facts) -> None:
        self.facts.append({"kind": kind, **facts})

    def kinds(self) -> list[str]:
        """Return what happened since it was last asked."""
        kinds = [str(fact["kind"]) for fact in self.facts]
        self.facts.clear()
        return kinds


@pytest.fixture
def origin(sides):
    return Recorder(sides.origin.database)


@pytest.fixture
def destination(sides):
    return Recorder(sides.destination.database)


def begun(sides) -> Submission:
    submission = Submission(sides.origin, sides.user, name="file")
    submission.write(DATA)
    return submission


def take_back(sides, id) -> None:
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(str(id)), RevocationReason.USER_CANCELED, datetime.now(UTC))


# --- the origin


def test_submitted_and_sent_are_told_once(sides, origin):
    id = sides.submit(DATA)
    sides.send()
    sides.clock.forward(minutes=2)
    sides.send()  # the repeat
    assert [(fact["kind"], str(fact["transferable_id"])) for fact in origin.facts] == [
        (EventKind.SUBMITTED, id),
        (EventKind.SENT, id),
    ]
    assert {fact["username"] for fact in origin.facts} == {"alice"}


def test_small_file_is_submitted_once(sides, origin):
    Submission(sides.origin, sides.user).finish_with(b"small").result()
    assert origin.kinds() == ["submitted"]


@pytest.mark.parametrize("size", [0, 350])
def test_upload_that_fails_is_told_once(sides, origin, size):
    submission = Submission(sides.origin, sides.user, name="file")
    submission.write(DATA[:size])
    submission.fail(RevocationReason.UPLOAD_SIZE_MISMATCH)
    (fact,) = origin.facts
    assert (fact["kind"], fact["reason"]) == ("failed", "UPLOAD_SIZE_MISMATCH")
    assert (fact["username"], fact["name"]) == ("alice", submission._upload.name)


def test_upload_that_died_is_told_once(sides, origin):
    begun(sides)
    sides.clock.forward(days=2)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    cleaner.step()
    (fact,) = origin.facts
    assert (fact["kind"], fact["reason"]) == ("failed", "UPLOAD_INTERRUPTION")


def test_damaged_file_is_told_once(sides, origin):
    id = sides.submit(DATA)
    sides.origin.storage.delete([f"ranges/{id}/100", f"ranges/{id}/200"])
    sides.send()
    assert [(f["kind"], f.get("reason")) for f in origin.facts] == [
        ("submitted", None),
        ("failed", "DATA_DAMAGED"),
    ]


def test_file_taken_back_twice_is_told_once(sides, origin):
    id = sides.submit(DATA)
    origin.kinds()
    take_back(sides, id)
    take_back(sides, id)
    sides.send()
    assert origin.kinds() == ["deleted"]


def test_administrator_who_takes_back_is_named(sides, origin):
    id = sides.submit(DATA)
    revoke_transferable(sides.origin, uuid.UUID(id), "root")
    assert (origin.facts[-1]["kind"], origin.facts[-1]["by"]) == ("deleted", "root")


def test_undone_transaction_tells_nothing(sides, origin):
    with suppress(ZeroDivisionError), sides.origin.database.write() as session:
        record_event(session, EventKind.SENT)
        raise ZeroDivisionError
    assert origin.kinds() == []


def test_failed_change_of_a_group_tells_the_others_once(sides, origin):
    def fine(session):
        record_event(session, EventKind.SENT)

    def broken(session):
        record_event(session, EventKind.FAILED)
        raise ZeroDivisionError

    changes = [sides.origin.database.write_soon(change) for change in (fine, broken, fine)]
    for change in changes:
        change.exception()
    assert origin.kinds() == ["sent", "sent"]


# --- the destination


def test_file_received_is_told_once(sides, destination):
    sides.submit(DATA)
    packets = sides.send()
    sides.deliver(packets)
    sides.deliver(packets)
    assert destination.kinds() == ["received"]


def test_small_file_received_is_told_once(sides, destination):
    sides.submit(b"small")
    packets = sides.send()
    sides.deliver(packets)
    sides.deliver(packets)
    assert destination.kinds() == ["received"]


@pytest.mark.parametrize("size", [50, 350])
def test_file_that_cannot_be_stored_is_told_once_it_is(sides, destination, monkeypatch, size):
    sides.submit(DATA[:size])
    packets = sides.send()

    def broken(*_, **__):
        raise StorageError("no such place")

    with monkeypatch.context() as patch:
        for name in ("write", "assemble"):
            patch.setattr(sides.destination.storage, name, broken)
        sides.deliver(packets)  # the packets go to the quarantine: nothing has ended
    assert destination.kinds() == []
    sides.deliver(packets)
    assert destination.kinds() == ["received"]


def test_wrong_digest_is_told_once(sides, destination, monkeypatch):
    sides.submit(DATA)
    packets = sides.send()
    monkeypatch.setattr(type(sides.receiver._ingest.digests), "finish", lambda *_: b"")
    sides.deliver(packets)
    sides.deliver(packets)
    assert destination.kinds() == ["failed"]


def test_file_that_never_came_is_told_once(sides, destination):
    sides.submit(DATA)
    packets = sides.send()
    sides.clock.forward(minutes=2)
    sides.send()
    for _ in range(3):  # its ending is told again and again
        sides.clock.forward(hours=1)
        sides.deliver([*packets[:1], *sides.send()])
    assert destination.kinds() == ["failed"]
    sides.deliver(packets)
    assert destination.kinds() == ["received"]


def test_revocation_is_told_once(sides, destination):
    id = sides.submit(DATA)
    packets = sides.send()
    take_back(sides, id)
    revocation = sides.send()
    for _ in range(2):
        sides.deliver([*packets[:1], *revocation])
    (fact,) = destination.facts
    assert (fact["kind"], fact["reason"]) == ("revoked", "USER_CANCELED")


def test_revocation_of_an_unknown_file_is_told_once(sides, destination):
    take_back(sides, sides.submit(DATA))
    revocation = sides.send()
    sides.deliver(revocation)
    sides.deliver(revocation)
    assert destination.kinds() == ["revoked"]


def test_file_failed_at_the_origin_is_told_once(sides, destination):
    submission = begun(sides)
    packets = sides.send()
    submission.fail(RevocationReason.OBJECT_STORAGE_FULL)
    sides.deliver(packets)
    sides.deliver(sides.send())
    sides.clock.forward(hours=1)
    sides.deliver(sides.send())
    assert destination.kinds() == ["revoked"]
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.ERROR


def test_expired_and_stale_files_are_told_once(sides, destination):
    sides.submit(DATA)
    sides.deliver(sides.send())
    sides.submit(DATA)
    sides.deliver(sides.send()[:1])
    destination.kinds()
    sides.clock.forward(days=365)
    cleaner = DestinationCleaner(sides.destination, now=sides.clock)
    cleaner.step()
    cleaner.step()
    assert sorted(destination.kinds()) == ["expired", "failed"]


def test_removed_file_is_told_once(sides, destination):
    id = uuid.UUID(sides.submit(DATA))
    sides.deliver(sides.send())
    remove(sides.destination, sides.user.profile, id)
    assert destination.kinds() == ["received", "deleted"]


def test_lost_file_is_told_once(sides, destination):
    id = uuid.UUID(sides.submit(DATA))
    sides.deliver(sides.send())
    mark_lost(sides.destination, id)
    mark_lost(sides.destination, id)
    assert destination.kinds() == ["received", "failed"]


@pytest.mark.parametrize(("packets", "kind"), [(None, "expired"), (1, "failed")])
def test_administrator_who_ends_a_file_is_named(sides, destination, packets, kind):
    id = uuid.UUID(sides.submit(DATA))
    sides.deliver(sides.send()[:packets])
    destination.kinds()
    expire_transferable(sides.destination, id, "root")
    (fact,) = destination.facts
    assert (fact["kind"], fact["by"]) == (kind, "root")
