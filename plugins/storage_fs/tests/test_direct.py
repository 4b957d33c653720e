from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eurydice_core.errors import StorageFull
from eurydice_storage_fs import Settings, open_storage
from eurydice_storage_fs.direct import ALIGNMENT, Blocks
from eurydice_storage_fs.storage import FileStorage
from eurydice_storage_fs.tree import Tree

SMALL = 2 * ALIGNMENT
"""Bytes of a block here, so that small files have many."""
anywhere = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def storage_at(root: Path, *, works: bool = True) -> FileStorage:
    blocks = Blocks(SMALL)
    blocks.works = works
    tree = Tree(root, fsync=False, blocks=blocks)
    root.mkdir(exist_ok=True)
    tree.prepare()
    return FileStorage(tree)


@pytest.fixture(params=[True, False], ids=["direct", "cached"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    storage = storage_at(tmp_path / "data", works=request.param)
    if storage._tree.blocks.works is not request.param:
        pytest.skip("this file system has no direct transfers")
    return storage


def content(size: int) -> bytes:
    return bytes(at * 7 % 251 for at in range(size))


@given(st.lists(st.integers(0, 3 * SMALL), max_size=6), st.data())
@anywhere
def test_what_is_written_in_any_pieces_is_read_in_any_pieces(
    storage: FileStorage, sizes: list[int], data: st.DataObject
) -> None:
    whole = content(sum(sizes))
    with storage.write("k") as writer:
        at = 0
        for size in sizes:
            writer.write(whole[at : at + size])
            at += size
    start = data.draw(st.integers(0, len(whole)) | st.sampled_from([0, ALIGNMENT, SMALL]))
    stop = data.draw(st.integers(0, len(whole) + SMALL))
    assert b"".join(storage.read("k", start, stop)) == whole[start:stop]
    assert b"".join(storage.read("k")) == whole


@given(
    st.integers(1, 5 * SMALL),
    st.sampled_from([ALIGNMENT, SMALL, 3 * ALIGNMENT, SMALL + 1, 1000]),
    st.randoms(use_true_random=False),
)
@anywhere
def test_pieces_of_any_size_come_together(
    storage: FileStorage, size: int, piece: int, chance: object
) -> None:
    whole = content(size)
    places = list(range(0, size, piece))
    chance.shuffle(places)  # type: ignore[attr-defined]
    assembly = storage.assemble("k", piece_size=piece)
    for place in places:
        assembly.put(place, whole[place : place + piece])
    assembly.checkpoint()
    assembly.commit(size)
    assert b"".join(storage.read("k")) == whole


def test_file_system_without_direct_transfers_is_used_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EINVAL, "no direct transfers here")

    monkeypatch.setattr("eurydice_storage_fs.direct.set_direct", refuse)
    storage = storage_at(tmp_path)
    assert not storage._tree.blocks.works
    with storage.write("k") as writer:
        writer.write(content(5 * SMALL))
    assert b"".join(storage.read("k", 0, 5 * SMALL)) == content(5 * SMALL)


def test_direct_transfers_can_be_switched_off(tmp_path: Path) -> None:
    storage = open_storage(Settings(root=tmp_path, direct=False))
    assert not storage._tree.blocks.works


def test_disk_that_fills_up_in_the_middle_leaves_nothing(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill() -> None:
        with storage.write("k") as writer:
            writer.write(content(SMALL - 1))
            monkeypatch.setattr(os, "write", full)
            writer.write(content(SMALL))

    with pytest.raises(StorageFull):
        fill()
    monkeypatch.undo()
    assert [*storage.list_keys()] == []
    with storage.write("k") as writer:
        writer.write(b"again")
    assert b"".join(storage.read("k")) == b"again"


def test_blocks_are_lent_again_and_few_are_kept() -> None:
    blocks = Blocks(ALIGNMENT)
    first = blocks.take()
    blocks.give_back(first)
    assert blocks.take() is first
    for _ in range(20):
        blocks.give_back(blocks.take())
    many = [blocks.take() for _ in range(20)]
    for block in many:
        blocks.give_back(block)
    assert len(blocks._spare) == 8
