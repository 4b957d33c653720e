"""The Unix socket that the API listens on, for a reverse proxy of the same machine."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eurydice_core.errors import ServiceError
from eurydice_core.private_files import PRIVATE

__all__ = ["OWN", "reserved_socket", "share_socket"]

OWN: Final = 0o600
SHARED: Final = 0o660


@contextmanager
def reserved_socket(path: Path) -> Iterator[None]:
    """Keep the path of a socket to this process, free of what a killed process left.

    The lock is one of POSIX `fcntl`, which a forked worker does not inherit: a worker that
    outlives its killed parent keeps no other server from starting.

    Raises:
        ServiceError: another process serves there, or the path cannot be used.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        descriptor = PRIVATE.open_descriptor(lock_path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(descriptor, path)
        _remove_stale(path)
        try:
            yield
        finally:
            _remove_stale(path)
    finally:
        os.close(descriptor)  # the lock's file stays: without it two processes could lock


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise _in_use(path) from None
    except OSError as error:
        raise _unusable(path, error) from error


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ServiceError(
                f"cannot listen on [api] socket {path}: a file that is no socket is there"
            )
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error) from error


def share_socket(path: Path, group: int) -> None:
    """Let a group open a socket.

    Raises:
        ServiceError: the service's user may not give it to this group.
    """
    try:
        os.chown(path, -1, group)
        path.chmod(SHARED)
    except OSError as error:
        raise ServiceError(
            f"[api] socket_group: cannot give {path} to the group: {error.strerror}"
        ) from error


def _in_use(path: Path) -> ServiceError:
    return ServiceError(
        f"cannot listen on [api] socket {path}: another process does; stop it, or choose another"
        " path"
    )


def _unusable(path: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"cannot listen on [api] socket {path}: {error.strerror}: its directory must exist, and"
        " the service's user must be allowed to write there"
    )
