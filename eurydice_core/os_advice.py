"""Advice to administrators about errors of the operating system; plugins may use it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

__all__ = ["FILE_LIMIT", "WRITE_ACCESS", "advice", "has_descriptors", "is_shortage"]

FILE_LIMIT: Final = "raise the limit of open files (ulimit -n, or LimitNOFILE= of the service)"
WRITE_ACCESS: Final = "give the service's user write access to it"
ADVICE: Final[Mapping[int, str]] = {
    errno.EACCES: WRITE_ACCESS,
    errno.EPERM: WRITE_ACCESS,
    errno.EROFS: "mount it read-write",
    errno.EIO: "the disk fails: look into the kernel's log",
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EMFILE: FILE_LIMIT,
    errno.ENFILE: "raise the limit of open files of the machine (sysctl fs.file-max)",
    errno.ENOMEM: "free some memory, or raise its limit (ulimit -v, or MemoryMax= of the service)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or TasksMax= of the service)",
    errno.ENOTDIR: "a file is in the place of a directory: move it away",
    errno.ESTALE: "mount the network file system again",
}
SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def advice(error: OSError, otherwise: str = "") -> str:
    """Return what to do about an error that does not depend on the place, else `otherwise`."""
    return ADVICE.get(error.errno or 0, otherwise)


def is_shortage(error: OSError) -> bool:
    """Return whether a limit of the process or machine is reached, whatever was being done."""
    return error.errno in SHORTAGES


def has_descriptors() -> bool:
    """Return whether this process can open one more file: some libraries do not say why not."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return not is_shortage(error)
    return True
