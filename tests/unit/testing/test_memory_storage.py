"""The storage in memory passes the kit, so that tests built on it mean something."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.storage import Storage
from eurydice_core.testing.fakes.storage import MemoryStorage
from eurydice_core.testing.storage import StorageConformance


class TestMemoryStorage(StorageConformance):
    """The fake under the kit."""

    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()

    def leftovers(self, storage: Storage) -> Iterable[str]:
        assert isinstance(storage, MemoryStorage)
        return [] if storage.staged("files/assembled") is None else ["files/assembled"]


class TestKit:
    """The kit fails a storage that does wrong."""

    def test_a_storage_that_keeps_failed_writes_does_not_pass(self) -> None:
        class Careless(MemoryStorage):
            def size(self, key: str) -> int:
                return 0

        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            StorageConformance().test_failed_write_leaves_nothing(Careless(), large=False)


def test_pieces_put_since_the_checkpoint_are_gone_after_a_crash() -> None:
    storage = MemoryStorage()
    assembly = storage.assemble("a", piece_size=1)
    assembly.put(0, b"a")
    state = assembly.checkpoint()
    assembly.put(1, b"b")
    storage.assemble("a", piece_size=1, state=state)
    assert storage.staged("a") == {0: b"a"}


def test_commit_of_another_length_than_before_is_refused() -> None:
    storage = MemoryStorage()
    assembly = storage.assemble("a", piece_size=1)
    assembly.put(0, b"a")
    assembly.commit(1)
    assert storage.keys == {"a"}
    with pytest.raises(StorageError, match="is not 2 bytes long"):
        assembly.commit(2)
