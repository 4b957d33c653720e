"""A process that is killed while a user deletes files leaves nothing half done."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.destination import deliver
from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.destination.purge import purgeable
from eurydice_core.errors import ObjectMissing
from eurydice_core.model.states import IncomingState

PROFILE = bytes(8)
FILES = 6
STEPS = 5
"""The states' commit, and a deletion and a commit for each of two batches."""


class Killed(BaseException):
    """What SIGKILL is to code: nothing that handles errors sees it."""


@pytest.fixture
def destination(sides):
    now = datetime.now(UTC)
    with sides.destination.database.write() as session:
        session.add(OriginProfile(profile=PROFILE, created_at=now))
        session.flush()
        for _ in range(FILES):
            id = uuid.uuid4()
            row = IncomingTransferable(
                id=id,
                profile=PROFILE,
                name="file",
                user_provided_meta={},
                size=3,
                bytes_received=3,
                sha1=bytes(20),
                sha256=bytes(32),
                state=IncomingState.SUCCESS,
                stored=True,
                created_at=now,
                received_at=now,
                finished_at=now,
            )
            session.add(row)
            with sides.destination.storage.write(row.key) as writer:
                writer.write(b"abc")
    return sides.destination


def kill_at(monkeypatch, installation, step):
    """Have the process end as its `step`-th durable change begins."""
    left = iter(range(step))

    def counted(change):
        def change_or_die(*args, **more):
            if next(left, None) is None:
                raise Killed
            return change(*args, **more)

        return change_or_die

    monkeypatch.setattr(Database, "write", counted(Database.write))
    monkeypatch.setattr(
        installation.storage, "delete", counted(installation.storage.delete), raising=False
    )


def is_whole(installation, row):
    try:
        return b"".join(installation.storage.read(row.key)) == b"abc"
    except ObjectMissing:
        return False


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_deletion_of_all_leaves_whole_files_or_none(destination, monkeypatch, step):
    monkeypatch.setattr(deliver, "BATCH", FILES // 2)
    with monkeypatch.context() as patches:
        kill_at(patches, destination, step)
        with pytest.raises(Killed):
            deliver.remove_all(destination, PROFILE)
    check(destination, kept=FILES if step == 0 else 0)


@pytest.mark.parametrize("step", range(3))
def test_killed_deletion_of_one_leaves_it_whole_or_gone(destination, monkeypatch, step):
    with destination.database.read() as session:
        id = session.query(IncomingTransferable.id).limit(1).scalar()
    with monkeypatch.context() as patches:
        kill_at(patches, destination, step)
        with pytest.raises(Killed):
            deliver.remove(destination, PROFILE, id)
    check(destination, kept=FILES if step == 0 else FILES - 1)


def check(installation, *, kept):
    """Let the cleaner work; each file is listed and whole, or gone and freed."""
    cleaner = DestinationCleaner(installation)
    cleaner.step()
    assert purgeable(installation, 10) == []
    with installation.database.read() as session:
        rows = session.query(IncomingTransferable).all()
    assert sum(row.state is IncomingState.SUCCESS for row in rows) == kept
    for row in rows:
        is_there = row.state is IncomingState.SUCCESS
        assert (is_whole(installation, row), row.stored) == (is_there, is_there)
