"""The destination's end: whole packets, repaired where needed."""

from __future__ import annotations

import errno
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from loguru import logger

from eurydice_core.errors import TransportError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.line_limit import LineLimit
from eurydice_transport_udp.admission import Event, EventKind
from eurydice_transport_udp.codec import codec_by_id
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.packets import PacketMemory
from eurydice_transport_udp.process import CollectorEnded, CollectorProcess
from eurydice_transport_udp.repair import repair_packet
from eurydice_transport_udp.report import Reporter
from eurydice_transport_udp.settings import Settings
from eurydice_transport_udp.sockets import open_receiving_socket
from eurydice_transport_udp.wire import unpack_facts

__all__ = ["UdpReceiver", "open_receiver"]

MAX_WAKE_SECONDS = 0.25
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
SOUND_SECONDS = 60.0
"""A collecting process that ran for so long was not at fault from its start."""


@contextmanager
def open_receiver(settings: Settings, key: bytes = b"") -> Iterator[UdpReceiver]:
    """Open the destination's end; datagrams are collected from here on.

    Raises:
        TransportError: the address cannot be listened on.
    """
    wake_seconds = min(MAX_WAKE_SECONDS, settings.reassembly_timeout / 4)
    with open_receiving_socket(settings, wake_seconds) as sock:
        receiver = UdpReceiver(sock, settings, key)
        logger.info("listening on {}:{}", settings.bind, settings.port)
        try:
            yield receiver
        finally:
            receiver.close()


class UdpReceiver(PacketReceiver):
    """Takes packets from the collecting process, and repairs them on the caller's time."""

    def __init__(self, sock: socket.socket, settings: Settings, key: bytes = b"") -> None:
        self._socket = sock
        self._settings = settings
        self._key = key
        self._process = CollectorProcess(sock, settings, key)
        self._started_at = time.monotonic()
        self._start_again_at = self._started_at
        self._pause = 0.0
        self._start_failure: str | None = None
        """Why the collecting process could not be started again; None once it was."""
        self._event: Event | None = None
        """An event that there was no memory for; it is tried again."""
        self._memory = PacketMemory(settings.max_packet)
        self._counts = Counter(packets=0, bytes=0, repaired=0, unrepairable=0)
        self._margin_percent = 100
        self._earlier: Counter[str] = Counter()
        self._reporter = Reporter(settings)
        self._lines = LineLimit()

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the next packet, repaired.

        Raises:
            TransportError: the collecting process cannot be started again, or the system is
                out of memory or descriptors; the next call tries again.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                packet = self._next_packet(deadline)
            except (OSError, MemoryError) as error:
                raise TransportError(f"the link cannot be received from ({reason(error)})") from (
                    error
                )
            self._reporter.withheld()
            if packet is not None or time.monotonic() >= deadline:
                return packet

    def _next_packet(self, deadline: float) -> memoryview | None:
        """Handle one event, or the end of the collecting process; return its packet, if any."""
        if self._event is None:
            try:
                self._event = self._process.next_event(max(0.0, deadline - time.monotonic()))
            except CollectorEnded:
                self._restart(deadline)
        packet = self._packet(self._event) if self._event else None
        self._event = None
        return packet

    def counters(self) -> Mapping[str, int]:
        """Return what both processes counted.

        `datagrams`, `datagram_bytes`: all that came; `refused`: foreign or damaged;
        `duplicates`; `surplus`: came after their packet was whole; `kernel_drops`: the
        kernel had no room; `repaired`: symbols computed; `margin_percent`: the repair left
        over in the worst block so far; `dropped`: whole packets nobody took in time;
        `lost_packets`: too little of them came; `links`: senders heard, each start of one
        being another; `rival_datagrams`: came from one while another is there;
        `unauthentic`: lacked the link's key and were refused for a sender that has it;
        `replayed`: of packets sent long ago.
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
        if event.kind is EventKind.STARTED:
            return None
        parsed = unpack_facts(event.facts)
        if parsed is None:
            self._reporter.event(event, self.counters())
            return None
        layout = parsed[1]
        if event.kind is EventKind.READY:
            packet = self._repaired(layout, event.slot)
            self._process.arena.look_away(event.slot)
            self._process.release(event.slot)
            if packet is not None:
                return packet
        self._reporter.event(event, self.counters())
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

    def _restart(self, deadline: float) -> None:
        """Start the collecting process again, after a pause that grows if it keeps ending.

        Raises:
            TransportError: it cannot be started.
        """
        self._process.close()
        now = time.monotonic()
        if self._start_again_at > now:
            time.sleep(max(0.0, min(self._start_again_at, deadline) - now))
            if self._start_failure is not None and time.monotonic() < self._start_again_at:
                raise TransportError(self._start_failure)  # this is no silent link
            return
        if now - self._started_at > SOUND_SECONDS:
            self._pause = 0.0
        self._pause = min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)
        self._start_again_at = now + self._pause
        if self._lines.admit("restart"):
            logger.error("the collecting process ended unexpectedly; starting another one")
        earlier = self._process.arena.counters()
        try:
            self._process = CollectorProcess(self._socket, self._settings, self._key)
        except TransportError as error:
            self._start_failure = str(error)
            raise
        self._start_failure = None
        self._started_at = time.monotonic()
        self._earlier.update({**earlier, "kernel_drops": 0})  # the socket goes on counting these


def reason(error: OSError | MemoryError) -> str:
    """Return in one line what the system lacks."""
    if isinstance(error, MemoryError):
        return "out of memory; lower [transport] max_packet or give the receiver more"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise LimitNOFILE of the service, or fs.file-max"
    return (error.strerror or str(error)).lower()
