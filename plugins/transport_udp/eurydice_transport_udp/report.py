"""Logs faults of the link, at most one line a minute for each kind."""

from __future__ import annotations

from collections.abc import Mapping

from loguru import logger

from eurydice_core.model.line_limit import LineLimit
from eurydice_transport_udp.admission import Event, EventKind
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.settings import Settings
from eurydice_transport_udp.wire import unpack_facts

__all__ = ["Reporter"]

COUNTED = {
    EventKind.REFUSED: "refused",
    EventKind.UNAUTHENTIC: "unauthentic",
    EventKind.RIVALS: "rival_datagrams",
}


class Reporter:
    """Log events of the collecting process; it limits some kinds itself, and the rest is here."""

    def __init__(self, settings: Settings, limit: LineLimit | None = None) -> None:
        self._settings = settings
        self._limit = limit or LineLimit()
        self._told: dict[EventKind, int] = {}

    def event(self, event: Event, counters: Mapping[str, int]) -> None:
        """Log an event that brought no packet, unless its kind was logged in the last minute."""
        if event.kind in COUNTED:
            self._senders(event, counters)
            return
        parsed = unpack_facts(event.facts)
        if parsed is not None and self._limit.admit(event.kind):
            self._packet(event, *parsed)

    def withheld(self) -> None:
        """Log how many events the last minute withheld."""
        for kind, count in self._limit.withheld():
            fate = "dropped" if kind is EventKind.DROPPED else "lost"
            logger.error("{} more packets {} since the line that named the first", count, fate)

    def _senders(self, event: Event, counters: Mapping[str, int]) -> None:
        total = counters[COUNTED[event.kind]]
        count, self._told[event.kind] = total - self._told.get(event.kind, 0), total
        port = self._settings.port
        if event.kind is EventKind.REFUSED:
            logger.warning(
                "refused {} datagrams on port {}, the first from {}: damaged, or not of this"
                " version",
                count,
                port,
                event.text,
            )
        elif event.kind is EventKind.UNAUTHENTIC:
            logger.error(
                "refused {} datagrams on port {}, the first from {}, that lack this link's key, as"
                " the origin's sender has it: find out who sends there, or give it the same [link]"
                " secret",
                count,
                port,
                event.text,
            )
        else:
            logger.error(
                "two senders use port {} at once; {} is {}: stop one, or give it and a receiver of"
                " its own another [transport] port",
                port,
                event.text,
                "refused" if self._settings.one_sender else "received too",
            )

    def _packet(self, event: Event, instance: int, layout: Layout) -> None:
        log = logger.bind(
            link_instance=f"{instance:016x}", packet=layout.number, source=event.text or "unknown"
        )
        if event.kind is EventKind.DROPPED:
            log.error(
                "packet {} of {} bytes dropped: earlier ones still wait for their consumer;"
                " lower the sender's rate, or raise [transport] buffer_size",
                layout.number,
                layout.length,
            )
        elif event.kind is EventKind.LOST:
            log.error(
                "packet {} of {} bytes lost: {} of its {} datagrams of data did not come, more than"
                " {} % of repair makes up for",
                layout.number,
                layout.length,
                event.missing,
                layout.sources,
                100 * layout.m // layout.k,
            )
        else:
            log.error(
                "packet {} of {} bytes lost: {} datagrams are missing and codec {} could not"
                " restore them; install reed-solomon-leopard here, or set codec = raptorq on the"
                " origin side",
                layout.number,
                layout.length,
                event.missing,
                layout.codec,
            )
