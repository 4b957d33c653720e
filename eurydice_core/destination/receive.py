"""The receiver: transport -> seal -> ingest, and nothing that comes can stop it."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict

from loguru import logger

from eurydice_core.destination.ingest import Ingest
from eurydice_core.errors import PacketError
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.protocol.packet import Packet, open_packet
from eurydice_core.service import Service

__all__ = ["Receiver"]

REPEAT_EVERY = 60.0
"""Seconds after which refused packets are reported again."""
MAX_STREAMS = 100
"""Senders whose place in their sequence is remembered."""


class Receiver(Service):
    """Takes packets from the link for as long as there are any."""

    interval = 0.0  # waiting happens in the transport

    def __init__(self, installation: Installation, link: PacketReceiver) -> None:
        super().__init__()
        settings = installation.settings.receiver
        self._link = link
        self._key = installation.seal_key
        self._ingest = Ingest(installation)
        self._timeout = settings.poll_every
        self._silence = settings.expect_packet_every
        self._held: Packet | None = None
        self._heard_at = time.monotonic()
        self._resumed = False
        self._refused = 0
        self._refusal_reported_at = float("-inf")
        self._expected: OrderedDict[uuid.UUID, int] = OrderedDict()

    def step(self) -> bool:
        """Take in what comes next; return whether anything came.

        Raises:
            StorageError, DatabaseUnavailable: an outage; the packet is kept and tried again.
        """
        if not self._resumed:
            self._ingest.resume()
            self._resumed = True
        if self._held is None:
            data = self._link.receive(self._timeout)
            if data is None:
                self._note_silence()
                return False
            self._held = self._opened(data)
        if self._held is not None:
            self._ingest.packet(self._held)
            self._held = None
        return True

    def _opened(self, data: Buffer) -> Packet | None:
        """Return the packet if it is one of ours."""
        try:
            packet = open_packet(data, self._key)
        except PacketError as error:
            self._note_refused(error)
            return None
        self._heard_at = time.monotonic()
        self._note_sequence(packet)
        for reason in packet.refused:
            logger.error("packet {}: an element was skipped: {}", packet.sequence, reason)
        return packet

    def _note_silence(self) -> None:
        silent = time.monotonic() - self._heard_at
        if silent > self._silence:
            logger.error(
                "no packet for {:.0f} s, not even a heartbeat: check the origin's sender and the"
                " link",
                self._silence,
            )
            self._heard_at = time.monotonic()

    def _note_refused(self, error: PacketError) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._refusal_reported_at >= REPEAT_EVERY:
            logger.error("{} ({} refused since the start)", error, self._refused)
            self._refusal_reported_at = now

    def _note_sequence(self, packet: Packet) -> None:
        expected = self._expected.get(packet.stream)
        if expected is not None and packet.sequence > expected:
            logger.warning(
                "{} packets of stream {} are missing before number {}",
                packet.sequence - expected,
                packet.stream,
                packet.sequence,
            )
        self._expected[packet.stream] = max(expected or 0, packet.sequence + 1)
        self._expected.move_to_end(packet.stream)
        if len(self._expected) > MAX_STREAMS:
            self._expected.popitem(last=False)
