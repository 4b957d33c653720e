"""What the destination knows of the link: what came, what is missing, what was refused, silence."""

from __future__ import annotations

import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loguru import logger

from eurydice_core.errors import PacketError
from eurydice_core.model.clock import utc_now
from eurydice_core.protocol.packet import Packet

__all__ = ["LinkWatch"]

REPEAT_SECONDS: Final = 60.0
"""Seconds after which refused packets are reported again."""
MAX_STREAMS: Final = 100
"""Senders whose place in their sequence is remembered."""


@dataclass(slots=True)
class Stream:
    """One run of a sender."""

    expected: int
    """Sequence number of the packet that should come next."""
    packets: int = 0
    missing: int = 0
    """Packets that were skipped and did not come late either."""
    last_at: datetime | None = None


class LinkWatch:
    """Takes note of every packet, and of none."""

    def __init__(
        self, silence_seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._silence = silence_seconds
        self._monotonic = monotonic
        self._counts: Counter[str] = Counter()
        self._streams: OrderedDict[uuid.UUID, Stream] = OrderedDict()
        self._heard_at = monotonic()
        self._refusal_reported_at = float("-inf")

    def heard(self, packet: Packet) -> None:
        """Take note of a packet of ours."""
        self._heard_at = self._monotonic()
        self._counts["packets"] += 1
        self._counts["heartbeats"] += packet.is_heartbeat
        self._counts["elements_refused"] += len(packet.refused)
        for reason in packet.refused:
            logger.error("packet {}: an element was skipped: {}", packet.sequence, reason)
        self._place(packet)

    def refused(self, error: PacketError) -> None:
        """Take note of something that is no packet of ours."""
        self._counts["refused"] += 1
        now = self._monotonic()
        if now - self._refusal_reported_at >= REPEAT_SECONDS:
            logger.error("{} ({} refused since the start)", error, self._counts["refused"])
            self._refusal_reported_at = now

    def failed(self, packet: Packet | None, error: Exception, *, is_first: bool) -> str:
        """Count a try that failed by a fault of ours; return the packet's name.

        The first try that fails is logged with its traceback, and counted as a packet.
        """
        name = f"packet {packet.sequence} of stream {packet.stream}" if packet else "a packet"
        if is_first:
            self._counts["failed"] += 1
            logger.opt(exception=error).error("{} was not ingested", name)
        return name

    def quarantined(self) -> None:
        """Count a packet that was moved to the quarantine."""
        self._counts["quarantined"] += 1

    def lost(self) -> None:
        """Count a packet that could be neither ingested nor kept."""
        self._counts["lost"] += 1

    def nothing_came(self) -> None:
        """Raise the alarm, once a period, if not even a heartbeat came for too long."""
        if self._monotonic() - self._heard_at > self._silence:
            self._counts["silences"] += 1
            logger.error(
                "no packet for {:.0f} s, not even a heartbeat: check the origin's sender and the"
                " link",
                self._silence,
            )
            self._heard_at = self._monotonic()

    def record(self, link: Mapping[str, int]) -> dict[str, Any]:
        """Return all that is known, as JSON, beside the transport's own counters."""
        streams = {
            str(id): {
                "packets": stream.packets,
                "missing": stream.missing,
                "last_packet_at": stream.last_at.isoformat() if stream.last_at else None,
            }
            for id, stream in self._streams.items()
        }
        return {
            "recorded_at": utc_now().isoformat(),
            "receiver": dict(self._counts),
            "transport": dict(link),
            "streams": streams,
        }

    def _place(self, packet: Packet) -> None:
        stream = self._streams.get(packet.stream)
        if stream is None:
            stream = self._streams[packet.stream] = Stream(packet.sequence)
            if len(self._streams) > MAX_STREAMS:
                self._streams.popitem(last=False)
        stream.packets += 1
        stream.last_at = utc_now()
        gap = packet.sequence - stream.expected
        if gap > 0:
            logger.warning(
                "{} packets of stream {} are missing before number {}",
                gap,
                packet.stream,
                packet.sequence,
            )
            self._count_missing(stream, gap)
        elif gap < 0 and stream.missing:  # it comes late, so it was not lost
            self._count_missing(stream, -1)
        stream.expected = max(stream.expected, packet.sequence + 1)
        self._streams.move_to_end(packet.stream)

    def _count_missing(self, stream: Stream, number: int) -> None:
        stream.missing += number
        self._counts["missing"] += number
