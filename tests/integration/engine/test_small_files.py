"""Small files live in the database, and go the same way as all others."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from sqlalchemy import select

from eurydice_core.db.outgoing import OutgoingContent, OutgoingRange
from eurydice_core.errors import DigestMismatch, SizeMismatch, TooLarge
from eurydice_core.model.states import IncomingState, OutgoingState, RevocationReason
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.submit import Submission


def submit(sides, *contents, **more):
    """Submit all of these at once; return their ids."""
    submissions = [Submission(sides.origin, sides.user, **more) for _ in contents]
    queued = [
        submission.finish_with(content)
        for submission, content in zip(submissions, contents, strict=True)
    ]
    return [str(one.result().id) for one in queued]


def send_all(sides):
    """Send everything, as often as it is sent."""
    for _ in range(3):
        sides.send()
        sides.clock.forward(hours=1)


def kept(sides):
    with sides.origin.database.read() as session:
        return {row.data for row in session.scalars(select(OutgoingContent))}


def held(sides):
    with sides.origin.database.read() as session:
        return [(row.stored, row.inline) for row in session.scalars(select(OutgoingRange))]


def test_small_files_arrive_beside_others(sides):
    contents = [b"", b"x", b"small" * 20]
    ids = submit(sides, *contents, name="small")
    ids.append(sides.submit(b"y" * 450))
    sides.deliver(sides.send())
    for id, content in zip(ids, [*contents, b"y" * 450], strict=True):
        incoming = sides.incoming()[id]
        assert (incoming.state, incoming.sha256) == (
            IncomingState.SUCCESS,
            hashlib.sha256(content).digest(),
        )
        assert sides.outgoing()[id].state is OutgoingState.SUCCESS


def test_what_was_sent_and_kept_long_enough_is_removed(sides):
    submit(sides, b"one", b"two")
    assert kept(sides) == {b"one", b"two"}
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    send_all(sides)
    cleaner.step()
    assert kept(sides) == {b"one", b"two"}  # for repairs
    sides.clock.forward(days=2)
    cleaner.step()
    assert (kept(sides), held(sides)) == (set(), [(False, False)] * 2)


def test_what_was_taken_back_is_removed_and_not_sent(sides):
    first, second = submit(sides, b"one", b"two")
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(first), RevocationReason.USER_CANCELED, sides.clock())
    OriginCleaner(sides.origin, now=sides.clock).step()
    assert kept(sides) == {b"two"}
    sides.deliver(sides.send())
    assert sides.incoming()[first].state is IncomingState.REVOKED
    assert sides.incoming()[second].state is IncomingState.SUCCESS


def test_a_record_that_is_trimmed_takes_its_bytes_along(sides):
    submit(sides, b"one")
    send_all(sides)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    sides.clock.forward(days=30)
    cleaner.step()
    cleaner.step()
    assert (kept(sides), sides.outgoing()) == (set(), {})


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"size": 4}, SizeMismatch),
        ({"size": 2}, SizeMismatch),
        ({"digests": {"sha-256": bytes(32)}}, DigestMismatch),
        ({"digests": {"sha-512": bytes(64)}}, DigestMismatch),
    ],
)
def test_what_is_not_as_announced_is_not_queued(sides, more, error):
    submission = Submission(sides.origin, sides.user, **more)
    with pytest.raises(error):
        submission.finish_with(b"one")
    submission.fail(RevocationReason.UNEXPECTED_EXCEPTION)
    assert kept(sides) == set()
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.ERROR


def test_more_than_may_be_is_not_queued(sides):
    limit = sides.origin.settings.upload.model_copy(update={"max_size": 2})
    settings = sides.origin.settings.model_copy(update={"upload": limit})
    object.__setattr__(sides.origin, "settings", settings)
    with pytest.raises(TooLarge):
        Submission(sides.origin, sides.user).finish_with(b"one")
