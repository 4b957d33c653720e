from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from eurydice_core.errors import StorageError, StorageFull, StorageUnavailable
from eurydice_core.testing.assembly import put_object
from eurydice_storage_fs import FileStorage, Settings, open_storage, tree

MIB = 2**20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def storage(root: Path) -> FileStorage:
    return open_storage(Settings(root=root))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount anything")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def fail(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Let a system call fail from now on."""

    def failing(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, failing)


def test_full_disk_is_told_and_nothing_of_the_object_stays(tiny_disk: Path) -> None:
    storage = open_storage(Settings(root=tiny_disk, min_free=0))
    with pytest.raises(StorageFull, match=rf"no room left below {tiny_disk} .* free"):
        put_object(storage, "a", bytes(2 * MIB))
    assert files_below(tiny_disk) == []
    put_object(storage, "a", b"there is room again")


def test_full_disk_costs_an_assembly_only_the_piece(tiny_disk: Path) -> None:
    storage = open_storage(Settings(root=tiny_disk, min_free=0))
    assembly = storage.assemble("a", piece_size=600_000)
    assembly.put(0, bytes(600_000))
    with pytest.raises(StorageFull):
        assembly.put(600_000, bytes(600_000))
    assembly.abort()
    assert files_below(tiny_disk) == []


def test_room_is_left_for_others(root: Path) -> None:
    before = open_storage(Settings(root=root, min_free=0))
    put_object(before, "there", b"x")
    storage = open_storage(Settings(root=root, min_free=2**50))
    with pytest.raises(StorageFull) as raised:
        put_object(storage, "a", b"x")
    assert str(raised.value).startswith(f"no room left below {root}: ")
    assert str(raised.value).endswith("and 1024.0 TiB stay so (min_free in [storage]): make room")
    with pytest.raises(StorageFull):
        storage.assemble("b", piece_size=10).put(0, b"x")
    assert storage.free_space() == 0
    assert [path.name for path in files_below(root)] == ["there"]
    storage.check()  # whoever deletes has to be able to start
    storage.delete(["there"])


def test_large_object_stops_at_the_floor(tiny_disk: Path) -> None:
    storage = open_storage(Settings(root=tiny_disk, min_free=600_000))
    with pytest.raises(StorageFull, match="min_free"):
        put_object(storage, "a", bytes(500_000))
    assert files_below(tiny_disk) == []
    put_object(storage, "a", bytes(300_000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_exhausted_quota_is_a_full_storage(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail(monkeypatch, "write", number)
    with pytest.raises(StorageFull):
        put_object(storage, "a", b"x")


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (
            errno.EACCES,
            "cannot write below {root}: permission denied;"
            " give the service's user write access to it",
        ),
        (errno.EROFS, "cannot write below {root}: read-only file system; mount it read-write"),
        (
            errno.EIO,
            "cannot write below {root}: input/output error;"
            " the disk fails: look into the kernel's log",
        ),
        (errno.ENXIO, "cannot write below {root}: no such device or address"),
    ],
)
def test_refusal_says_where_and_what_to_do(
    root: Path, storage: FileStorage, monkeypatch: pytest.MonkeyPatch, number: int, line: str
) -> None:
    fail(monkeypatch, "fsync", number)
    for use in (storage.check, lambda: put_object(storage, "a", b"x")):
        with pytest.raises(StorageUnavailable) as raised:
            use()
        assert str(raised.value) == line.format(root=root)
    assert files_below(root) == []


def test_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="not a directory; a file is in the place"):
        open_storage(Settings(root=tmp_path / "file" / "data"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_root_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageUnavailable, match="give the service's user write access"):
        open_storage(Settings(root=tmp_path / "data"))


def test_disk_that_went_away_is_not_taken_for_missing_objects(
    root: Path, storage: FileStorage
) -> None:
    put_object(storage, "a", b"x")
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    uses = (
        lambda: storage.size("a"),
        lambda: next(storage.read("a")),
        lambda: storage.local_path("a"),
        lambda: put_object(storage, "b", b"x"),
        storage.check,
    )
    for use in uses:
        with pytest.raises(StorageUnavailable, match="is its file system mounted"):
            use()
    assert files_below(root) == []


def test_commit_that_cannot_reach_the_disk_can_be_tried_again(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = storage.assemble("a", piece_size=10)
    assembly.put(0, b"0123456789")
    with monkeypatch.context() as broken:
        fail(broken, "fsync", errno.EIO)
        with pytest.raises(StorageUnavailable):
            assembly.commit(10)
    assembly.commit(10)
    assert b"".join(storage.read("a")) == b"0123456789"


def test_object_of_another_length_than_committed_is_told(storage: FileStorage) -> None:
    assembly = storage.assemble("a", piece_size=10)
    assembly.put(0, b"0123456789")
    state = assembly.checkpoint()
    assembly.commit(10)
    with pytest.raises(StorageError, match="has 10 bytes and should have 11"):
        storage.assemble("a", piece_size=10, state=state).commit(11)


def test_old_leftovers_of_crashed_writes_are_swept_at_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_has_unnamed_files", lambda directory: False)
    settings = Settings(root=root, leftovers_after="6h")
    crashed = open_storage(settings).write("a")
    crashed.__enter__().write(b"half")
    waiting = open_storage(settings).assemble("b", piece_size=4)
    waiting.put(0, b"half")
    waiting.checkpoint()
    half, piece = sorted(files_below(root), key=lambda path: path.parent.name, reverse=True)
    for path in (half, piece):
        os.utime(path, (1, 1))
    young = open_storage(settings).write("c")
    young.__enter__().write(b"half")
    open_storage(settings)
    assert not half.exists()
    assert piece.exists(), "an object may wait for its last pieces for weeks"
    young.__exit__(None, None, None)
    assert files_below(root / "staging" / "writes") == []


def test_crash_in_the_middle_of_a_write_leaves_nothing_where_files_need_no_name(
    root: Path,
) -> None:
    storage = open_storage(Settings(root=root))
    with storage.write("a") as writer:
        writer.write(b"half")
        if any((root / "staging" / "writes").iterdir()):
            pytest.skip("this file system has no O_TMPFILE")
        assert files_below(root) == []


def test_everything_acknowledged_reached_the_disk_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real_fsync = os.fsync

    def noted_fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().as_posix())
        real_fsync(descriptor)

    storage = open_storage(Settings(root=root))
    monkeypatch.setattr(os, "fsync", noted_fsync)
    put_object(storage, "a", b"x")
    place = storage.local_path("a")
    file, *directories = synced
    assert not file.endswith(str(place)), "the bytes come before the name"
    assert directories == [str(root / "objects"), str(place.parent)]
    synced.clear()
    storage.delete(["a"])
    assert synced == [str(place.parent)]


def test_large_stream_needs_little_memory(storage: FileStorage) -> None:
    block = bytes(MIB)
    tracemalloc.start()
    try:
        with storage.write("large") as writer:
            for _ in range(64):
                writer.write(block)
        assert sum(map(len, storage.read("large"))) == 64 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_pieces_take_no_room_before_they_come(root: Path, storage: FileStorage) -> None:
    assembly = storage.assemble("a", piece_size=MIB)
    assembly.put(1000 * MIB, b"the last one")
    assembly.checkpoint()
    (staged,) = files_below(root)
    assert staged.stat().st_size > 1000 * MIB
    assert staged.stat().st_blocks * 512 < MIB


@pytest.mark.parametrize(
    "bad", [{}, {"root": "/x", "rot": 1}, {"root": "/x", "leftovers_after": 0}]
)
def test_wrong_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(bad)


def test_slow_writers_hold_no_memory_however_many_they_are(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage._tree.blocks, "take", None)  # nobody may ask for a block
    content = [bytes([number]) * 50_000 for number in range(60)]
    with storage.write("slow") as writer:
        for piece in content:
            writer.write(piece)
        writer.write(b"x" * MIB)
    assert b"".join(storage.read("slow", 0, 1000)) == content[0][:1000]
    monkeypatch.undo()
    assert b"".join(storage.read("slow")) == b"".join(content) + b"x" * MIB
