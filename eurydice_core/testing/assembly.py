"""What every storage must do with an object that arrives in pieces: half of the storage kit."""
# ruff: noqa: S311 (a test's name is its sentence; its bytes are no secrets)

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import pytest

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import Assembly, AssemblyState, Storage
from eurydice_core.testing.kit import ConformanceKit

__all__ = ["AssemblyConformance", "Broken", "content", "put_object"]

KEY = "files/assembled"


class Broken(Exception):
    """Something of the caller's own went wrong."""


class AssemblyConformance(ConformanceKit):
    """Pieces in any order become the object, also across a crash at any moment."""

    piece_size = 64 * 1024
    """Bytes of a piece; raise it to the least the storage takes."""

    def reopened(self, storage: Storage) -> Storage:
        """Return the storage as another process sees it after a crash of the first."""
        return storage

    def leftovers(self, storage: Storage) -> Iterable[str]:
        """Return what the storage holds that is no object, where a subclass can tell."""
        return ()

    @pytest.mark.parametrize("seed", range(3))
    def test_pieces_may_come_in_any_order(self, storage: Storage, seed: int) -> None:
        data = content(3 * self.piece_size + 17)
        pieces = self.pieces(data)
        random.Random(seed).shuffle(pieces)
        assembly = self.begin(storage)
        self.put(assembly, pieces)
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    def test_object_may_end_with_a_whole_piece(self, storage: Storage) -> None:
        data = content(2 * self.piece_size)
        assembly = self.begin(storage)
        self.put(assembly, reversed(self.pieces(data)))
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    @pytest.mark.parametrize("missing", [1, 0])
    def test_object_may_be_a_single_piece(self, storage: Storage, missing: int) -> None:
        data = content(self.piece_size - missing)
        assembly = self.begin(storage)
        assembly.put(0, data)
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    def test_object_may_be_empty(self, storage: Storage) -> None:
        assembly = self.begin(storage)
        assembly.commit(0)
        self.assert_whole(storage, b"")

    def test_empty_object_survives_a_crash_before_commit(self, storage: Storage) -> None:
        state = after_crash(self.begin(storage).checkpoint())
        storage = self.reopened(storage)
        self.begin(storage, state).commit(0)
        self.assert_whole(storage, b"")
        self.begin(storage, state).commit(0)
        self.assert_whole(storage, b"")

    def test_piece_may_come_twice(self, storage: Storage) -> None:
        data = content(2 * self.piece_size + 1)
        pieces = self.pieces(data)
        assembly = self.begin(storage)
        self.put(assembly, [*pieces, *reversed(pieces)])
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    def test_buffer_of_a_piece_is_only_lent(self, storage: Storage) -> None:
        data = content(self.piece_size + 5)
        assembly = self.begin(storage)
        for offset, piece in self.pieces(data):
            lent = bytearray(piece)
            assembly.put(offset, memoryview(lent))
            lent[:] = bytes(len(lent))
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    def test_object_is_invisible_before_commit(self, storage: Storage) -> None:
        data = content(self.piece_size + 1)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data))
        assembly.checkpoint()
        with pytest.raises(ObjectMissing):
            storage.size(KEY)
        with pytest.raises(ObjectMissing):
            next(iter(storage.read(KEY)), None)

    def test_object_that_was_there_stays_until_commit(self, storage: Storage) -> None:
        put_object(storage, KEY, b"old")
        data = content(self.piece_size + 1)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data))
        state = after_crash(assembly.checkpoint())
        assert b"".join(storage.read(KEY)) == b"old"
        self.begin(self.reopened(storage), state).commit(len(data))
        self.assert_whole(storage, data)

    @pytest.mark.parametrize("before", [0, 1, 2, 4])
    @pytest.mark.parametrize("after", [0, 1])
    def test_crash_costs_only_what_was_put_since_the_checkpoint(
        self, storage: Storage, before: int, after: int
    ) -> None:
        data = content(3 * self.piece_size + 17)
        pieces = self.pieces(data)
        random.Random(before).shuffle(pieces)
        first = self.begin(storage)
        self.put(first, pieces[:before])
        state = after_crash(first.checkpoint())
        self.put(first, pieces[before : before + after])
        storage = self.reopened(storage)
        second = self.begin(storage, state)
        self.put(second, pieces[before:])
        second.commit(len(data))
        self.assert_whole(storage, data)
        assert list(self.leftovers(storage)) == []

    def test_every_piece_may_be_followed_by_a_checkpoint_and_a_crash(
        self, storage: Storage
    ) -> None:
        data = content(2 * self.piece_size + 17)
        state: AssemblyState | None = None
        for offset, piece in reversed(self.pieces(data)):
            assembly = self.begin(storage, state)
            assembly.put(offset, piece)
            state = after_crash(assembly.checkpoint())
            storage = self.reopened(storage)
        self.begin(storage, state).commit(len(data))
        self.assert_whole(storage, data)

    def test_state_is_small(self, storage: Storage) -> None:
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(content(3 * self.piece_size)))
        assert len(json.dumps(dict(assembly.checkpoint()))) < 2000

    def test_commit_twice_is_a_no_op(self, storage: Storage) -> None:
        data = content(self.piece_size + 1)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data))
        assembly.commit(len(data))
        assembly.commit(len(data))
        self.assert_whole(storage, data)

    @pytest.mark.parametrize("again", [0, 1, 2, 3])
    def test_crash_after_commit_changes_nothing(self, storage: Storage, again: int) -> None:
        """The core did not get to note the commit, so it puts some pieces and commits again."""
        data = content(2 * self.piece_size + 17)
        pieces = self.pieces(data)
        first = self.begin(storage)
        self.put(first, pieces[:1])
        state = after_crash(first.checkpoint())
        self.put(first, pieces[1:])
        first.commit(len(data))
        storage = self.reopened(storage)
        second = self.begin(storage, state)
        self.put(second, pieces[3 - again :])
        self.assert_whole(storage, data)
        second.commit(len(data))
        self.assert_whole(storage, data)
        assert list(self.leftovers(storage)) == []

    def test_checkpoint_after_a_forgotten_commit_changes_nothing(self, storage: Storage) -> None:
        data = content(self.piece_size + 17)
        first = self.begin(storage)
        self.put(first, self.pieces(data))
        state = after_crash(first.checkpoint())
        first.commit(len(data))
        storage = self.reopened(storage)
        state = after_crash(self.begin(storage, state).checkpoint())
        self.begin(storage, state).commit(len(data))
        self.assert_whole(storage, data)
        assert list(self.leftovers(storage)) == []

    def test_commit_with_bytes_missing_is_refused(self, storage: Storage) -> None:
        assembly = self.begin(storage)
        assembly.put(0, content(self.piece_size))
        with pytest.raises(StorageError):
            assembly.commit(self.piece_size + 1)
        with pytest.raises(ObjectMissing):
            storage.size(KEY)

    @pytest.mark.parametrize("checkpoint", [False, True])
    def test_abort_leaves_nothing(self, storage: Storage, checkpoint: bool) -> None:
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(content(2 * self.piece_size + 17)))
        if checkpoint:
            assembly = self.begin(self.reopened(storage), after_crash(assembly.checkpoint()))
        assembly.abort()
        assembly.abort()
        with pytest.raises(ObjectMissing):
            storage.size(KEY)
        assert list(self.leftovers(storage)) == []

    def test_abort_of_nothing_is_a_no_op(self, storage: Storage) -> None:
        self.begin(storage).abort()
        assert list(self.leftovers(storage)) == []

    def test_beginning_anew_throws_away_what_an_earlier_try_left(self, storage: Storage) -> None:
        earlier = self.begin(storage)
        self.put(earlier, self.pieces(content(3 * self.piece_size, seed=1)))
        earlier.checkpoint()
        storage = self.reopened(storage)
        data = content(self.piece_size + 17, seed=2)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data))
        assembly.commit(len(data))
        self.assert_whole(storage, data)
        assert list(self.leftovers(storage)) == []

    def test_assemblies_of_different_keys_do_not_meet(self, storage: Storage) -> None:
        keys = ["files/a", "files/a-b", "files/a/b"]
        data = {key: content(self.piece_size + 17, seed=n) for n, key in enumerate(keys)}
        assemblies = {key: storage.assemble(key, piece_size=self.piece_size) for key in keys}
        for key in keys:
            self.put(assemblies[key], reversed(self.pieces(data[key])))
        assemblies["files/a"].abort()
        for key in keys[1:]:
            assemblies[key].commit(len(data[key]))
            assert b"".join(storage.read(key)) == data[key]

    def begin(self, storage: Storage, state: AssemblyState | None = None) -> Assembly:
        """Begin, or go on with, the object these tests are about."""
        return storage.assemble(KEY, piece_size=self.piece_size, state=state)

    def pieces(self, data: bytes) -> list[tuple[int, bytes]]:
        """Cut data as the core does."""
        size = self.piece_size
        return [(start, data[start : start + size]) for start in range(0, len(data), size)]

    def put(self, assembly: Assembly, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Put several pieces."""
        for offset, piece in pieces:
            assembly.put(offset, piece)

    def assert_whole(self, storage: Storage, data: bytes) -> None:
        """Assert that the assembled object is this data."""
        assert storage.size(KEY) == len(data)
        assert b"".join(storage.read(KEY)) == data


def content(size: int, seed: int = 0) -> bytes:
    """Return bytes that look like no other bytes, the same ones each time."""
    return random.Random(f"{seed} {size}").randbytes(size)


def put_object(storage: Storage, key: str, data: bytes) -> None:
    """Write a whole object."""
    with storage.write(key) as writer:
        writer.write(data)


def after_crash(state: AssemblyState) -> AssemblyState:
    """Return a state as it comes back from the database."""
    back: AssemblyState = json.loads(json.dumps(dict(state)))
    return back
