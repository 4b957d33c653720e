"""Packets that could not be ingested for another reason than an outage: a file each, and why.

They hold parts of users' files, so that only the service's user can read them.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eurydice_core.config import Settings
from eurydice_core.destination.spool import write_private
from eurydice_core.errors import NotFound
from eurydice_core.model.buffer import Buffer
from eurydice_core.private_files import PRIVATE

__all__ = ["Quarantine", "QuarantinedPacket", "open_quarantine"]

SUFFIX: Final = ".packet"
REASON: Final = ".json"
PARTIAL: Final = ".partial"
LONGEST_REASON: Final = 4000  # characters
ID: Final = re.compile(r"[0-9a-zA-Z-]{1,80}")


@dataclass(frozen=True, slots=True)
class QuarantinedPacket:
    """Description of a packet in the quarantine."""

    id: str
    size: int
    """Bytes."""
    quarantined_at: str
    reason: str


class Quarantine:
    """A directory of packets, bounded in number and bytes; processes may share it."""

    def __init__(self, directory: Path, *, packets: int, size: int) -> None:
        self._directory = directory
        self._most_packets = packets
        self._most_bytes = size

    def add(self, id: str, packet: Buffer, reason: str) -> bool:
        """Keep a packet durably; return False if there is no room for it.

        A packet with the same id is replaced.

        Raises:
            OSError: the directory cannot be written.
        """
        others = [entry for entry in self.list() if entry.id != id]
        size = sum(entry.size for entry in others) + len(packet)
        if len(others) >= self._most_packets or size > self._most_bytes:
            return False
        PRIVATE.make_directory(self._directory)
        about = {"quarantined_at": _now(), "reason": reason[:LONGEST_REASON]}
        self._write(self._directory / f"{id}{REASON}", json.dumps(about).encode())
        self._write(self._directory / f"{id}{SUFFIX}", packet)
        directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return True

    def list(self) -> list[QuarantinedPacket]:
        """Return all packets, the oldest first.

        Raises:
            OSError: the directory cannot be read.
        """
        found = []
        with suppress(FileNotFoundError):
            for path in self._directory.glob(f"*{SUFFIX}"):
                with suppress(FileNotFoundError):  # deleted a moment ago
                    found.append(self._about(path))
        return sorted(found, key=lambda entry: (entry.quarantined_at, entry.id))

    def read(self, id: str) -> bytes:
        """Return a packet.

        Raises:
            NotFound: it is not in the quarantine.
        """
        try:
            return self._path(id).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no packet {id!r} in the quarantine") from None

    def delete(self, id: str) -> None:
        """Delete a packet.

        Raises:
            NotFound: it is not in the quarantine.
        """
        path = self._path(id)
        try:
            path.unlink()
        except FileNotFoundError:
            raise NotFound(f"no packet {id!r} in the quarantine") from None
        path.with_suffix(REASON).unlink(missing_ok=True)

    def _path(self, id: str) -> Path:
        if not ID.fullmatch(id):
            raise NotFound(f"no packet {id[:80]!r} in the quarantine")
        return self._directory / f"{id}{SUFFIX}"

    def _about(self, path: Path) -> QuarantinedPacket:
        status = path.stat()
        about = {}
        with suppress(OSError, ValueError):
            about = json.loads(path.with_suffix(REASON).read_bytes())
        changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        return QuarantinedPacket(
            path.stem,
            status.st_size,
            str(about.get("quarantined_at", changed)),
            str(about.get("reason", "unknown")),
        )

    def _write(self, path: Path, data: Buffer) -> None:
        partial = path.with_suffix(PARTIAL)
        try:
            write_private(partial, data, durable=True)
            partial.rename(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_quarantine(settings: Settings) -> Quarantine:
    """Return the quarantine of an installation."""
    limits = settings.receiver
    return Quarantine(
        settings.state_dir / "quarantine",
        packets=limits.quarantine_packets,
        size=limits.quarantine_size,
    )
