"""What the system says about a disk, in words an operator can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eurydice_core.errors import StorageError, StorageFull, StorageUnavailable
from eurydice_core.model.quantities import format_size
from eurydice_core.os_advice import advice

__all__ = ["disk_errors"]

FULL = {errno.ENOSPC, errno.EDQUOT}

ADVICE = {
    errno.ENOENT: "is its file system mounted? Restart the service to make it anew",
    errno.EFBIG: "raise the service's limit of file sizes, or take another file system",
}
"""Advice by error number, where it differs from the general one."""


@contextmanager
def disk_errors(root: Path, doing: str) -> Iterator[None]:
    """Turn what the system says into an error that tells where and what to do."""
    try:
        yield
    except OSError as error:
        raise _translated(error, root, doing) from error


def _translated(error: OSError, root: Path, doing: str) -> StorageError:
    if error.errno in FULL:
        return StorageFull(
            f"no room left below {root} ({_free(root)} free for this user):"
            " make room, or raise the quota"
        )
    what = (error.strerror or str(error)).lower()
    to_do = ADVICE.get(error.errno or 0) or advice(error)
    line = f"cannot {doing} below {root}: {what}"
    return StorageUnavailable(f"{line}; {to_do}" if to_do else line)


def _free(root: Path) -> str:
    try:
        found = os.statvfs(root)
    except OSError:
        return "an unknown amount"
    return format_size(found.f_bavail * found.f_frsize)
