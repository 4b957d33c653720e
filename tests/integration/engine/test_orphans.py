"""What a crash left in the storage goes; what a record knows, or somebody else put there, stays."""

from __future__ import annotations

import uuid

import pytest
from loguru import logger

from eurydice_core import orphans
from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.errors import StorageUnavailable
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.testing.assembly import put_object

ID = uuid.UUID(int=1)
LOST = [f"ranges/{ID}/0", f"ranges/{ID}/100"]


@pytest.fixture
def logs():
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


def test_lost_ranges_are_removed_and_known_ones_stay(sides):
    storage = sides.origin.storage
    sides.submit(b"x" * 250)
    kept = set(storage.keys)
    other = ["ranges/none-of-ours", f"ranges/{ID.hex}/0", "elsewhere/a"]
    for key in [*LOST, *other]:
        put_object(storage, key, b"left by a crash")
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    assert storage.keys == {*kept, *LOST, *other}, "young ones may be recorded yet"
    sides.clock.forward(hours=25)
    cleaner.step()
    assert storage.keys == {*kept, *other}


def test_range_of_a_row_that_keeps_nothing_is_removed(sides):
    storage = sides.origin.storage
    id = sides.submit(b"x" * 250)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    for _ in range(2):
        sides.send()
        sides.clock.forward(days=2)
    cleaner.step()
    assert storage.keys == set()
    put_object(storage, f"ranges/{id}/0", b"came back")
    sides.clock.forward(hours=25)
    cleaner.step()
    assert storage.keys == set()


def test_lost_files_whole_and_in_pieces_are_removed_and_known_ones_stay(sides):
    storage = sides.destination.storage
    whole, begun = sides.submit(b"x" * 250), sides.submit(b"y" * 900)
    packets = sides.send()
    sides.deliver(packets[:-1])
    assert sides.incoming()[begun].assembly
    lost = [f"files/{uuid.UUID(int=number)}" for number in range(2)]
    put_object(storage, lost[0], b"left by a crash")
    storage.assemble(lost[1], piece_size=10).checkpoint()
    assert storage.staged(lost[1]) is not None
    sides.clock.forward(hours=25)
    DestinationCleaner(sides.destination, now=sides.clock).step()
    assert storage.keys == {f"files/{whole}"}
    assert storage.staged(lost[1]) is None
    sides.deliver(packets[-1:])
    assert sides.content(begun) == b"y" * 900


def test_many_are_looked_at_in_batches_that_end(sides, monkeypatch):
    monkeypatch.setattr(orphans, "BATCH", 3)
    storage = sides.destination.storage
    for number in range(7):
        put_object(storage, f"files/{uuid.UUID(int=number)}", b"x")
    sides.clock.forward(hours=25)
    cleaner = DestinationCleaner(sides.destination, now=sides.clock)
    left = [len(storage.keys) for _ in range(4) if cleaner.step() is not None]
    assert left == [4, 1, 0, 0]


def test_storage_is_walked_once_a_day(sides):
    storage = sides.origin.storage
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    put_object(storage, LOST[0], b"x")
    sides.clock.forward(hours=23)
    cleaner.step()
    assert LOST[0] in storage.keys
    sides.clock.forward(hours=2)
    cleaner.step()
    assert LOST[0] not in storage.keys


def test_nothing_is_removed_where_another_database_keeps_its_own(sides, logs):
    storage = sides.origin.storage
    put_object(storage, LOST[0], b"another's")
    put_object(storage, "owners/ranges/another", b"")
    sides.clock.forward(days=3)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    assert LOST[0] in storage.keys
    assert any("delete owners/ranges/another" in line for line in logs)
    storage.delete(["owners/ranges/another"])
    sides.clock.forward(days=2)
    cleaner.step()
    assert LOST[0] not in storage.keys


def test_walk_that_broke_off_begins_anew(sides, monkeypatch):
    storage = sides.origin.storage
    put_object(storage, LOST[0], b"x")
    sides.clock.forward(days=3)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)

    def broken(*_, **__):
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "discard", broken)
        with pytest.raises(StorageUnavailable):
            cleaner.step()
    sides.clock.forward(days=2)
    cleaner.step()
    assert LOST[0] not in storage.keys
