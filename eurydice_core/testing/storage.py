"""What every storage must do, as tests to inherit."""
# ruff: noqa: S311 (a test's name is its sentence; its bytes are no secrets)

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import HasFreeSpace, HasListing, HasLocalPath, Storage
from eurydice_core.testing.assembly import AssemblyConformance, Broken, content, put_object

__all__ = ["StorageConformance"]

MAX_CHUNK = 4 * 2**20
WRITERS = 8

HOSTILE_KEYS = [
    "",
    ".",
    "..",
    "../outside",
    "a/../b",
    "a/./b",
    "/etc/x",
    "a/",
    "a//b",
    "A",
    "a.b",
    "a b",
    "a\\b",
    "a\n",
    "a\0b",
    "-a",
    "é",
    "а",
    "a" * 201,
    "a/" * 100 + "a",
]


class StorageConformance(AssemblyConformance):
    """Objects appear whole or not at all, and nothing is left behind.

    A subclass gives a fixture `storage`: a new, empty one.
    """

    large_size = 12 * 2**20 + 1
    """Bytes of a large object: more than the storage holds back before it sends any."""
    many_keys = 1500
    """Keys deleted at once: more than the storage asks for in one request."""

    @pytest.mark.parametrize("size", [0, 1, 65_537])
    def test_what_is_written_is_read_back(self, storage: Storage, size: int) -> None:
        data = content(size)
        put_object(storage, "ranges/one", data)
        assert b"".join(storage.read("ranges/one")) == data
        assert storage.size("ranges/one") == size

    def test_large_object_is_read_back_in_chunks_of_4_mib_at_most(self, storage: Storage) -> None:
        data = content(self.large_size)
        with storage.write("large") as writer:
            for start in range(0, len(data), 1_000_003):
                writer.write(memoryview(data)[start : start + 1_000_003])
        chunks = list(storage.read("large"))
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= MAX_CHUNK for chunk in chunks)
        assert storage.size("large") == len(data)

    def test_large_buffer_is_taken_in_one_call(self, storage: Storage) -> None:
        data = content(self.large_size)
        put_object(storage, "large", data)
        assert b"".join(storage.read("large")) == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_buffer_may_be_any_kind_and_is_only_lent(
        self, storage: Storage, kind: type[bytes] | type[bytearray] | type[memoryview]
    ) -> None:
        original = bytearray(b"lent")
        with storage.write("a") as writer:
            writer.write(kind(original))
            original[:] = b"gone"
            writer.write(b"!")
        assert b"".join(storage.read("a")) == b"lent!"

    def test_key_may_be_as_long_as_allowed(self, storage: Storage) -> None:
        key = "a/" * 50 + "b" * 100
        put_object(storage, key, b"deep")
        assert b"".join(storage.read(key)) == b"deep"

    def test_key_may_begin_like_another_key(self, storage: Storage) -> None:
        for key in ("a", "a/b", "a/b/c", "a-b", "ab"):
            put_object(storage, key, key.encode())
        storage.delete(["a/b"])
        for key in ("a", "a/b/c", "a-b", "ab"):
            assert b"".join(storage.read(key)) == key.encode()

    def test_object_is_invisible_until_the_block_ends(self, storage: Storage) -> None:
        with storage.write("a") as writer:
            writer.write(b"x")
            with pytest.raises(ObjectMissing):
                storage.size("a")
        assert storage.size("a") == 1

    @pytest.mark.parametrize("large", [False, True])
    def test_failed_write_leaves_nothing(self, storage: Storage, large: bool) -> None:
        data = content(self.large_size if large else 10)
        with pytest.raises(Broken):
            write_and_break(storage, "a", data)
        self.assert_missing(storage, "a")
        assert list(self.leftovers(storage)) == []

    def test_failed_write_keeps_the_error_it_failed_of(self, storage: Storage) -> None:
        error = FileNotFoundError("of the caller, not of the storage")
        with pytest.raises(FileNotFoundError) as raised, storage.write("a"):
            raise error
        assert raised.value is error

    @pytest.mark.parametrize("large", [False, True])
    def test_failed_write_keeps_the_object_that_was_there(
        self, storage: Storage, large: bool
    ) -> None:
        put_object(storage, "a", b"old")
        with pytest.raises(Broken):
            write_and_break(storage, "a", content(self.large_size if large else 10))
        assert b"".join(storage.read("a")) == b"old"

    def test_writing_an_existing_key_replaces_it(self, storage: Storage) -> None:
        put_object(storage, "a", b"a longer one")
        put_object(storage, "a", b"new")
        assert b"".join(storage.read("a")) == b"new"
        assert storage.size("a") == 3

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, None), (0, 0), (1, 2), (3, 3), (5, None), (9, 10), (10, 10), (10, None), (2, 99)],
    )
    def test_slice_is_what_python_would_cut(
        self, storage: Storage, start: int, stop: int | None
    ) -> None:
        put_object(storage, "a", b"0123456789")
        assert b"".join(storage.read("a", start, stop)) == b"0123456789"[start:stop]

    def test_slice_of_a_large_object_is_exact(self, storage: Storage) -> None:
        data = content(self.large_size)
        put_object(storage, "a", data)
        start, stop = 2**20 - 1, self.large_size - 7
        assert b"".join(storage.read("a", start, stop)) == data[start:stop]

    def test_reading_may_stop_early(self, storage: Storage) -> None:
        data = content(self.large_size)
        put_object(storage, "a", data)
        first = next(chunks := iter(storage.read("a")))
        chunks.close()  # type: ignore[attr-defined] # a generator has it, and most are
        assert data.startswith(first)

    def test_missing_object_is_told_before_the_first_byte(self, storage: Storage) -> None:
        self.assert_missing(storage, "never-written")
        with pytest.raises(ObjectMissing):
            next(iter(storage.read("never-written", 3, 3)), None)

    def test_deleted_object_is_missing(self, storage: Storage) -> None:
        put_object(storage, "a", b"x")
        storage.delete(["a"])
        self.assert_missing(storage, "a")

    def test_deleting_twice_is_no_error(self, storage: Storage) -> None:
        put_object(storage, "a", b"x")
        storage.delete(["a", "a", "never-written"])
        storage.delete(["a"])
        storage.delete([])

    def test_many_objects_are_deleted_at_once(self, storage: Storage) -> None:
        keys = [f"many/{number}" for number in range(self.many_keys)]
        written = random.Random(0).sample(keys, 20)
        for key in [*written, "other"]:
            put_object(storage, key, b"x")
        storage.delete(iter(keys))
        for key in written:
            self.assert_missing(storage, key)
        assert storage.size("other") == 1

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_key_is_refused(self, storage: Storage, key: str) -> None:
        with pytest.raises(StorageError, match="not a storage key"), storage.write(key):
            pass
        for use in (
            lambda: next(iter(storage.read(key))),
            lambda: storage.size(key),
            lambda: storage.delete([key]),
            lambda: storage.assemble(key, piece_size=self.piece_size),
        ):
            with pytest.raises(StorageError, match="not a storage key"):
                use()

    def test_several_threads_write_at_once(self, storage: Storage) -> None:
        together = threading.Barrier(WRITERS)

        def write(number: int) -> None:
            with storage.write(f"thread/{number}") as writer:
                together.wait(timeout=30)
                for _ in range(4):
                    writer.write(bytes([number]) * 50_000)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        for number in range(WRITERS):
            assert b"".join(storage.read(f"thread/{number}")) == bytes([number]) * 200_000

    def test_failing_thread_spoils_nobody_elses_object(self, storage: Storage) -> None:
        together = threading.Barrier(WRITERS)

        def write(number: int) -> None:
            with storage.write(f"thread/{number}") as writer:
                writer.write(bytes([number]) * 50_000)
                together.wait(timeout=30)
                if number % 2:
                    raise Broken

        with ThreadPoolExecutor(WRITERS) as pool:
            outcomes = [pool.submit(write, number) for number in range(WRITERS)]
        for number, outcome in enumerate(outcomes):
            assert isinstance(outcome.exception(), Broken) == bool(number % 2)
            if number % 2:
                self.assert_missing(storage, f"thread/{number}")
            else:
                assert storage.size(f"thread/{number}") == 50_000

    def test_same_key_written_by_two_is_one_of_both(self, storage: Storage) -> None:
        with storage.write("a") as first, storage.write("a") as second:
            first.write(b"first")
            second.write(b"second")
        assert b"".join(storage.read("a")) in (b"first", b"second")
        assert list(self.leftovers(storage)) == []

    def test_check_leaves_nothing(self, storage: Storage) -> None:
        storage.check()
        assert list(self.leftovers(storage)) == []

    def test_free_space_is_told(self, storage: Storage) -> None:
        if not isinstance(storage, HasFreeSpace):
            pytest.skip("not an ability of this storage")
        assert storage.free_space() > 0

    def test_local_path_leads_to_the_bytes(self, storage: Storage) -> None:
        if not isinstance(storage, HasLocalPath):
            pytest.skip("not an ability of this storage")
        put_object(storage, "a", b"bytes")
        assert storage.local_path("a").read_bytes() == b"bytes"
        with pytest.raises(ObjectMissing):
            storage.local_path("never-written")
        with pytest.raises(StorageError, match="not a storage key"):
            storage.local_path("../a")

    def test_listing_finds_objects_and_what_is_in_pieces(self, storage: Storage) -> None:
        listing = with_listing(storage)
        for key in ("files/a", "files/a-b", "other/a"):
            put_object(storage, key, b"x")
        self.begin_and_leave(storage, "files/pieces")
        storage.delete(["files/a-b"])
        storage.check()
        assert set(listing.list_keys("files/")) == {"files/a", "files/pieces"}
        assert set(listing.list_keys("files/p")) == {"files/pieces"}
        assert set(listing.list_keys()) == {"files/a", "files/pieces", "other/a"}
        assert set(listing.list_keys("nothing/")) == set()

    def test_listing_tells_old_from_new(self, storage: Storage) -> None:
        listing = with_listing(storage)
        put_object(storage, "files/a", b"x")
        self.begin_and_leave(storage, "files/pieces")
        now = datetime.now(UTC)
        everything = {"files/a", "files/pieces"}
        assert set(listing.list_keys(before=now - timedelta(hours=1))) == set()
        assert set(listing.list_keys(before=now + timedelta(hours=1))) == everything

    def test_discarded_objects_leave_no_trace_whole_or_in_pieces(self, storage: Storage) -> None:
        listing = with_listing(storage)
        for key in ("files/a", "files/b", "files/both"):
            put_object(storage, key, b"x")
        for key in ("files/pieces", "files/both", "files/pieces-kept"):
            self.begin_and_leave(storage, key)
        listing.discard(["files/a", "files/pieces", "files/both", "files/never-written"])
        self.assert_missing(storage, "files/a", "files/both")
        assert set(listing.list_keys()) == {"files/b", "files/pieces-kept"}
        listing.discard(["files/pieces-kept"])
        assert storage.size("files/b") == 1
        assert list(self.leftovers(storage)) == []

    def test_hostile_key_is_not_discarded(self, storage: Storage) -> None:
        listing = with_listing(storage)
        with pytest.raises(StorageError, match="not a storage key"):
            listing.discard(["../outside"])

    def begin_and_leave(self, storage: Storage, key: str) -> None:
        """Put an object together up to a checkpoint, as one does who is killed then."""
        assembly = storage.assemble(key, piece_size=self.piece_size)
        assembly.put(self.piece_size, content(self.piece_size))
        assembly.checkpoint()

    def assert_missing(self, storage: Storage, *keys: str) -> None:
        """Assert that no way to ask finds these objects."""
        for key in keys:
            with pytest.raises(ObjectMissing) as raised:
                storage.size(key)
            assert raised.value.key == key
            with pytest.raises(ObjectMissing):
                next(iter(storage.read(key)), None)


def write_and_break(storage: Storage, key: str, data: bytes) -> None:
    """Fail in the middle of writing an object."""
    with storage.write(key) as writer:
        writer.write(data)
        raise Broken


def with_listing(storage: Storage) -> HasListing:
    """Return the storage as one that lists; skip the test if it is none."""
    if not isinstance(storage, HasListing):
        pytest.skip("not an ability of this storage")
    return storage
