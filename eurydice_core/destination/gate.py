"""Keeps forged packets out of the spool, so that they take no room of genuine ones."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from loguru import logger

from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.buffer import Buffer
from eurydice_core.model.line_limit import LineLimit
from eurydice_core.protocol.packet import is_sealed

__all__ = ["SealGate"]


class SealGate(PacketReceiver):
    """A link that yields sealed packets only, for as long as packets wait in the spool.

    While the spool is empty packets wait in memory, which is bounded, and ingestion checks
    the seal: checking it twice would cost a tenth of the receiver's time.
    """

    def __init__(self, link: PacketReceiver, spool: Sized, key: bytes) -> None:
        self._link = link
        self._spool = spool
        self._key = key
        self._refused = 0
        self._lines = LineLimit()

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the next packet; one without the seal is dropped if it would be spooled."""
        packet = self._link.receive(timeout_seconds)
        if packet is None or not len(self._spool) or is_sealed(packet, self._key):
            return packet
        self._refused += 1
        if self._lines.admit("refused"):
            logger.error(
                "a packet of {} bytes without the seal of this link is not spooled ({} since the"
                " start): find out who else sends to this port",
                len(packet),
                self._refused,
            )
        return None

    def counters(self) -> Mapping[str, int]:
        """Return the link's counters and `unsealed`, the packets that were not spooled."""
        return {**self._link.counters(), "unsealed": self._refused}
