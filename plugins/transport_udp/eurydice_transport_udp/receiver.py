"""The destination's end: whole packets, repaired where needed."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from loguru import logger

from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_transport_udp.assembly import Event, EventKind
from eurydice_transport_udp.codec import codec_by_id
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.packets import PacketMemory
from eurydice_transport_udp.process import CollectorEnded, CollectorProcess
from eurydice_transport_udp.repair import repair_packet
from eurydice_transport_udp.settings import Settings
from eurydice_transport_udp.sockets import open_receiving_socket
from eurydice_transport_udp.wire import unpack_facts

__all__ = ["UdpReceiver", "open_receiver"]

MAX_WAKE_SECONDS = 0.25
REFUSED_LOG_SECONDS = 60.0


@contextmanager
def open_receiver(settings: Settings) -> Iterator[UdpReceiver]:
    """Open the destination's end; datagrams are collected from here on.

    Raises:
        TransportError: the address cannot be listened on.
    """
    wake_seconds = min(MAX_WAKE_SECONDS, settings.reassembly_timeout / 4)
    with open_receiving_socket(settings, wake_seconds) as sock:
        receiver = UdpReceiver(sock, settings)
        logger.info("listening on {}:{}", settings.bind, settings.port)
        try:
            yield receiver
        finally:
            receiver.close()


class UdpReceiver(PacketReceiver):
    """Takes packets from the collecting process, and repairs them on the caller's time."""

    def __init__(self, sock: socket.socket, settings: Settings) -> None:
        self._socket = sock
        self._settings = settings
        self._process = CollectorProcess(sock, settings)
        self._memory = PacketMemory(settings.max_packet)
        self._counts = Counter(packets=0, bytes=0, repaired=0, unrepairable=0)
        self._margin_percent = 100
        self._earlier: Counter[str] = Counter()
        self._refused_logged = 0
        self._refused_log_due = 0.0

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the next packet, repaired.

        Raises:
            TransportError: the collecting process ended, and cannot be started again.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                event = self._process.next_event(max(0.0, deadline - time.monotonic()))
            except CollectorEnded:
                self._restart()
                event = None
            packet = self._packet(event) if event else None
            self._report_refused()
            if packet is not None or time.monotonic() >= deadline:
                return packet

    def counters(self) -> Mapping[str, int]:
        """Return what both processes counted.

        `datagrams`, `datagram_bytes`: all that came; `refused`: foreign or damaged;
        `duplicates`; `surplus`: came after their packet was whole; `kernel_drops`: the
        kernel had no room; `repaired`: symbols computed; `margin_percent`: the repair left
        over in the worst block so far; `dropped`: whole packets nobody took in time;
        `lost_packets`: too little of them came; `links`: senders heard, each start of one
        being another; `rival_datagrams`: came from one while another is there.
        """
        counts = Counter(self._counts)
        counts.update(self._earlier)
        counts.update(self._process.arena.counters())
        counts["lost_packets"] += counts.pop("unrepairable")
        return {**counts, "margin_percent": self._margin_percent}

    def close(self) -> None:
        """End the collecting process."""
        self._process.close()

    def _packet(self, event: Event) -> memoryview | None:
        """Return the packet that an event announces, if it does."""
        parsed = unpack_facts(event.facts)
        if event.kind is EventKind.STARTED or parsed is None:
            return None
        instance, layout = parsed
        if event.kind is EventKind.RIVALS:
            self._report_rivals(event)
            return None
        if event.kind is EventKind.READY:
            packet = self._repaired(layout, event.slot)
            self._process.arena.look_away(event.slot)
            self._process.release(event.slot)
            if packet is not None:
                return packet
        report(event, instance, layout)
        return None

    def _repaired(self, layout: Layout, number: int) -> memoryview | None:
        slot = self._process.arena.slot(number)
        repair = repair_packet(layout, slot, codec_by_id(layout.codec))
        if repair is None:
            self._counts["unrepairable"] += 1
            return None
        packet = self._memory.copy(slot.data[: layout.length])
        self._counts["packets"] += 1
        self._counts["bytes"] += layout.length
        self._counts["repaired"] += repair.symbols
        self._margin_percent = min(self._margin_percent, repair.margin_percent)
        return packet

    def _restart(self) -> None:
        logger.error("the collecting process ended unexpectedly; starting another one")
        self._process.close()
        earlier = self._process.arena.counters()
        self._process = CollectorProcess(self._socket, self._settings)
        self._earlier.update({**earlier, "kernel_drops": 0})  # the socket goes on counting these

    def _report_rivals(self, event: Event) -> None:
        fate = "refused" if self._settings.one_sender else "received too"
        logger.error(
            "two senders use port {} at once; {} is {}: stop one, or give it and a receiver of its"
            " own another [transport] port",
            self._settings.port,
            event.text,
            fate,
        )

    def _report_refused(self) -> None:
        """Say at most once a minute that foreign or damaged datagrams come."""
        refused = self.counters()["refused"]
        now = time.monotonic()
        if refused > self._refused_logged and now >= self._refused_log_due:
            logger.warning(
                "refused {} datagrams on port {}: damaged, or not of this version",
                refused - self._refused_logged,
                self._settings.port,
            )
            self._refused_logged = refused
            self._refused_log_due = now + REFUSED_LOG_SECONDS


def report(event: Event, instance: int, layout: Layout) -> None:
    """Log what became of a packet that is not handed over."""
    log = logger.bind(link_instance=f"{instance:016x}", packet=layout.number)
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
            "packet {} of {} bytes lost: {} datagrams are missing and codec {} could not restore"
            " them; install reed-solomon-leopard here, or set codec = raptorq on the origin side",
            layout.number,
            layout.length,
            event.missing,
            layout.codec,
        )
