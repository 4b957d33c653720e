"""Modes of new files: for their owner, or one group, whatever the umask says."""

from __future__ import annotations

import grp
import os
import stat

import pytest

from eurydice_core import private_files
from eurydice_core.errors import ConfigurationError
from eurydice_core.private_files import PRIVATE, exposed, group_access

UMASKS = pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], indirect=True)


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def group():
    """A group of this process that is not the one new files get."""
    groups = set(os.getgroups()) - {os.getegid()}
    if os.geteuid() == 0:
        groups = {each.gr_gid for each in grp.getgrall()} - {0}
    if not groups:
        pytest.skip("this user is in one group only")
    return min(groups)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@UMASKS
def test_a_new_file_is_for_its_owner(tmp_path, umask):
    with PRIVATE.open_file(tmp_path / "a", "w", encoding="utf-8") as file:
        file.write("text")
    assert mode(tmp_path / "a") == 0o600


@UMASKS
def test_new_directories_are_for_their_owner(tmp_path, umask):
    PRIVATE.make_directory(tmp_path / "a" / "b" / "c")
    assert {mode(path) for path in tmp_path.rglob("*")} == {0o700}


@UMASKS
def test_files_of_a_group_are_open_to_it(tmp_path, umask, group):
    access = group_access(str(group), "[storage] group")
    access.make_directory(tmp_path / "a" / "b")
    access.open_file(tmp_path / "a" / "b" / "c", "w").close()
    unnamed = access.open_descriptor(tmp_path, os.O_TMPFILE | os.O_WRONLY)
    assert stat.S_IMODE(os.fstat(unnamed).st_mode) == 0o640
    os.close(unnamed)
    assert [mode(path) for path in sorted(tmp_path.rglob("*"))] == [0o750, 0o750, 0o640]
    assert {path.stat().st_gid for path in tmp_path.rglob("*")} == {group}


def test_what_exists_keeps_its_mode(tmp_path):
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.write_text("before")
    file.chmod(0o644)
    directory.mkdir()
    directory.chmod(0o755)
    PRIVATE.make_directory(directory)
    with PRIVATE.open_file(file, "a", encoding="utf-8") as stream:
        stream.write(" after")
    assert file.read_text() == "before after"
    assert (mode(file), mode(directory)) == (0o644, 0o755)


def test_exclusive_creation_refuses_what_exists(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        PRIVATE.open_file(tmp_path / "a", "x")


def test_a_directory_is_not_made_in_place_of_a_file(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        PRIVATE.make_directory(tmp_path / "a")


def test_parents_are_not_made_unless_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError):
        PRIVATE.make_directory(tmp_path / "a" / "b", parents=False)


def test_unknown_group_is_named():
    with pytest.raises(ConfigurationError, match=r"^\[log\] group: there is no group 'nowhere-'"):
        group_access("nowhere-", "[log] group")


def test_group_that_may_not_be_given_is_named(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(private_files.os, "fchown", refuse)
    with pytest.raises(ConfigurationError, match="may not give files to the group '12345'"):
        group_access("12345", "[storage] group")


@pytest.mark.parametrize(
    ("found", "options", "command"),
    [
        (0o600, {}, None),
        (0o640, {}, "chmod u=rwX,g=,o= "),
        (0o644, {}, "chmod u=rwX,g=,o= "),
        (0o640, {"group_may_read": True}, None),
        (0o660, {"group_may_read": True}, "chmod u=rwX,g=rX,o= "),
    ],
)
def test_exposed_file_comes_with_its_command(tmp_path, found, options, command):
    path = tmp_path / "a b"
    path.touch()
    path.chmod(found)
    line = exposed(path, **options)
    if command is None:
        assert line is None
    else:
        assert f"(mode {found:04o}): {command}'{path}'" in line


def test_directory_is_closed_with_all_in_it(tmp_path):
    tmp_path.chmod(0o755)
    assert f"chmod -R u=rwX,g=,o= {tmp_path}" in exposed(tmp_path)


def test_what_is_not_there_is_not_exposed(tmp_path):
    assert exposed(tmp_path / "none") is None


def test_file_of_another_group_is_told(tmp_path, group):
    path = tmp_path / "a"
    path.touch()
    path.chmod(0o640)
    line = exposed(path, group_access(str(group), "[log] group"))
    if path.stat().st_gid != group:
        assert f"not open to the group {group} yet" in line
        assert f"chgrp {group} {path} && chmod u=rwX,g=rX,o= {path}" in line
