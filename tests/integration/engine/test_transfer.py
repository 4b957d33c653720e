"""Files cross the wire whole, whatever happens on the way."""

from __future__ import annotations

import hashlib
import random
import threading
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from eurydice_core.db.facts import LAST_PACKET_SENT_AT, MAINTENANCE, get_time, set_fact
from eurydice_core.db.incoming import OriginProfile
from eurydice_core.db.outgoing import OutgoingRange
from eurydice_core.errors import LinkDown
from eurydice_core.model.states import IncomingState, OutgoingState
from eurydice_core.origin.send import GATHER_SECONDS
from eurydice_core.origin.submit import Submission
from eurydice_core.protocol.packet import open_packet

SIZES = [0, 1, 36, 37, 99, 100, 101, 200, 299, 300, 301, 1000]


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_arrives_whole(sides, size, announced):
    data = content(size)
    meta = {"Metadata-Name": "é.txt"}
    id = sides.submit(data, name="é.txt", metadata=meta, size=size if announced else None)
    assert sides.outgoing()[id].state is OutgoingState.PENDING
    sides.deliver(sides.send())
    sent, received = sides.outgoing()[id], sides.incoming()[id]
    assert sent.state is OutgoingState.SUCCESS
    assert sent.bytes_transferred == sent.size == size
    assert received.state is IncomingState.SUCCESS
    assert (received.name, received.user_provided_meta) == ("é.txt", meta)
    assert received.size == received.bytes_received == size
    assert received.sha1 == sent.sha1 == hashlib.sha1(data).digest()
    assert received.sha256 == hashlib.sha256(data).digest()
    assert sides.content(id) == data


def test_an_upload_is_sent_while_the_rest_of_it_still_comes(sides):
    data = content(1000)
    submission = Submission(sides.origin, sides.user, name="long")
    submission.write(data[:450])
    packets = sides.send()
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.ONGOING
    sides.deliver(packets)
    received = sides.incoming()[str(submission.id)].bytes_received
    assert received in (300, 400), "the fourth range may still be on its way to the disk"
    submission.write(data[450:])
    submission.finish()
    sides.deliver(sides.send())
    assert sides.content(str(submission.id)) == data


def test_ranges_sent_before_the_end_of_the_upload_may_come_after_it(sides):
    data = content(1000)
    submission = Submission(sides.origin, sides.user, name="long")
    submission.write(data[:450])
    early = sides.send()
    submission.write(data[450:])
    submission.finish()
    late = sides.send()
    sides.deliver([*late, *early])
    row = sides.incoming()[str(submission.id)]
    assert (row.state, row.size) == (IncomingState.SUCCESS, 1000)
    assert sides.content(str(submission.id)) == data


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=6),
    rng=st.randoms(use_true_random=False),
)
def test_packets_in_any_order_and_some_twice_give_every_file(sides, sizes, rng):
    files = {sides.submit(content(size, i)): content(size, i) for i, size in enumerate(sizes)}
    packets = sides.send()
    packets += rng.sample(packets, rng.randint(0, len(packets)))
    rng.shuffle(packets)
    sides.deliver(packets)
    incoming = sides.incoming()
    for id, data in files.items():
        assert incoming[id].state is IncomingState.SUCCESS
        assert sides.content(id) == data


def test_a_lost_packet_arrives_with_the_repeat_and_nobody_asked(sides):
    data = content(1000)
    id = sides.submit(data)
    packets = sides.send()
    del packets[1]
    sides.deliver(packets)
    assert sides.incoming()[id].state is IncomingState.ONGOING
    assert sides.send() == [], "the repeat waits its time"
    sides.clock.forward(seconds=61)
    again = sides.send()
    sides.deliver(again)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == data
    sides.clock.forward(seconds=61)
    assert sides.carried(sides.send()) == 0, "twice in all, as configured"


def test_new_data_goes_before_repeats(sides):
    sides.submit(content(100))
    sides.send()
    sides.clock.forward(seconds=61)
    new = sides.submit(content(100, 1))
    first, *_ = sides.send()
    sides.deliver([first])
    assert list(sides.incoming()) == [new]


def test_nothing_counts_as_sent_while_the_link_is_down(sides):
    id = sides.submit(content(250))
    sides.wire.down = LinkDown("no carrier")
    with pytest.raises(LinkDown):
        sides.send_one()
    assert sides.outgoing()[id].state is OutgoingState.PENDING
    with sides.origin.database.read() as session:
        assert get_time(session, LAST_PACKET_SENT_AT) is None
    sides.wire.down = None
    sides.deliver(sides.send())
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def test_a_sender_killed_before_it_wrote_down_what_it_sent_sends_it_again(sides):
    id = sides.submit(content(250))
    sides.wire.down = KeyboardInterrupt()  # dies with the packet in its hands
    with pytest.raises(KeyboardInterrupt):
        sides.send_one()
    sides.wire.down = None
    sides.sender = sides.new_sender()
    packets = sides.send()
    sides.deliver([*packets, *packets])
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def test_heartbeats_come_at_first_and_then_at_their_interval(sides):
    assert len(sides.send()) == 1
    assert sides.send() == []
    sides.clock.forward(seconds=119)
    assert sides.send() == []
    sides.clock.forward(seconds=1)
    assert len(sides.send()) == 1


@pytest.mark.parametrize("step", [{"hours": -1}, {"days": 1}])
def test_heartbeats_keep_their_interval_when_the_clock_steps(sides, step):
    assert len(sides.send()) == 1
    sides.clock.step(**step)
    assert sides.send() == []
    sides.clock.forward(seconds=120)
    assert len(sides.send()) == 1


def test_maintenance_stops_all_but_heartbeats(sides):
    with sides.origin.database.write() as session:
        set_fact(session, MAINTENANCE, True)
    id = sides.submit(content(10))
    sides.deliver(sides.send())
    assert sides.incoming() == {}
    with sides.origin.database.write() as session:
        set_fact(session, MAINTENANCE, False)
    sides.deliver(sides.send())
    assert list(sides.incoming()) == [id]


def test_small_files_share_packets(sides):
    for seed in range(30):
        sides.submit(content(10, seed))
    packets = sides.send()
    assert len(packets) == 1
    sides.deliver(packets)
    states = {row.state for row in sides.incoming().values()}
    assert (len(sides.incoming()), states) == (30, {IncomingState.SUCCESS})


def test_packets_with_room_left_are_apart_and_full_ones_are_not(sides, monkeypatch):
    stopped = SimpleNamespace(monotonic=lambda: 100.0)  # however slow this machine is
    monkeypatch.setattr("eurydice_core.origin.send.time", stopped)
    waits = Waits()
    sides.submit(b"x")
    sides.sender.step()
    sides.sender.gather(waits)
    sides.submit(bytes(1000))
    sides.sender.step()
    sides.sender.gather(waits)
    small, full = waits.seconds
    assert small == pytest.approx(GATHER_SECONDS)
    assert full == 0


class Waits(threading.Event):
    """Is told how long to wait, and does not."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        return False


def test_an_origin_user_nobody_is_associated_with_is_remembered(sides):
    sides.submit(b"x")
    sides.submit(b"y", user=sides.origin.accounts.add("bob"))
    sides.deliver(sides.send())
    with sides.destination.database.read() as session:
        assert session.scalar(select(func.count()).select_from(OriginProfile)) == 2


def test_a_range_whose_bytes_are_gone_ends_its_file_on_both_sides_and_no_other(sides):
    broken, whole = sides.submit(content(250)), sides.submit(content(250, 1))
    with sides.origin.database.read() as session:
        query = select(OutgoingRange).where(OutgoingRange.byte_offset == 100)
        lost = next(row for row in session.scalars(query) if str(row.transferable_id) == broken)
    sides.origin.storage.delete([lost.key])
    sides.deliver(sides.send())
    assert sides.outgoing()[broken].state is OutgoingState.ERROR
    assert sides.incoming()[broken].state is IncomingState.REVOKED
    assert sides.incoming()[whole].state is IncomingState.SUCCESS


def test_data_is_kept_at_the_origin_until_it_was_sent_as_often_as_configured(sides):
    from eurydice_core.origin.clean import OriginCleaner

    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    sides.submit(content(250))
    sides.clock.forward(days=2)
    cleaner.step()
    assert len(sides.origin.storage.keys) == 3, "not sent yet"
    sides.send()
    sides.clock.forward(days=2)
    cleaner.step()
    assert len(sides.origin.storage.keys) == 3, "one repeat is still due"
    sides.send()
    cleaner.step()
    assert len(sides.origin.storage.keys) == 3, "kept for repairs"
    sides.clock.forward(hours=25)
    cleaner.step()
    assert sides.origin.storage.keys == frozenset()


def test_the_next_packet_is_made_while_the_link_takes_the_one_before(sides, monkeypatch):
    data = content(1000)
    id = sides.submit(data)
    released, packed = threading.Event(), threading.Event()
    real_send, real_pack = sides.wire.send, sides.sender._pack

    def send(packet):
        assert released.wait(10)
        real_send(packet)

    def pack(load):
        packet = real_pack(load)
        packed.set()
        return packet

    monkeypatch.setattr(sides.wire, "send", send)
    assert sides.sender.step()
    monkeypatch.setattr(sides.sender, "_pack", pack)
    thread = threading.Thread(target=sides.sender.step)
    thread.start()
    assert packed.wait(10), "the second packet is made though the first was not taken"
    assert sides.outgoing()[id].state is OutgoingState.PENDING
    released.set()
    thread.join(10)
    packets = sides.send()
    assert sides.carried(packets) == 10, "each range once"
    sides.deliver(packets)
    assert sides.content(id) == data


def test_what_the_link_did_not_take_leaves_no_gap_in_the_sequence(sides):
    sides.submit(content(1000))
    sides.wire.down = LinkDown("no carrier")
    for _ in range(5):
        with pytest.raises(LinkDown):
            sides.send_one()
    sides.wire.down = None
    sequences = [open_packet(p, sides.origin.seal_key).sequence for p in sides.send()]
    assert sequences == list(range(len(sequences)))
