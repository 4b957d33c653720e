"""Both sides in one process: real databases, a storage and a link in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from eurydice_core.config import Settings
from eurydice_core.db.accounts import Account, Accounts
from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.destination.receive import Receiver
from eurydice_core.destination.source import PacketSource
from eurydice_core.errors import IngestFailed
from eurydice_core.events import EventStream
from eurydice_core.hookspecs import Context
from eurydice_core.installation import Installation
from eurydice_core.interfaces.scheduler import Pending, Scheduler
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender
from eurydice_core.leases import Leases
from eurydice_core.model.queue import PendingRange
from eurydice_core.model.states import Side
from eurydice_core.origin.send import Sender
from eurydice_core.origin.submit import Submission
from eurydice_core.plugins import discover
from eurydice_core.protocol.packet import open_packet
from eurydice_core.testing.fakes.storage import MemoryStorage
from eurydice_core.testing.fakes.transport import MemoryTransport

RANGE = 100
"""Bytes in a range here, so that small files have many."""


class OldestFirst(Scheduler):
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        return pending.ranges()


@dataclass
class Clock:
    """A time that only tests move."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    uptime: float = 1000.0

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **amount: float) -> None:
        """Let time pass, on the wall and in the machine."""
        self.step(**amount)
        self.uptime += timedelta(**amount).total_seconds()

    def step(self, **amount: float) -> None:
        """Set the wall clock anew, though no time passes."""
        self.at += timedelta(**amount)

    def steady(self) -> float:
        return self.uptime


@dataclass
class Wire:
    """A link that keeps what it took, for a test to deliver as it likes."""

    sender: PacketSender
    receiver: PacketReceiver
    packets: list[bytes] = field(default_factory=list)
    down: Exception | None = None

    def send(self, packet: memoryview) -> None:
        if self.down:
            raise self.down
        self.packets.append(bytes(packet))

    def counters(self) -> dict[str, int]:
        return {}


@dataclass
class Sides:
    """An origin and a destination, and the wire between them."""

    origin: Installation
    destination: Installation
    wire: Wire
    clock: Clock
    user: Account
    source: Callable[[PacketReceiver], PacketSource]
    senders: list[Sender] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sender = self.new_sender()
        self.receiver = self.new_receiver()

    def new_sender(self) -> Sender:
        """Start the sender anew, as after a crash."""
        sender = Sender(
            self.origin, OldestFirst(), self.wire, now=self.clock, steady=self.clock.steady
        )
        self.senders.append(sender)
        return sender

    def send_one(self) -> None:
        """Send one packet, and have it recorded."""
        self.sender.step()
        self.sender.land()

    def new_receiver(self) -> Receiver:
        """Start the receiver anew, as after a crash."""
        return Receiver(self.destination, self.source(self.wire.receiver))

    def submit(self, data: bytes, *, user: Account | None = None, **more: object) -> str:
        """Upload a file in uneven pieces; return its id."""
        submission = Submission(self.origin, user or self.user, **{"name": "file", **more})
        for start in range(0, len(data), 37):
            submission.write(data[start : start + 37])
        return str(submission.finish().id)

    def send(self) -> list[bytes]:
        """Let the sender work until it has nothing to do; return what the wire took."""
        while self.sender.step():
            pass
        taken, self.wire.packets = self.wire.packets, []
        return taken

    def deliver(self, packets: list[bytes]) -> None:
        """Let the receiver take these in."""
        for packet in packets:
            self.wire.sender.send(packet)
        while self.try_step():
            pass

    def try_step(self) -> bool:
        """Let the receiver take a step, and try again what it failed to ingest."""
        try:
            return self.receiver.step()
        except IngestFailed:
            return True

    def carried(self, packets: list[bytes]) -> int:
        """Return how many ranges these packets carry."""
        opened = [open_packet(packet, self.origin.seal_key) for packet in packets]
        return sum(len(part.ranges) for packet in opened for part in packet.parts)

    def outgoing(self) -> dict[str, OutgoingTransferable]:
        with self.origin.database.read() as session:
            return {str(row.id): row for row in session.scalars(select(OutgoingTransferable))}

    def incoming(self) -> dict[str, IncomingTransferable]:
        with self.destination.database.read() as session:
            return {str(row.id): row for row in session.scalars(select(IncomingTransferable))}

    def content(self, id: str) -> bytes:
        return b"".join(self.destination.storage.read(f"files/{id}"))


def small(settings: Settings) -> Settings:
    """Make ranges and packets tiny, which no operator could."""
    return settings.model_copy(
        update={
            "upload": settings.upload.model_copy(update={"range_size": RANGE}),
            "sender": settings.sender.model_copy(update={"packet_size": 3 * RANGE}),
        }
    )


@pytest.fixture
def make_installation(
    tmp_path: Path, database_url: Callable[[Side], str]
) -> Iterator[Callable[[Side], Installation]]:
    with ExitStack() as stack:

        def make(side: Side, **tables: object) -> Installation:
            url = database_url(side)
            settings = Settings.model_validate(
                {
                    "side": side,
                    "state_dir": tmp_path,
                    "secret_key": f"only the {side} knows this" + "." * 32,
                    "database": {"url": url},
                    "link": {"secret": "both sides know this" + "." * 32},
                    "receiver": {"poll_every": 0.001},
                    **tables,
                }
            )
            database = Database(url)
            stack.callback(database.dispose)
            leases = Leases(database, tmp_path)
            stack.callback(leases.close)
            return Installation(
                settings=small(settings),
                plugins=discover(),
                context=Context(side=side, state_dir=tmp_path),
                database=database,
                storage=MemoryStorage(),
                accounts=Accounts(database),
                events=EventStream(side, []),
                leases=leases,
                upload_workers=stack.enter_context(ThreadPoolExecutor(2, "upload")),
            )

        yield make


@pytest.fixture
def sides(
    make_installation: Callable[[Side], Installation],
    direct_source: Callable[[PacketReceiver], PacketSource],
) -> Iterator[Sides]:
    link = MemoryTransport()
    origin, destination = make_installation(Side.ORIGIN), make_installation(Side.DESTINATION)
    with link.receiver() as receiver, link.sender() as sender:
        sides = Sides(
            origin,
            destination,
            Wire(sender, receiver),
            Clock(),
            origin.accounts.add("alice"),
            direct_source,
        )
        yield sides
        for each in sides.senders:
            each.close()
