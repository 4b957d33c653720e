from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eurydice_transport_udp.layout import Layout, Plan, slot_capacity
from eurydice_transport_udp.wire import (
    HEADER_SIZE,
    index_of,
    intact,
    is_possible_size,
    pack_facts,
    seal_rows,
    unpack_facts,
)

layouts = st.builds(
    Layout,
    number=st.integers(0, 2**32 - 1),
    length=st.integers(0, 2**32 - 1),
    symbol_size=st.integers(1, 1022).map(lambda units: units * 64),
    blocks=st.integers(0, 2**32 - 1),
    k=st.integers(0, 2**16 - 1),
    m=st.integers(0, 2**16 - 1),
    codec=st.integers(0, 255),
)
plans = st.builds(
    Plan,
    symbol_size=st.integers(1, 140).map(lambda units: units * 64),
    block_symbols=st.integers(16, 4096),
    repair_percent=st.integers(0, 100),
)


@given(layout=layouts, instance=st.integers(0, 2**64 - 1))
def test_facts_survive_the_wire(layout: Layout, instance: int) -> None:
    assert unpack_facts(pack_facts(layout, instance)) == (instance, layout)


def test_facts_are_laid_out_as_documented() -> None:
    layout = Layout(
        number=0x01020304, length=0x05060708, symbol_size=1408, blocks=9, k=10, m=11, codec=2
    )
    assert pack_facts(layout, 0xA1A2A3A4A5A6A7A8).hex(" ") == (
        "45 55 44 4c 01 02 80 05 a8 a7 a6 a5 a4 a3 a2 a1 04 03 02 01 08 07 06 05 09 00 00 00"
        " 0a 00 0b 00"
    )


@given(facts=st.binary(min_size=32, max_size=32))
def test_foreign_facts_are_refused(facts: bytes) -> None:
    assert facts.startswith(b"EUDL\1") or unpack_facts(facts) is None


def sealed(data: bytes, count: int, first: int) -> np.ndarray:
    rows = np.zeros((count, HEADER_SIZE + 64), np.uint8)
    rows[:, :32] = 7
    rows[:, HEADER_SIZE:] = np.frombuffer(data, np.uint8)
    words = rows.view(np.uint64)
    seal_rows(words, first)
    return words


@given(st.binary(min_size=64, max_size=64), st.integers(1, 50), st.integers(0, 2**32 - 51))
def test_sealed_datagrams_are_intact_and_numbered(data: bytes, count: int, first: int) -> None:
    words = sealed(data, count, first)
    assert intact(words).all()
    assert index_of(words).tolist() == list(range(first, first + count))


@given(st.binary(min_size=64, max_size=64), st.integers(0, 8 * 112 - 1))
def test_one_flipped_bit_is_noticed(data: bytes, bit: int) -> None:
    words = sealed(data, 3, 5)
    words.view(np.uint8)[1, bit // 8] ^= 1 << bit % 8
    assert intact(words).tolist() == [True, False, True]


def test_sizes_that_no_datagram_has_are_known() -> None:
    assert [size for size in range(200) if is_possible_size(size)] == [112, 176]


@given(plan=plans, length=st.integers(0, 4_000_000))
def test_every_cut_is_sound_and_fits_its_slot(plan: Plan, length: int) -> None:
    layout = plan.layout(3, length, codec=1)
    assert layout.is_sound(capacity=slot_capacity(length))
    assert layout.sources * layout.symbol_size >= length
    assert 0 <= layout.first_repair - layout.sources < layout.blocks
    assert layout.k <= plan.block_symbols
    assert layout.m * 100 >= layout.k * plan.repair_percent


@given(length=st.integers(1, 40_000_000))
def test_a_burst_of_eight_percent_never_exceeds_the_repair_of_a_block(length: int) -> None:
    layout = Plan(symbol_size=1408, block_symbols=500, repair_percent=10).layout(0, length, codec=1)
    burst = layout.sources * 8 // 100
    assert -(-burst // layout.blocks) <= layout.m


def test_one_datagram_is_sent_three_times() -> None:
    layout = Plan(symbol_size=1408, block_symbols=500, repair_percent=1).layout(0, 48, codec=1)
    assert (layout.symbol_size, layout.k + layout.m) == (64, 3)


@given(layout=layouts)
def test_whatever_a_datagram_claims_is_judged_without_failing(layout: Layout) -> None:
    if layout.is_sound(capacity=1 << 26):
        assert layout.symbols * layout.symbol_size <= 1 << 26
