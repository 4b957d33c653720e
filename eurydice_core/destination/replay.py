"""Ingest packets of the quarantine once more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eurydice_core.destination.ingest import Ingest
from eurydice_core.destination.quarantine import Quarantine
from eurydice_core.errors import PacketError
from eurydice_core.installation import Installation
from eurydice_core.protocol.packet import open_packet

__all__ = ["Replayed", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """Whether a packet was ingested."""

    id: str
    failure: str | None = None
    """Why it stays in the quarantine; None if it was ingested and deleted there."""


def replay(
    installation: Installation, quarantine: Quarantine, ids: Iterable[str]
) -> Iterable[Replayed]:
    """Ingest packets and delete those that succeed; yield each as it is done.

    The receiver may run meanwhile; a crash in between makes the next replay ingest a packet
    again, which changes nothing.

    Raises:
        NotFound: a packet is not in the quarantine.
        StorageError, DatabaseUnavailable: an outage; what is left stays in the quarantine.
    """
    ingest = Ingest(installation)
    for id in ids:
        try:
            packet = open_packet(quarantine.read(id), installation.seal_key)
        except PacketError as error:
            yield Replayed(id, str(error))
            continue
        failures = ingest.each(packet)
        if not failures:
            quarantine.delete(id)
        yield Replayed(id, "; ".join(failures) or None)
