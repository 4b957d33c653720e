"""Modes of the files that Eurydice creates: for their owner alone, whatever the umask.

Every file is created with mode 0600 and every directory with 0700. Where a setting names a
group, such as that of a proxy that sends stored files, they are 0640 and 0750 with that group.
Nothing is ever open to other users, and the mode of what exists already is never changed.

Plugins may use this module; `PRIVATE` is the rule without a group.
"""

from __future__ import annotations

import grp
import os
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from eurydice_core.errors import ConfigurationError

__all__ = ["PRIVATE", "Access", "exposed", "group_access"]


@dataclass(frozen=True, slots=True)
class Access:
    """Access to new files: for their owner, and for the members of one group if `gid` is set."""

    gid: int | None = None

    @property
    def file_mode(self) -> int:
        """Mode of a new file."""
        return 0o600 if self.gid is None else 0o640

    @property
    def directory_mode(self) -> int:
        """Mode of a new directory."""
        return 0o700 if self.gid is None else 0o750

    def open_descriptor(self, path: Path | str, flags: int) -> int:
        """Open a file like `os.open`; if that creates it, give it the right mode and group.

        Raises:
            OSError: as `os.open`.
        """
        flags |= os.O_CLOEXEC
        is_unnamed = flags & os.O_TMPFILE == os.O_TMPFILE
        while flags & os.O_CREAT or is_unnamed:
            try:
                # Private from its first moment, and opened to the group after that.
                descriptor = os.open(path, flags if is_unnamed else flags | os.O_EXCL, 0o600)
            except FileExistsError:
                if flags & os.O_EXCL:
                    raise
                with suppress(FileNotFoundError):  # removed in this very moment: create it
                    return os.open(path, flags & ~os.O_CREAT)
            else:
                self._open_to_group(descriptor)
                return descriptor
        return os.open(path, flags)

    def open_file(
        self, path: Path | str, mode: str, *, buffering: int = -1, encoding: str | None = None
    ) -> IO[Any]:
        """Open a file like `open`; if that creates it, give it the right mode and group.

        Raises:
            OSError: as `open`.
        """
        opener = self.open_descriptor
        return open(path, mode, buffering, encoding, opener=opener)

    def make_directory(self, directory: Path, *, parents: bool = True) -> None:
        """Create a directory unless it exists, and its missing parents with the same mode.

        Raises:
            OSError: as `os.mkdir`.
        """
        try:
            directory.mkdir(mode=0o700)
        except FileNotFoundError:
            if not parents or directory.parent == directory:
                raise
            self.make_directory(directory.parent)
            self.make_directory(directory, parents=False)
        except FileExistsError:
            if not directory.is_dir():
                raise
        else:
            if self.gid is not None:
                os.chown(directory, -1, self.gid)
                directory.chmod(self.directory_mode)

    def _open_to_group(self, descriptor: int) -> None:
        if self.gid is None:
            return
        try:
            os.fchown(descriptor, -1, self.gid)
            os.fchmod(descriptor, self.file_mode)
        except BaseException:
            os.close(descriptor)
            raise


PRIVATE: Final = Access()
"""Files for their owner alone."""


def group_access(group: str | None, setting: str) -> Access:
    """Return the access of a setting that may name a group; of None, `PRIVATE`.

    Raises:
        ConfigurationError: there is no such group, or this user may not give files to it.
    """
    if group is None:
        return PRIVATE
    gid = _group_id(group, setting)
    descriptor = os.memfd_create("eurydice-group")  # a file, without a place to put one
    try:
        os.fchown(descriptor, -1, gid)
    except OSError as error:
        raise ConfigurationError(
            f"{setting}: this user may not give files to the group {group!r}: add the service's"
            f" user to it ('usermod -aG {group} USER'), and start the service anew"
        ) from error
    finally:
        os.close(descriptor)
    return Access(gid)


def _group_id(group: str, setting: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isascii() and group.isdigit():
            return int(group)
        raise ConfigurationError(
            f"{setting}: there is no group {group!r} on this machine: correct it, or create the"
            f" group ('groupadd --system {group}')"
        ) from None


def exposed(path: Path, access: Access = PRIVATE, *, group_may_read: bool = False) -> str | None:
    """Return one line if others may use what exists at a path, with the command against it.

    Args:
        path: a file, or a directory with everything in it.
        access: what its mode and group should be.
        group_may_read: any group may, as of a configuration that root lends to a service.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    mode, has_group = stat.S_IMODE(found.st_mode), access.gid is not None
    may_group_read = has_group or group_may_read
    if mode & (0o027 if may_group_read else 0o077):
        state = "is open to other users of this machine"
    elif has_group and (found.st_gid != access.gid or not mode & 0o040):
        state = f"is not open to the group {access.gid} yet"
    else:
        return None
    deep = "-R " if stat.S_ISDIR(found.st_mode) else ""
    place = shlex.quote(str(path))
    command = f"chmod {deep}u=rwX,g={'rX' if may_group_read else ''},o= {place}"
    if has_group:
        command = f"chgrp {deep}{access.gid} {place} && {command}"
    return f"{path} {state} (mode {mode:04o}): {command}"
