"""Any packet comes out as it went in; a changed, shortened or foreign one does not come out."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.errors import MalformedPacket, PacketError, SealBroken
from eurydice_core.model.states import OutgoingState, RevocationReason
from eurydice_core.protocol.elements import PROFILE_SIZE, Revocation, TransferablePart
from eurydice_core.protocol.keys import ASSOCIATION, SEAL, derive_key
from eurydice_core.protocol.packet import OVERHEAD, PacketBuilder, open_packet, peek

KEY = bytes(range(32))

UUIDS = st.uuids()
U64 = st.integers(0, 2**64 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def parts(draw: st.DrawFn) -> TransferablePart:
    """Some pieces of a file, of known size or not."""
    piece_size = draw(st.integers(1, 50))
    size = draw(st.integers(0, 400))
    starts = list(range(0, size, piece_size)) or [0]
    chosen = draw(st.lists(st.sampled_from(starts), unique=True, max_size=8))
    known = draw(st.booleans())
    return TransferablePart(
        id=draw(UUIDS),
        profile=draw(exactly(PROFILE_SIZE)),
        name=draw(TEXTS),
        metadata=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        size=size if known else None,
        piece_size=piece_size,
        sha1=draw(exactly(20)) if known else None,
        sha256=draw(exactly(32)) if known else None,
        ranges=[(start, min(piece_size, size - start)) for start in chosen],
        ended=draw(st.sampled_from([None, *(state for state in OutgoingState if state.is_final)])),
    )


REVOCATIONS = st.builds(
    Revocation,
    id=UUIDS,
    profile=exactly(PROFILE_SIZE),
    name=TEXTS,
    reason=st.sampled_from(RevocationReason).map(str) | TEXTS,
)


@dataclass(frozen=True)
class Said:
    """What a packet says, and the packet."""

    stream: uuid.UUID
    sequence: int
    sent_at_ms: int
    parts: list[TransferablePart]
    revocations: list[Revocation]
    payloads: list[bytes]
    sealed: bytes


@st.composite
def packets(draw: st.DrawFn) -> Said:
    said = {"stream": draw(UUIDS), "sequence": draw(U64), "sent_at_ms": draw(U64)}
    said["parts"] = draw(st.lists(parts(), max_size=4))
    said["revocations"] = draw(st.lists(REVOCATIONS, max_size=3))
    builder = PacketBuilder(**said)
    payloads = [draw(exactly(len(slot))) for slot in builder.slots]
    for slot, payload in zip(builder.slots, payloads, strict=True):
        slot[:] = payload
    return Said(**said, payloads=payloads, sealed=bytes(builder.sealed(KEY)))


@given(packets())
def test_any_packet_comes_out_as_it_went_in(said):
    packet = open_packet(said.sealed, KEY)
    assert (packet.stream, packet.sequence) == (said.stream, said.sequence)
    assert packet.sent_at_ms == said.sent_at_ms
    assert packet.parts == said.parts
    assert packet.revocations == said.revocations
    assert [bytes(data) for ranges in packet.payloads for data in ranges] == said.payloads
    assert [len(ranges) for ranges in packet.payloads] == [len(p.ranges) for p in said.parts]
    assert packet.refused == []
    assert packet.is_heartbeat == (not said.parts and not said.revocations)


@given(packets(), st.data())
def test_a_packet_with_a_flipped_bit_is_refused(said, data):
    changed = bytearray(said.sealed)
    place = data.draw(st.integers(0, len(changed) - 1), label="place")
    changed[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    with pytest.raises(PacketError):
        open_packet(changed, KEY)


def test_every_single_byte_of_a_packet_is_under_its_seal():
    sealed = bytes(PacketBuilder(stream=uuid.UUID(int=1), sequence=2, sent_at_ms=3).sealed(KEY))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 0xFF
        with pytest.raises(PacketError):
            open_packet(changed, KEY)


@given(packets(), st.data())
def test_a_packet_that_was_cut_short_is_refused(said, data):
    kept = data.draw(st.integers(0, len(said.sealed) - 1), label="kept")
    with pytest.raises(MalformedPacket):
        open_packet(said.sealed[:kept], KEY)


@given(packets(), st.binary(min_size=1, max_size=64))
def test_a_packet_with_something_after_it_is_refused(said, more):
    with pytest.raises(MalformedPacket, match="not whole"):
        open_packet(said.sealed + more, KEY)


@given(packets(), exactly(32).filter(lambda key: key != KEY))
def test_a_packet_sealed_with_another_key_is_refused(said, key):
    with pytest.raises(SealBroken):
        open_packet(said.sealed, key)


@given(st.binary(max_size=300))
def test_bytes_from_anywhere_are_refused_and_nothing_else(data):
    with pytest.raises(PacketError):
        open_packet(data, KEY)
    with pytest.raises(PacketError):
        open_packet(b"EURYDICE\x01" + data, KEY)


@given(packets())
def test_peeking_tells_what_opening_tells(said):
    assert peek(said.sealed) == (said.stream, said.sequence)


@given(st.binary(max_size=200).map(b"EURYDICE".__add__) | st.binary(max_size=200))
def test_peeking_into_anything_raises_only_that_it_is_no_packet(data):
    if len(data) >= OVERHEAD and data.startswith(b"EURYDICE"):
        assert isinstance(peek(data)[0], uuid.UUID)
    else:
        with pytest.raises(MalformedPacket):
            peek(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_packet_may_be_in_any_kind_of_buffer(kind):
    sealed = bytes(PacketBuilder(stream=uuid.UUID(int=1), sequence=2, sent_at_ms=3).sealed(KEY))
    assert open_packet(kind(sealed), KEY).is_heartbeat


def test_payloads_are_not_copied_and_cannot_be_written_to():
    part = TransferablePart(
        id=uuid.UUID(int=1),
        profile=bytes(8),
        name="a",
        metadata={},
        size=3,
        piece_size=8,
        sha1=bytes(20),
        sha256=bytes(32),
        ranges=[(0, 3)],
    )
    builder = PacketBuilder(stream=uuid.UUID(int=1), sequence=0, sent_at_ms=0, parts=[part])
    builder.slots[0][:] = b"abc"
    sealed = builder.sealed(KEY)
    payload = open_packet(sealed, KEY).payloads[0][0]
    assert payload.obj is sealed.obj
    assert payload.readonly


def test_a_packet_can_be_sealed_again_after_a_slot_was_filled_anew():
    builder = PacketBuilder(stream=uuid.UUID(int=1), sequence=0, sent_at_ms=0)
    assert bytes(builder.sealed(KEY)) == bytes(builder.sealed(KEY))
    assert len(builder.sealed(KEY)) > OVERHEAD


@given(st.integers(0, 255).filter(lambda version: version != 1))
def test_a_packet_of_another_version_says_which_side_to_upgrade(version):
    sealed = bytearray(PacketBuilder(stream=uuid.UUID(int=1), sequence=0, sent_at_ms=0).sealed(KEY))
    sealed[8] = version
    with pytest.raises(MalformedPacket, match=rf"version {version}.*upgrade the destination"):
        open_packet(sealed, KEY)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_gives_a_key_of_its_own_to_each_purpose(secret):
    keys = {derive_key(secret, purpose) for purpose in (SEAL, ASSOCIATION)}
    assert len(keys) == 2
    assert all(len(key) == 32 for key in keys)
