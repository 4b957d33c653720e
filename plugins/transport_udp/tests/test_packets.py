from __future__ import annotations

import gc

import numpy as np

from eurydice_transport_udp.packets import KEPT, PacketMemory


def address(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


def test_memory_nobody_looks_at_is_lent_again() -> None:
    memory = PacketMemory(1000)
    first = memory.copy(np.arange(200, dtype=np.uint8))
    assert bytes(first) == bytes(range(200))
    before = address(first)
    del first
    second = memory.copy(np.zeros(100, np.uint8))
    assert address(second) == before
    assert bytes(second) == bytes(100)


def test_packet_stays_as_it_was_for_as_long_as_anybody_looks() -> None:
    memory = PacketMemory(1000)
    packet = memory.copy(np.full(10, 1, np.uint8))
    part = packet[5:]
    del packet
    gc.collect()
    others = [memory.copy(np.full(10, value, np.uint8)) for value in range(2, 9)]
    assert bytes(part) == b"\x01" * 5
    assert [bytes(other)[0] for other in others] == list(range(2, 9))


def test_little_is_kept_for_later() -> None:
    memory = PacketMemory(1000)
    held = [memory.copy(np.zeros(1, np.uint8)) for _ in range(10)]
    del held
    gc.collect()
    assert len(memory._spare) == KEPT
