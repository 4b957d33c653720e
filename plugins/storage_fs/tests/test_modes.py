"""Who may read what is stored: the service's user, and one group if it is named."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from eurydice_core.errors import ConfigurationError
from eurydice_core.testing.assembly import put_object
from eurydice_storage_fs import Settings, open_storage


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield
    os.umask(before)


def own_group() -> str:
    return grp.getgrgid(os.getegid()).gr_name


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize(
    ("group", "modes"), [(None, (0o600, 0o700)), (own_group(), (0o640, 0o750))]
)
def test_stored_files_have_the_modes_of_their_group(
    tmp_path: Path, group: str | None, modes: tuple[int, int], unnamed: bool
) -> None:
    root = tmp_path / "data"
    storage = open_storage(Settings(root=root, group=group))
    storage._tree.unnamed_files &= unnamed
    put_object(storage, "object/1", b"data")
    assembly = storage.assemble("object/2", piece_size=4)
    assembly.put(0, b"data")
    assembly.checkpoint()
    waiting = storage.assemble("object/3", piece_size=4)
    waiting.put(0, b"data")
    assembly.commit(4)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}
    assert found == {path: modes[path.is_dir()] for path in found}
    assert sum(path.is_file() for path in found) == 3


def test_unknown_group_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^\[storage\] group: there is no group 'nogrp-'"):
        open_storage(Settings(root=tmp_path / "data", group="nogrp-"))
