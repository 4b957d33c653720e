"""The files of counts, one set for each worker process of a server.

What a worker counted is in its files the moment that it is counted, so it outlives the
worker. Whether a worker still lives is told by its lock, which ends with it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from eurydice_core.api.monitoring.measures import KINDS, Family
from eurydice_core.private_files import PRIVATE

__all__ = ["TallyFiles", "shared_directory"]

LOCK: Final = "lock"
LOCKS: Final = ".lock"
ENDED: Final = "ended"
"""Takes the place of a worker's name in the files that have what all ended ones counted."""


class TallyFiles:
    """What one worker counts, beside what the others do."""

    def __init__(self, directory: Path | None, parent: Path) -> None:
        """Open files in a directory of several workers; None for one of this one alone."""
        self._own = None if directory is not None else _made(parent)
        self._directory = directory or self._own or parent
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        with _locked(self._directory / LOCK, fcntl.LOCK_EX):
            self._life = _lock_of(self._directory / f"{self._name}{LOCKS}")
            _fold(self._directory)
        self._files = {kind: self._file(kind) for kind in KINDS}
        # Also for whoever forgets to close: a directory of our own must not stay behind.
        self.close = weakref.finalize(self, _close, [*self._files.values()], self._life, self._own)
        """Close the files; they stay if other workers may be asked for what they say."""

    def add(self, kind: str, key: str, amount: float) -> None:
        """Add to one of the counts of this worker."""
        file = self._files[kind]
        value, _ = file.read_value(key)
        file.write_value(key, value + amount, 0.0)

    def read_all(self) -> Iterable[Family]:
        """Return what all workers counted together, also those that ended."""
        with _locked(self._directory / LOCK, fcntl.LOCK_SH):
            files = [str(path) for path in self._directory.glob("*.db")]
            merged: Iterable[Family] = MultiProcessCollector.merge(files)
            return merged

    def _file(self, kind: str) -> MmapedDict:
        return _counts_in(self._directory / f"{kind}_{self._name}.db")


@contextmanager
def shared_directory(parent: Path) -> Iterator[Path]:
    """Make a directory for the workers of one server, for as long as the block lasts."""
    directory = _made(parent)
    with _lock_of(directory / f"server{LOCKS}"):
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _made(parent: Path) -> Path:
    """Make a directory, and remove those that nobody uses since a crash."""
    PRIVATE.make_directory(parent)
    with _locked(parent / LOCK, fcntl.LOCK_EX):
        for directory in parent.iterdir():
            if directory.is_dir() and not any(map(_is_held, directory.glob(f"*{LOCKS}"))):
                shutil.rmtree(directory, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=parent))


def _close(files: Iterable[MmapedDict], life: IO[bytes], own: Path | None) -> None:
    for file in files:
        file.close()
    if own is not None:
        shutil.rmtree(own, ignore_errors=True)
    life.close()


def _fold(directory: Path) -> None:
    """Add up what ended workers counted, so that their files do not pile up."""
    ended = [
        path.name.removesuffix(LOCKS)
        for path in directory.glob(f"*-*{LOCKS}")
        if not _is_held(path)
    ]
    for kind in KINDS if ended else ():
        total = directory / f"{kind}_{ENDED}.db"
        files = [path for name in ended if (path := directory / f"{kind}_{name}.db").exists()]
        counts: defaultdict[str, float] = defaultdict(float)
        for path in [*files, *([total] if total.exists() else [])]:
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):
                counts[key] += value
        folded = total.with_suffix(".new")
        folded.unlink(missing_ok=True)
        _write(folded, counts)
        folded.replace(total)
        for path in files:
            path.unlink()
    for name in ended:
        (directory / f"{name}{LOCKS}").unlink()


def _counts_in(path: Path) -> MmapedDict:
    PRIVATE.open_file(path, "ab").close()  # the library opens it with any mode
    return MmapedDict(str(path))


def _write(path: Path, counts: dict[str, float]) -> None:
    file = _counts_in(path)
    for key, value in counts.items():
        file.write_value(key, value, 0.0)
    file.close()


def _lock_of(path: Path) -> IO[bytes]:
    """Return a file that is locked until it is closed, or its process ends."""
    file = PRIVATE.open_file(path, "wb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _is_held(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with PRIVATE.open_file(path, "ab") as file:
        fcntl.flock(file, how)
        yield
