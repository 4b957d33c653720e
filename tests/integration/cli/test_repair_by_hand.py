"""What a person does about a file that lost something: read a ticket, carry it, apply it."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner

from eurydice_core.cli.history import history
from eurydice_core.cli.init import init
from eurydice_core.cli.main import Invocation
from eurydice_core.cli.repair import repair
from eurydice_core.db.incoming import IncomingTransferable
from eurydice_core.destination.receive import Receiver
from eurydice_core.installation import open_installation
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.origin.send import Sender
from eurydice_core.origin.submit import Submission
from eurydice_core.testing.fakes.transport import MemoryTransport

RANGE = 5 * 2**20


class OldestFirst(Scheduler):
    def select(self, pending, budget):
        return pending.ranges()


@dataclass
class Wire:
    """The link's end at the origin; what it took is lost or delivered as the test says."""

    packets: list[bytes] = field(default_factory=list)

    def send(self, packet):
        self.packets.append(bytes(packet))

    def counters(self):
        return {}


class Site:
    """One side as its operator set it up, and their command line."""

    def __init__(self, side, directory, url, *options):
        made = CliRunner().invoke(init, [str(side), "--dir", str(directory), *options])
        assert made.exit_code == 0, made.output
        self.invocation = Invocation(
            directory / "eurydice.toml",
            {
                "EURYDICE_DATABASE__URL": url,
                "EURYDICE_UPLOAD__RANGE_SIZE": str(RANGE),
                "EURYDICE_SENDER__PACKET_SIZE": str(RANGE),
                "EURYDICE_SENDER__REPEAT": "1",
            },
        )

    def opened(self):
        return open_installation(self.invocation.load().settings)

    def type(self, command, *arguments, given=""):
        done = CliRunner().invoke(command, [*arguments], obj=self.invocation, input=given)
        assert done.exit_code == 0, done.output
        return done.stdout


class Link:
    """Everything that runs on both sides, a step at a time."""

    def __init__(self, origin, destination, source, far_end):
        self.origin, self.destination, self.far_end = origin, destination, far_end
        self.wire = Wire()
        self.sender = Sender(origin, OldestFirst(), self.wire)
        self.receiver = Receiver(destination, source)

    def submit(self, content):
        submission = Submission(self.origin, self.origin.accounts.add("alice"), name="report.pdf")
        submission.write(content)
        return submission.finish().id

    def send(self):
        while self.sender.step():
            pass
        taken, self.wire.packets = self.wire.packets, []
        return taken

    def deliver(self, packets):
        for packet in packets:
            self.far_end.send(memoryview(packet))
        while self.receiver.step():
            pass

    def state(self, id):
        with self.destination.database.read() as session:
            return session.get(IncomingTransferable, id).state


@pytest.fixture
def low(tmp_path, database_url):
    return Site(Side.ORIGIN, tmp_path / "low", database_url(Side.ORIGIN))


@pytest.fixture
def high(tmp_path, database_url, low):
    (secret,) = (tmp_path / "low").rglob("link-secret*")
    url = database_url(Side.DESTINATION)
    return Site(Side.DESTINATION, tmp_path / "high", url, "--link-secret-file", str(secret))


@pytest.fixture
def link(low, high, direct_source):
    memory = MemoryTransport()
    with (
        low.opened() as origin,
        high.opened() as destination,
        memory.receiver() as receiver,
        memory.sender() as far_end,
    ):
        link = Link(origin, destination, direct_source(receiver), far_end)
        with closing(link.sender):
            yield link


def test_a_lost_packet_is_asked_for_by_a_ticket_that_a_person_carries(low, high, link):
    content = random.Random(7).randbytes(2 * RANGE + 100_000)
    id = link.submit(content)
    first, _lost, *others = link.send()
    link.deliver([first])
    assert link.state(id) is IncomingState.ONGOING
    assert high.type(repair, "list") == ""
    link.deliver(others)
    assert link.state(id) is IncomingState.ERROR

    assert f"{id}     5.0 MiB    10.1 MiB" in high.type(repair, "list")
    about, ticket, _ = high.type(repair, "show", str(id)).split("\n\n", 2)
    assert "report.pdf" in about
    assert "(5.0 MiB) in 1 piece" in about
    said = low.type(repair, "apply", "-", given=ticket)
    assert said == f"queued 1 range (5.0 MiB) of {id}\n"

    again = link.send()
    assert sum(map(len, again)) < 1.1 * RANGE
    link.deliver(again)
    assert link.state(id) is IncomingState.SUCCESS
    assert b"".join(link.destination.storage.read(f"files/{id}")) == content


def test_a_destination_that_heard_nothing_is_told_when_somebody_asks(low, high, link):
    id = link.submit(b"x" * 1000)
    assert len(link.send()) == 2  # the data and the ending, and both are lost
    assert link.send() == []
    assert low.type(history, "send").startswith("1 ending queued")
    link.deliver(link.send())
    assert link.state(id) is IncomingState.ERROR
    assert str(id) in high.type(repair, "list")
