"""The receiver: transport -> seal -> ingest, and nothing that comes can stop it."""

from __future__ import annotations

import time
from typing import Final

from eurydice_core.db.notes import NoteKind, set_note
from eurydice_core.destination.ingest import Ingest
from eurydice_core.destination.watch import LinkWatch
from eurydice_core.errors import PacketError
from eurydice_core.installation import Installation
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.buffer import Buffer
from eurydice_core.protocol.packet import Packet, open_packet
from eurydice_core.service import OUTAGES, Service

__all__ = ["Receiver"]

RECEIVER: Final = "receiver"
RECORD_EVERY: Final = 5.0
"""Seconds between two records of what is known of the link."""


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
        self._watch = LinkWatch(settings.expect_packet_every)
        self._database = installation.database
        self._leases = installation.leases
        self._held: Packet | None = None
        self._resumed = False
        self._recorded_at = float("-inf")

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
                self._watch.nothing_came()
                self.record()
                return False
            self._held = self._opened(data)
        if self._held is not None:
            self._take_in(self._held)
            self._held = None
            self.record()
        return True

    def _take_in(self, packet: Packet) -> None:
        try:
            self._ingest.packet(packet)
        except OUTAGES:
            raise
        except Exception as error:  # a bug, and no reason to lose what comes after it
            self._watch.failed(packet, error)

    def record(self) -> None:
        """Write down what is known of the link, for metrics and `eurydice link doctor`."""
        now = time.monotonic()
        if now - self._recorded_at < RECORD_EVERY:
            return
        place = self._leases.place(RECEIVER)
        with self._database.write(durable=False) as session:
            set_note(session, NoteKind.LINK, place, self._watch.record(self._link.counters()))
        self._recorded_at = now

    def _opened(self, data: Buffer) -> Packet | None:
        """Return the packet if it is one of ours."""
        try:
            packet = open_packet(data, self._key)
        except PacketError as error:
            self._watch.refused(error)
            return None
        self._watch.heard(packet)
        return packet
