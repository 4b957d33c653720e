"""An fsspec filesystem that keeps its promises is a storage, with nothing added."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileOpener, LocalFileSystem

from eurydice_core.errors import ObjectMissing, StorageError, StorageUnavailable
from eurydice_core.interfaces.fsspec_storage import FsspecStorage
from eurydice_core.interfaces.storage import Storage
from eurydice_core.testing.assembly import put_object
from eurydice_core.testing.storage import StorageConformance


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    temporary = tmp_path / "temporary"  # where this filesystem keeps what is not committed
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return tmp_path / "root"


@pytest.fixture
def filesystem() -> LocalFileSystem:
    return LocalFileSystem(auto_mkdir=True, skip_instance_cache=True)


class TestLocalFilesystem(StorageConformance):
    """The plainest of fsspec's filesystems under the kit."""

    @pytest.fixture
    def storage(self, root: Path, filesystem: LocalFileSystem) -> Storage:
        self.root = root
        return FsspecStorage(filesystem, str(root))

    def leftovers(self, storage: Storage) -> Iterable[str]:
        temporary = self.root.with_name("temporary").iterdir()
        staged = (path for path in self.root.glob(".*/**/*") if path.is_file())
        return [str(path) for path in (*temporary, *staged)]


def test_written_files_are_not_kept_in_memory(root: Path, filesystem: Any) -> None:
    files = weakref.WeakSet[Any]()
    real_open = filesystem._open

    def noted_open(*args: Any, **options: Any) -> Any:
        file = real_open(*args, **options)
        files.add(file)
        return file

    filesystem._open = noted_open
    put_object(FsspecStorage(filesystem, str(root)), "a", b"x")
    gc.collect()
    assert not files


def test_failure_of_the_filesystem_is_a_storage_that_is_unavailable(
    root: Path, filesystem: LocalFileSystem
) -> None:
    root.write_bytes(b"a file in the place of the directory")
    storage = FsspecStorage(filesystem, str(root))
    with pytest.raises(StorageUnavailable, match=f"the storage at {root} failed: "):
        storage.check()


def test_failure_to_clean_up_does_not_hide_what_failed(
    root: Path, filesystem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: LocalFileOpener) -> None:
        raise PermissionError("not this time")

    monkeypatch.setattr(LocalFileOpener, "discard", refuse)
    with pytest.raises(KeyError), FsspecStorage(filesystem, str(root)).write("a"):
        raise KeyError


def test_object_that_shrinks_while_it_is_read_is_told(
    root: Path, filesystem: LocalFileSystem
) -> None:
    storage = FsspecStorage(filesystem, str(root))
    put_object(storage, "a", bytes(5 * 2**20))
    chunks = storage.read("a")
    next(chunks)
    os.truncate(storage.path("a"), 4 * 2**20)
    with pytest.raises(StorageError, match="object 'a' ends at byte 4194304 of 5242880"):
        next(chunks)


def test_filesystem_that_gives_back_other_bytes_does_not_pass_the_check(
    root: Path, filesystem: Any
) -> None:
    filesystem.cat_file = lambda path: b"other"
    with pytest.raises(StorageError, match="is not what is read back"):
        FsspecStorage(filesystem, str(root)).check()


def test_piece_that_shrank_is_told_and_the_object_does_not_appear(
    root: Path, filesystem: LocalFileSystem
) -> None:
    storage = FsspecStorage(filesystem, str(root))
    assembly = storage.assemble("a", piece_size=10)
    assembly.put(0, bytes(10))
    os.truncate(root / ".staging" / "a.parts" / "0", 9)
    with pytest.raises(StorageError, match="its pieces have 9 bytes and it has 10"):
        assembly.commit(10)
    with pytest.raises(ObjectMissing):
        storage.size("a")
