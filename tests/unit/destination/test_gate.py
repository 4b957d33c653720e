from __future__ import annotations

import uuid

from eurydice_core.destination.gate import SealGate
from eurydice_core.destination.spool import Spool
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.protocol.packet import PacketBuilder, is_sealed

KEY = bytes(range(32))


class Link(PacketReceiver):
    def __init__(self, packets):
        self.packets = list(packets)

    def receive(self, timeout_seconds):
        return self.packets.pop(0) if self.packets else None

    def counters(self):
        return {"packets": 7}


def sealed(number, key=KEY):
    builder = PacketBuilder(stream=uuid.UUID(int=1), sequence=number, sent_at_ms=0)
    return bytes(builder.sealed(key))


def test_forged_packets_are_not_spooled(tmp_path):
    spool = Spool(tmp_path, 10_000)
    spool.put(sealed(0))
    forged = [b"", b"noise", sealed(1, bytes(32)), sealed(1)[:-1], b"EURYDICE" * 12] * 100
    gate = SealGate(Link([*forged, sealed(1)]), spool, KEY)
    received = [gate.receive(0) for _ in range(501)]
    assert [packet for packet in received if packet is not None] == [sealed(1)]
    assert gate.counters() == {"packets": 7, "unsealed": 500}


def test_seal_is_left_to_ingestion_while_nothing_is_spooled(tmp_path):
    gate = SealGate(Link([b"noise"]), Spool(tmp_path, 10_000), KEY)
    assert gate.receive(0) == b"noise"
    assert gate.counters()["unsealed"] == 0


def test_seal_needs_the_key():
    assert is_sealed(sealed(1), KEY)
    assert not is_sealed(sealed(1), bytes(32))
    assert not is_sealed(b"", KEY)
