"""Several senders, each with a link of its own, fill them from one queue."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from eurydice_core.db import leases as leases_table
from eurydice_core.db.bell import open_bell
from eurydice_core.db.leases import Lease
from eurydice_core.db.outgoing import OutgoingClaim, OutgoingRange
from eurydice_core.db.waiting import WaitingCount
from eurydice_core.errors import ConfigurationError, DatabaseUnavailable, LinkDown
from eurydice_core.leases import MACHINE, Leases, hold_machine
from eurydice_core.model.clock import steady_seconds
from eurydice_core.model.states import RangeState, RevocationReason
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.send import Sender

NEVER = threading.Event()


class Senders:
    """Makes further senders, each as if in a process of its own."""

    def __init__(self, sides) -> None:
        self.sides = sides
        self.leases: list[Leases] = []
        self.senders: list[Sender] = []

    def start(self, steady: Callable[[], float] = steady_seconds) -> Sender:
        origin = self.sides.origin
        leases = Leases(origin.database, origin.settings.state_dir, steady=steady)
        sender = Sender(
            replace(origin, leases=leases),
            type(self.sides.sender._planner._scheduler)(),
            self.sides.wire,
            now=self.sides.clock,
            steady=self.sides.clock.steady,
        )
        self.leases.append(leases)
        self.senders.append(sender)
        return sender

    def kill(self, sender: Sender) -> None:
        """End a sender as `kill -9` would: nothing is given back, its file is unlocked."""
        leases = self.leases[self.senders.index(sender)]
        assert leases._life is not None
        os.close(leases._life)
        leases._life = None
        leases._held.clear()

    def close(self) -> None:
        for sender in self.senders:
            sender.close()
        for leases in self.leases:
            leases.close()


@pytest.fixture
def senders(sides) -> Iterator[Senders]:
    senders = Senders(sides)
    yield senders
    senders.close()


def drain(*senders: Sender) -> None:
    while any([sender.step() for sender in senders]):
        pass


def test_two_senders_share_a_queue_and_send_everything_once(sides, senders):
    ids = [sides.submit(bytes([number]) * 1000) for number in range(5)]
    one, other = senders.start(), senders.start()
    one.step()
    other.step()
    drain(one, other)
    assert sides.carried(sides.wire.packets) == 50
    sides.deliver(sides.wire.packets)
    assert [sides.content(id) for id in ids] == [bytes([number]) * 1000 for number in range(5)]


def test_what_a_killed_sender_had_on_its_way_is_sent_by_another_at_once(sides, senders):
    sides.submit(b"x" * 1000)
    dead = senders.start()
    dead.step()  # one packet is with the link, and will never be recorded
    senders.kill(dead)
    drain(senders.start())
    assert sides.carried(sides.wire.packets) == 3 + 10
    assert {row.ranges_pending for row in sides.outgoing().values()} == {0}
    assert not claims(sides), "neither the dead nor the living keep claims of what was sent"


def test_nothing_stays_claimed_of_files_whose_bytes_are_gone(sides, senders):
    sides.submit(b"x" * 1000)
    sides.origin.storage.delete(list(sides.origin.storage.list_keys("ranges/")))
    drain(senders.start())
    assert not claims(sides)


@pytest.mark.parametrize("when", ["planned", "claimed"])
def test_nothing_stays_claimed_when_the_database_went_away(sides, senders, monkeypatch, when):
    sides.submit(b"x" * 200)
    sender = senders.start()
    database = sides.origin.database
    with monkeypatch.context() as patch:
        if when == "planned":
            gone = DatabaseUnavailable("it is away")
            patch.setattr(sender._queue, "revocations", Mock(side_effect=gone))
        else:
            patch.setattr(database, "write", lost_answer(database.write))
        with pytest.raises(DatabaseUnavailable):
            sender.step()
    drain(sender)
    assert sides.carried(sides.wire.packets) == 2
    assert not claims(sides)


def lost_answer(write):
    """Commit, and do not hear of it: the connection was cut meanwhile."""

    @contextmanager
    def unheard(**options):
        with write(**options) as session:
            yield session
            claimed = session.scalar(select(func.count()).select_from(OutgoingClaim))
        if claimed:
            raise DatabaseUnavailable("it is away")

    return unheard


def claims(sides) -> list[OutgoingClaim]:
    with sides.origin.database.read() as session:
        return list(session.scalars(select(OutgoingClaim)))


def test_what_a_sender_of_another_machine_had_on_its_way_waits_for_its_lease(sides, senders):
    sides.submit(b"x" * 1000)
    steady = sides.clock.steady
    silent, living, other = (senders.start(steady) for _ in range(3))  # none is known to be dead
    silent.step()
    living.step()
    assert sides.carried(sides.wire.packets) == 3 + 3
    other._claims.look()  # sees the counters of both for the first time
    sides.clock.step(days=1)
    other._claims.look()
    sides.clock.step(days=-1, hours=-1)
    other._claims.look()
    assert len(claims(sides)) == 3 + 3, "a clock that steps ends no lease"
    for _ in range(2):
        sides.clock.forward(seconds=20)
        senders.leases[senders.senders.index(living)].renew()
        other._claims.look()
    drain(other)
    assert sides.carried(sides.wire.packets) == 3 + 3 + 7, (
        "what the living one has is not sent twice"
    )


def test_what_the_link_did_not_take_goes_through_another_senders_link(sides, senders):
    sides.submit(b"x" * 200)
    broken, other = senders.start(), senders.start()
    sides.wire.down = LinkDown("no carrier")
    broken.step()
    with pytest.raises(LinkDown):
        broken.step()
    sides.wire.down = None
    drain(other)
    assert sides.carried(sides.wire.packets) == 2


def test_repeats_are_shared_as_well(sides, senders):
    sides.submit(b"x" * 1000)
    one, other = senders.start(), senders.start()
    drain(one, other)
    sides.wire.packets.clear()
    sides.clock.forward(minutes=2)
    one.step()
    other.step()
    drain(one, other)
    assert sides.carried(sides.wire.packets) == 10


def test_lease_is_for_one_holder_until_it_is_given_up(sides, senders):
    database, directory = sides.origin.database, sides.origin.settings.state_dir
    one, other = Leases(database, directory), Leases(database, directory)
    assert one.take("cleaner")
    assert not other.take("cleaner")
    assert one.take("cleaner")
    one.renew()
    assert one.holds("cleaner")
    one.close()
    assert other.take("cleaner")
    assert other.living("clean") == {other.holder}
    other.close()
    assert not any((directory / "leases").iterdir())


def test_lease_ends_once_its_counter_stood_still_for_its_duration(sides):
    database, directory, clock = (
        sides.origin.database,
        sides.origin.settings.state_dir,
        sides.clock,
    )
    holder = Leases(database, directory)
    observer = Leases(database, directory, steady=clock.steady)
    assert holder.take("cleaner")
    for seconds in (0, 29, 1):
        clock.forward(seconds=seconds)
        assert not observer.take("cleaner")
    holder.renew()
    clock.forward(seconds=1)
    assert not observer.take("cleaner")  # it was renewed
    clock.forward(seconds=31)
    assert observer.take("cleaner")
    holder.renew()
    assert not holder.holds("cleaner")
    for leases in (holder, observer):
        leases.close()


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(hours=-1)])
def test_step_of_the_databases_clock_ends_and_prolongs_no_lease(sides, monkeypatch, step):
    database, directory, clock = (
        sides.origin.database,
        sides.origin.settings.state_dir,
        sides.clock,
    )
    holder = Leases(database, directory)
    observer = Leases(database, directory, steady=clock.steady)
    assert holder.take("cleaner")
    assert not observer.take("cleaner")
    real = leases_table.database_time
    monkeypatch.setattr(
        leases_table, "database_time", lambda session: real(session) + step.total_seconds()
    )
    assert not observer.take("cleaner")
    assert observer.living("clean") == {holder.holder}
    clock.forward(seconds=31)
    assert observer.living("clean") == set()
    assert observer.take("cleaner")
    for leases in (holder, observer):
        leases.close()


def test_leases_are_taken_and_renewed_by_threads_at_once(sides):
    leases = Leases(sides.origin.database, sides.origin.settings.state_dir)
    with ThreadPoolExecutor(6) as pool:
        places = set(pool.map(lambda _: leases.place("sender"), range(24)))
        list(pool.map(lambda _: leases.renew(), range(6)))
    assert len(places) <= 6
    assert all(leases.holds(place) for place in places)
    assert len(list((sides.origin.settings.state_dir / "leases").iterdir())) == 1
    leases.close()


def test_lost_lease_is_not_held_any_more(sides):
    leases = Leases(sides.origin.database, sides.origin.settings.state_dir)
    leases.take("cleaner")
    with sides.origin.database.write() as session:
        session.get_one(Lease, "cleaner").holder = uuid.uuid4()
    leases.renew()
    assert not leases.holds("cleaner")
    leases.close()


def test_sqlite_serves_one_machine_alone(sides):
    database, directory = sides.origin.database, sides.origin.settings.state_dir
    elsewhere = Leases(database, directory, seconds=0.3)
    leases = Leases(database, directory, seconds=60.0)
    assert elsewhere.take(MACHINE, holder=uuid.uuid4())
    if database.is_sqlite:
        with pytest.raises(ConfigurationError, match="used by another machine, and SQLite serves"):
            hold_machine(database, leases)
        elsewhere.close()
        leases = Leases(database, directory, seconds=0.3)
    hold_machine(database, leases)  # once the counter stands still
    for each in (elsewhere, leases):
        each.close()


def test_bell_rings_for_what_is_queued_and_not_for_nothing(sides):
    bell = open_bell(sides.origin.database, poll_seconds=0.001)
    while bell.wait(NEVER, 0):  # whatever came before it listened
        pass
    sides.submit(b"x")
    assert bell.wait(NEVER, 10)
    assert not bell.wait(NEVER, 0)
    bell.close()


def test_bell_ends_when_told_to_stop(sides):
    stop = threading.Event()
    stop.set()
    bell = open_bell(sides.origin.database, poll_seconds=0.001)
    bell.wait(stop, 0)
    assert not bell.wait(stop, 60)
    bell.close()


actions = st.lists(st.sampled_from(["submit", "send", "revoke", "again"]), max_size=12)


@given(actions)
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_waits_is_counted_right_whatever_happens(sides, actions):
    ids = []
    for action in actions:
        if action == "submit":
            ids.append(sides.submit(b"x" * 250))
        elif action == "send":
            sides.send_one()
        elif action == "revoke" and ids:
            with sides.origin.database.write() as session:
                revoke(session, uuid.UUID(ids.pop()), RevocationReason.USER_CANCELED, sides.clock())
        elif action == "again" and ids:
            with sides.origin.database.write() as session:
                for row in session.scalars(select(OutgoingRange).limit(2)):
                    row.state = RangeState.PENDING
        assert counted(sides) == added_up(sides)


def counted(sides) -> tuple[int, int]:
    with sides.origin.database.read() as session:
        row = session.execute(
            select(func.sum(WaitingCount.ranges), func.sum(WaitingCount.bytes))
        ).one()
    return int(row[0] or 0), int(row[1] or 0)


def added_up(sides) -> tuple[int, int]:
    with sides.origin.database.read() as session:
        row = session.execute(
            select(func.count(), func.sum(OutgoingRange.size)).where(
                OutgoingRange.state == RangeState.PENDING
            )
        ).one()
    return int(row[0]), int(row[1] or 0)


def test_of_several_cleaners_one_cleans(sides):
    database, directory = sides.origin.database, sides.origin.settings.state_dir
    elsewhere = Leases(database, directory)
    assert elsewhere.take("cleaner")
    sides.submit(b"x")
    sides.send()
    sides.clock.forward(minutes=2)
    sides.send()
    sides.clock.forward(days=30)
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    assert not cleaner.step()
    assert sides.outgoing()
    elsewhere.close()
    drained = [cleaner.step() for _ in range(3)]
    assert not any(drained)
    assert not sides.outgoing()


def test_state_that_cannot_be_written_is_one_line(sides, tmp_path):
    state = tmp_path / "state"
    state.write_text("a file is no directory")
    with pytest.raises(ConfigurationError, match="state_dir: cannot write"):
        Leases(sides.origin.database, state).take("cleaner")
