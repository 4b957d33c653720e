"""Sender and receiver joined by an emulated link that loses, doubles, mixes and damages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from udp_far_end import MIB, TIMEOUT, FarEnd, datagrams_of

from eurydice_transport_udp.assembly import OPEN_PACKETS, EventKind
from eurydice_transport_udp.codec import Codec, Leopard, RaptorQ, choose_codec
from eurydice_transport_udp.layout import Plan
from eurydice_transport_udp.repair import repair_packet
from eurydice_transport_udp.wire import pack_facts, seal_rows, unpack_facts

Damage = Callable[[list[bytes], random.Random], list[bytes]]


@pytest.fixture(params=["leopard", "raptorq"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return choose_codec(request.param)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    end = FarEnd()
    yield end
    end.arena.close()


def random_packet(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def random_loss(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    return [datagram for datagram in datagrams if chance.random() >= 0.03]


def burst(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    length = len(datagrams) * 8 // 110
    start = chance.randrange(len(datagrams) - length)
    return datagrams[:start] + datagrams[start + length :]


def reordered(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    return sorted(datagrams, key=lambda _: chance.random())


def doubled(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    return [datagram for datagram in datagrams for _ in range(chance.randint(1, 3))]


def damaged(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    result = []
    for datagram in datagrams:
        if chance.random() < 0.02:
            changed = bytearray(datagram)
            changed[chance.randrange(len(changed))] ^= chance.randint(1, 255)
            datagram = bytes(changed)
        result.append(datagram)
    return result


def truncated(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    return [
        datagram if chance.random() >= 0.02 else datagram[: chance.randrange(len(datagram))]
        for datagram in datagrams
    ]


def among_strangers(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    strangers = [chance.randbytes(chance.choice([0, 1, 48, 112, 1456, 1472])) for _ in range(200)]
    return reordered(datagrams + strangers, chance)


@pytest.mark.parametrize(
    "damage",
    [random_loss, burst, reordered, doubled, damaged, truncated, among_strangers],
    ids=lambda damage: damage.__name__,
)
@pytest.mark.parametrize("seed", range(3))
def test_packet_survives(codec: Codec, far: FarEnd, damage: Damage, seed: int) -> None:
    packet = random_packet(MIB + 11, seed)
    far.hear(damage(datagrams_of(packet, codec), random.Random(seed)))
    far.consume()
    assert far.packets == [packet]
    assert far.lost == []


@pytest.mark.parametrize("damage", [random_loss, burst], ids=lambda damage: damage.__name__)
def test_large_packet_with_default_settings_survives(damage: Damage) -> None:
    packet = random_packet(32 * MIB)
    far = FarEnd(max_packet=33 * MIB)
    sent = datagrams_of(packet, choose_codec("leopard"), plan=Plan(1408, 500, 10))
    far.hear(damage(sent, random.Random(1)), batch=40)
    far.consume()
    assert far.packets == [packet]
    assert far.repaired > 500
    far.arena.close()


@pytest.mark.parametrize("size", [0, 1, 48, 64, 1408, 1409, 140_800, 140_801, 500_000])
@pytest.mark.parametrize("batch", [1, 7, 45])
def test_packet_of_any_size_arrives(codec: Codec, far: FarEnd, size: int, batch: int) -> None:
    packet = random_packet(size)
    far.hear(datagrams_of(packet, codec), batch=batch)
    far.consume()
    assert far.packets == [packet]
    assert far.repaired == 0
    assert far.margins == [100]


def test_packet_is_handed_over_before_its_repair_comes(far: FarEnd) -> None:
    packet = random_packet(300_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    far.hear(sent[: -(-len(packet) // 1408)])
    far.consume()
    assert far.packets == [packet]


def test_any_single_datagram_of_a_small_packet_is_enough(codec: Codec, far: FarEnd) -> None:
    packet = random_packet(48)
    sent = datagrams_of(packet, codec)
    assert len(sent) == 3
    if isinstance(codec, RaptorQ):
        far.hear(sent[2:])
        far.assembler.expire(TIMEOUT)  # it waits for one more, and then tries
    else:
        far.hear(sent[2:])
    far.consume()
    assert far.packets == [packet]


def test_every_symbol_of_data_may_be_missing_where_repair_is_as_large(
    codec: Codec, far: FarEnd
) -> None:
    packet = random_packet(40 * 1408)
    sent = datagrams_of(packet, codec, plan=Plan(1408, 100, 100))
    far.hear(sent[40:])
    far.assembler.expire(TIMEOUT)
    far.consume()
    assert far.packets == [packet]
    assert far.repaired == 40
    assert far.margins == [0]


def test_link_without_repair_carries_just_the_data_and_loses_what_misses_any(
    far: FarEnd, codec: Codec
) -> None:
    whole, broken = random_packet(200_000, 1), random_packet(200_000, 2)
    plan = Plan(1408, 100, 0)
    datagrams = datagrams_of(whole, codec, plan=plan)
    assert len(datagrams) == 143
    far.hear(datagrams)
    far.hear(datagrams_of(broken, codec, plan=plan, number=1)[1:])
    far.assembler.expire(now=2 * TIMEOUT)
    far.consume()
    assert far.packets == [whole]
    assert (far.lost, far.margins) == ([1], [100])


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_exactly_what_repair_allows_may_be_missing(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 40_000))
    plan = Plan(64, data.draw(st.integers(16, 200)), data.draw(st.integers(1, 60)))
    layout = plan.layout(0, length, codec=Leopard.id)
    sent = datagrams_of(random_packet(length), choose_codec("leopard"), plan=plan)
    chance = data.draw(st.randoms(use_true_random=False))
    keep = []
    for block in range(layout.blocks):
        indices = [*range(block, layout.sources, layout.blocks)]
        indices += [layout.sources + block + row * layout.blocks for row in range(layout.m)]
        gone = set(chance.sample(indices, layout.m))
        keep += [index for index in indices if index not in gone]
    chance.shuffle(keep)
    far = FarEnd(max_packet=MIB)
    far.hear([sent[index] for index in keep], batch=5)
    far.consume()
    far.arena.close()
    assert far.packets == [random_packet(length)]


def test_packet_that_misses_too_much_costs_itself_alone(codec: Codec, far: FarEnd) -> None:
    packets = [random_packet(200_000, seed) for seed in range(5)]
    for number, packet in enumerate(packets):
        sent = datagrams_of(packet, codec, number=number)
        far.hear(sent[len(sent) // 3 :] if number == 2 else sent, now=number * 0.1)
        far.consume()
    assert far.lost == []
    far.assembler.expire(10.0)
    far.consume()
    assert far.packets == packets[:2] + packets[3:]
    assert far.lost == [2]
    assert far.counted("lost_packets") == 1


def test_late_datagrams_of_a_lost_packet_do_not_open_it_again(far: FarEnd) -> None:
    sent = datagrams_of(random_packet(200_000), choose_codec("leopard"))
    far.hear(sent[:50])
    far.assembler.expire(TIMEOUT)
    far.hear(sent[50:], now=TIMEOUT)
    far.assembler.expire(2 * TIMEOUT)
    far.consume()
    assert (far.packets, far.lost) == ([], [0])
    assert far.counted("surplus") == len(sent) - 50


def test_packet_sent_twice_arrives_once(far: FarEnd) -> None:
    packet = random_packet(50_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    far.hear(sent + sent)
    far.consume()
    assert far.packets == [packet]


def test_packets_that_interleave_arrive(far: FarEnd) -> None:
    packets = [random_packet(100_000 + seed, seed) for seed in range(OPEN_PACKETS)]
    codec = choose_codec("leopard")
    streams = [datagrams_of(packet, codec, number=n) for n, packet in enumerate(packets)]
    mixed = [datagram for several in zip(*streams, strict=True) for datagram in several]
    far.hear(mixed, batch=6)
    far.consume()
    assert sorted(far.packets) == sorted(packets)


def test_restarted_sender_is_not_mixed_with_its_former_life(far: FarEnd) -> None:
    codec = choose_codec("leopard")
    before, after = random_packet(200_000, 1), random_packet(200_000, 2)
    far.hear(datagrams_of(before, codec, instance=1)[:100])
    far.hear(datagrams_of(after, codec, instance=2), now=0.5)
    far.assembler.expire(TIMEOUT)
    far.consume()
    assert far.packets == [after]
    assert far.lost == [0]


def test_receiver_that_comes_late_misses_only_what_it_missed(far: FarEnd) -> None:
    codec = choose_codec("leopard")
    packets = [random_packet(200_000, seed) for seed in range(2)]
    sent = [datagrams_of(packet, codec, number=n) for n, packet in enumerate(packets)]
    far.hear(sent[0][40:] + sent[1])
    far.consume()
    assert far.packets == packets[1:]


def test_forged_packets_of_one_batch_do_not_push_out_the_one_that_came_with_them(
    far: FarEnd, codec: Codec
) -> None:
    packet = random_packet(200_000)
    genuine = datagrams_of(packet, codec)
    forged = [datagrams_of(random_packet(200_000, n), codec, instance=2 + n)[n] for n in range(4)]
    mixed = [each for pair in zip(genuine, forged, strict=False) for each in pair]
    far.hear(mixed, batch=len(mixed))
    far.hear(genuine[4:])
    far.consume()
    assert far.packets == [packet]


def test_too_many_begun_packets_push_out_the_one_silent_for_longest(far: FarEnd) -> None:
    codec = choose_codec("leopard")
    packets = [random_packet(100_000, seed) for seed in range(OPEN_PACKETS + 1)]
    sent = [datagrams_of(packet, codec, number=n) for n, packet in enumerate(packets)]
    for number, datagrams in enumerate(sent):
        far.hear(datagrams[:10], now=number * 0.01)
    for number, datagrams in enumerate(sent):
        far.hear(datagrams[10:], now=1 + number * 0.01)
    far.consume()
    assert far.packets == packets[1:]
    assert far.lost == [0]


@pytest.mark.parametrize("limit", [{"buffer_packets": 2}, {"buffer_size": 14_999}], ids=str)
def test_what_a_slow_consumer_does_not_take_is_bounded_and_told(limit: dict[str, int]) -> None:
    far = FarEnd(**limit)
    codec = choose_codec("leopard")
    packets = [random_packet(5000, seed) for seed in range(4)]
    for number in range(3):
        far.hear(datagrams_of(packets[number], codec, number=number))
    far.consume()
    far.hear(datagrams_of(packets[3], codec, number=3))
    far.consume()
    far.arena.close()
    assert far.packets == [packets[0], packets[1], packets[3]]
    assert far.dropped == [2]
    assert far.counted("dropped") == 1


def test_one_packet_is_kept_for_a_slow_consumer_however_large_it_is() -> None:
    far = FarEnd(buffer_size=0)
    codec = choose_codec("leopard")
    packets = [random_packet(5000, seed) for seed in range(2)]
    for number, packet in enumerate(packets):
        far.hear(datagrams_of(packet, codec, number=number))
    far.consume()
    far.arena.close()
    assert (far.packets, far.dropped) == ([packets[0]], [1])


def test_datagrams_cut_within_zeros_are_refused(far: FarEnd) -> None:
    packet = bytes(100_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    far.hear([sent[0], *(datagram[: 48 + 64 * 13] for datagram in sent[1:4]), *sent[4:]])
    far.consume()
    assert far.packets == [packet]
    assert far.counted("refused") == 3


def test_packet_larger_than_allowed_is_refused(far: FarEnd) -> None:
    sent = datagrams_of(random_packet(4 * MIB + 1), choose_codec("leopard"))[:20]
    far.hear(sent, batch=10)
    assert far.counted("refused") == 20


def test_unknown_codec_is_refused(far: FarEnd) -> None:
    class Future(Leopard):
        id = 9

    future = Future(choose_codec("leopard")._package)
    far.hear(datagrams_of(random_packet(48), future))
    assert far.counted("refused") == 3


def test_missing_codec_matters_only_when_something_is_missing() -> None:
    far = FarEnd()
    packet = random_packet(20_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    far.hear(sent)
    far.hear(datagrams_of(packet, choose_codec("leopard"), number=1)[1:])
    for whole in (True, False):
        event = far.assembler.events.popleft()
        parsed = unpack_facts(event.facts)
        assert parsed is not None
        repair = repair_packet(parsed[1], far.arena.slot(event.slot), None)
        assert (repair is not None) is whole
    far.arena.close()


def test_all_that_came_is_counted(far: FarEnd) -> None:
    packet = random_packet(100_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    far.hear([*sent[:20], sent[5], b"x" * 77, b"", *sent[20:]])
    counters = far.arena.counters()
    assert counters["datagrams"] == len(sent) + 3
    assert counters["datagram_bytes"] == sum(map(len, sent)) + len(sent[5]) + 77
    assert counters["refused"] == 2
    assert counters["duplicates"] == 1
    assert counters["surplus"] == len(sent) - 72


def test_last_datagram_of_a_batch_may_be_shorter(far: FarEnd) -> None:
    packet = random_packet(10_000)
    sent = datagrams_of(packet, choose_codec("leopard"))
    received = b"".join(sent) + sent[0][:100]
    far.assembler.feed(np.frombuffer(received, np.uint8), len(sent[0]), 0.0)
    far.consume()
    assert far.packets == [packet]
    assert far.counted("refused") == 1


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_forged_datagrams_claim_nothing_breaks(data: st.DataObject) -> None:
    far = FarEnd(max_packet=MIB)
    codec_id = data.draw(st.sampled_from([Leopard.id, RaptorQ.id]))
    for number in data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=4)):
        honest = Plan(64, data.draw(st.sampled_from([1, 40])), 10).layout(
            number, data.draw(st.sampled_from([0, 100, 4000])), codec=codec_id
        )
        claim = data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "length": st.integers(0, 2 * MIB),
                    "blocks": st.integers(0, 40),
                    "k": st.integers(0, 40),
                    "m": st.integers(0, 2**16 - 1),
                    "codec": st.integers(0, 3),
                },
            )
        )
        forged = replace(honest, **claim)
        size = 48 + data.draw(st.sampled_from([64, 64, 128]))
        rows = np.zeros((data.draw(st.integers(1, 80)), size), np.uint8)
        rows[:, :32] = np.frombuffer(pack_facts(forged, 1), np.uint8)
        seal_rows(rows.view(np.uint64), data.draw(st.integers(0, 100)))
        far.assembler.feed(rows.reshape(-1), rows.shape[1], 0.0)
    far.assembler.expire(TIMEOUT)
    far.consume()
    far.arena.close()
    assert not far.assembler.events


@given(st.lists(st.binary(max_size=300), max_size=20))
@settings(deadline=None)
def test_noise_opens_nothing(noise: list[bytes]) -> None:
    far = FarEnd(max_packet=MIB)
    far.hear(noise)
    counters = far.arena.counters()
    far.arena.close()
    assert counters["refused"] == len(noise)
    assert {event.kind for event in far.assembler.events} <= {EventKind.REFUSED}
