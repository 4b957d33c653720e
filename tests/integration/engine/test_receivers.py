"""Several receivers, each with a link of its own, put files together in one place."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from eurydice_core.db.exclusive import exclusively
from eurydice_core.destination.ingest import Ingest
from eurydice_core.destination.spool import spool_alone
from eurydice_core.errors import ServiceError
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import IncomingState
from eurydice_core.protocol.packet import open_packet


def test_two_receivers_with_pieces_of_one_file_lose_none(sides):
    data = bytes(range(250)) * 40
    ids = [sides.submit(data), sides.submit(data[::-1])]
    packets = [open_packet(packet, sides.origin.seal_key) for packet in sides.send()]
    receivers = [Ingest(sides.destination), Ingest(sides.destination)]
    start = threading.Barrier(2)

    def take_in(turn: int) -> None:
        start.wait()
        for packet in packets[turn::2]:
            receivers[turn].packet(packet)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(take_in, range(2)))
    assert {row.state for row in sides.incoming().values()} == {IncomingState.SUCCESS}
    assert [sides.content(id) for id in ids] == [data, data[::-1]]


def test_two_receivers_with_all_of_a_file_deliver_it_once(sides):
    data = bytes(range(250)) * 10
    id = sides.submit(data)
    packets = [open_packet(packet, sides.origin.seal_key) for packet in sides.send()]
    receivers = [Ingest(sides.destination), Ingest(sides.destination)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda ingest: [ingest.packet(packet) for packet in packets], receivers))
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == data


def test_work_on_one_transferable_is_done_one_after_the_other(sides):
    database = sides.destination.database
    ids = [uuid.uuid4(), uuid.uuid4()]
    inside: list[str] = []
    held = threading.Event()

    def second() -> None:
        held.wait()
        with exclusively(database, ids[::-1]):
            inside.append("second")

    with ThreadPoolExecutor(1) as threads:
        with exclusively(database, ids):
            waiting = threads.submit(second)
            held.set()
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
            inside.append("first")
        waiting.result(timeout=30)
    assert inside == ["first", "second"]


def test_second_receiver_at_one_spool_is_refused(tmp_path):
    with (
        spool_alone(tmp_path / "spool"),
        pytest.raises(ServiceError, match="give each receiver a state_dir of its own"),
        spool_alone(tmp_path / "spool"),
    ):
        pytest.fail("it must not get here")
    with spool_alone(tmp_path / "spool"):
        pass


def test_small_file_that_came_to_both_is_told_once(sides):
    told = []
    sides.destination.database.report_events_to(lambda kind, **_: told.append(kind))
    sides.submit(b"small")
    packet = open_packet(sides.send()[0], sides.origin.seal_key)
    told.clear()
    one, other = Ingest(sides.destination), Ingest(sides.destination)
    before = one._store(packet)  # both saw that it is new
    other.packet(packet)
    ended = one._write_down(packet, before)
    assert [arrival.is_late for arrival in before] == [True]
    assert ended == []
    assert told == [EventKind.RECEIVED]


def test_spool_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "spool").write_text("a file is no directory")
    with (
        pytest.raises(ServiceError, match=r"the spool .* cannot be used"),
        spool_alone(tmp_path / "spool"),
    ):
        pytest.fail("it must not get here")
