"""Heads that no sender of ours writes: the unknown is skipped, the bad costs only itself."""

from __future__ import annotations

import struct
import uuid
from contextlib import suppress

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.errors import MalformedPacket, PacketError
from eurydice_core.protocol.packet import MAX_HEAD, open_packet

KEY = bytes(range(32))
ID = uuid.UUID("0b8e7f0e-2a3b-4c5d-8e6f-708192a3b4c5")


def sealed(head: bytes, payload: bytes = b"") -> bytes:
    """Seal any head and payload, by the book and not by our code."""
    header = struct.pack(
        ">8sB7xQQ16sQQ", b"EURYDICE", 1, len(head), len(payload), bytes(16), 7, 1234
    )
    content = header + head + payload
    return content + blake3(content, key=KEY).digest()


def opened(head: object, payload: bytes = b""):
    return open_packet(sealed(msgpack.packb(head), payload), KEY)


def part(**changes: object) -> dict[str, object]:
    """Return a part of 4 bytes as the head carries it, good but for the changes."""
    good: dict[str, object] = {
        "id": ID.bytes,
        "profile": bytes(8),
        "name": "a",
        "metadata": {"Metadata-Name": "a"},
        "size": 4,
        "piece_size": 4,
        "sha1": bytes(20),
        "sha256": bytes(32),
        "ranges": [[0, 4]],
    }
    return {**good, **changes}


def revocation(**changes: object) -> dict[str, object]:
    return {"id": ID.bytes, "profile": bytes(8), "name": "a", "reason": "USER_CANCELED", **changes}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=8))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**34), st.integers(0, 10**9 - 1)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_what_this_file_calls_good_is_good():
    packet = opened({"parts": [part()], "revocations": [revocation()]}, b"abcd")
    assert packet.refused == []
    assert bytes(packet.payloads[0][0]) == b"abcd"
    assert packet.revocations[0].id == ID


def test_keys_that_a_newer_origin_writes_are_skipped():
    packet = opened(
        {
            "parts": [part(colour="blue", more=[1, 2])],
            "revocations": [revocation(by="somebody")],
            "history": [{"what": "ever"}],
            5: None,
        },
        b"abcd",
    )
    assert packet.refused == []
    assert (len(packet.parts), len(packet.revocations)) == (1, 1)


def test_a_head_may_say_nothing():
    assert opened({}).is_heartbeat


def test_a_reason_that_only_a_newer_origin_knows_is_kept():
    packet = opened({"revocations": [revocation(reason="MELTED")]})
    assert packet.revocations[0].reason == "MELTED"


@pytest.mark.parametrize("ended", ["PENDING", "MELTED", "", 5, None, [], {}])
def test_an_end_that_is_none_says_nothing(ended):
    packet = opened({"parts": [part(ended=ended)]}, b"abcd")
    assert packet.refused == []
    assert packet.parts[0].ended is None


def test_a_revocation_without_a_reason_has_one():
    bare = revocation()
    del bare["reason"]
    assert opened({"revocations": [bare]}).revocations[0].reason == "UNEXPECTED_EXCEPTION"


BAD_PARTS = {
    "id of 15 bytes": {"id": bytes(15)},
    "id as a list": {"id": [0] * 16},
    "id as a text of 16 characters": {"id": "0123456789abcdef"},
    "profile of 7 bytes": {"profile": bytes(7)},
    "name that is no text": {"name": 5},
    "name with a zero byte": {"name": "a\0b"},
    "metadata as a list": {"metadata": [["a", "b"]]},
    "metadata with a number": {"metadata": {"a": 1}},
    "metadata with a zero byte": {"metadata": {"a": "\0"}},
    "size below zero": {"size": -1},
    "size too large for a database": {"size": 2**63},
    "size true": {"size": True},
    "no piece size": {"piece_size": 0},
    "piece size too large": {"piece_size": 2**63},
    "digest of another length": {"sha256": bytes(20)},
    "digest as a text": {"sha1": "a" * 20},
    "range off its place": {"ranges": [[1, 4]], "size": 8},
    "range longer than a piece": {"piece_size": 3},
    "range beyond the end": {"ranges": [[4, 4]]},
    "range too short in the middle": {"size": 100, "piece_size": 8},
    "range further than any file": {"size": None, "piece_size": 2**62, "ranges": [[2**63 - 2, 4]]},
    "range at the end of all numbers": {"size": None, "piece_size": 5, "ranges": [[2**63 - 3, 4]]},
    "offset below zero": {"ranges": [[-4, 4]]},
}


@pytest.mark.parametrize("changes", BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_a_bad_part_costs_only_itself(changes):
    good = part(name="good")
    packet = opened(
        {"parts": [good, part(**changes), good], "revocations": [revocation()]}, b"abcdEFGHijkl"
    )
    assert [p.name for p in packet.parts] == ["good", "good"]
    assert [bytes(ranges[0]) for ranges in packet.payloads] == [b"abcd", b"ijkl"]
    assert len(packet.refused) == 1
    assert len(packet.revocations) == 1


@pytest.mark.parametrize("key", part())
def test_a_part_that_lacks_something_costs_no_part_before_it(key):
    bad = part()
    del bad[key]
    packet = opened({"parts": [part(), bad]}, b"abcdEFGH")
    assert len(packet.parts) == 1
    assert key in packet.refused[0]


@pytest.mark.parametrize("ranges", [5, None, [[0]], [[0, "4"]], [[0, -4]], [[0, 4, 0]], "ab", [7]])
def test_ranges_without_lengths_end_the_reading_of_parts(ranges):
    packet = opened({"parts": [part(), part(ranges=ranges), part()]}, b"abcdEFGHijkl")
    assert len(packet.parts) == 1
    assert "nor any part after it" in packet.refused[0]


def test_ranges_beyond_the_payload_end_the_reading_of_parts():
    packet = opened({"parts": [part(), part()]}, b"abcdEFG")
    assert len(packet.parts) == 1
    assert packet.refused == ["ranges reach beyond the payload"]


@pytest.mark.parametrize(
    "changes",
    [{"id": 5}, {"id": [0] * 16}, {"profile": None}, {"name": b"a"}, {"reason": 1}],
    ids=str,
)
def test_a_bad_revocation_costs_only_itself(changes):
    packet = opened({"revocations": [revocation(), revocation(**changes), revocation()]})
    assert len(packet.revocations) == 2
    assert len(packet.refused) == 1


@pytest.mark.parametrize("items", [5, "parts", None, {"a": 1}])
@pytest.mark.parametrize("key", ["parts", "revocations"])
def test_elements_that_are_no_list_are_named(key, items):
    assert opened({key: items}).refused == [f"{key} are no list"]


def test_texts_are_cut_to_what_a_database_holds():
    long = "x" * 1000
    packet = opened(
        {"parts": [part(name=long)], "revocations": [revocation(name=long, reason=long)]}, b"abcd"
    )
    assert len(packet.parts[0].name) == len(packet.revocations[0].name) == 255
    assert len(packet.revocations[0].reason) == 200


def test_what_is_said_of_a_bad_element_is_short_however_long_it_was():
    packet = opened({"parts": [part(size=b"x" * 100_000)]}, b"abcd")
    assert len(packet.refused[0]) < 300


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xc1",  # never used in msgpack
        b"\x81",  # a map that ends before its first key
        b"\x80\x80",  # something after it
        b"\x90",  # a list
        b"\x81\x90\xc0",  # a list as a key
        b"\x81\x80\xc0",  # a map as a key
        b"\x81\xa1\xff\xc0",  # a text that is no UTF-8
        b"\xdf\xff\xff\xff\xff",  # four billion entries, none of them here
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,  # nested without end
        b"\x81\xa5parts" + b"\x91" * 100_000,
        b"\xc7\x03\xff\x00\x00\x00",  # a time of three bytes
    ],
    ids=lambda head: repr(head[:12]),
)
def test_a_head_that_cannot_be_read_is_malformed(head):
    with pytest.raises(MalformedPacket):
        open_packet(sealed(head), KEY)


def test_a_head_longer_than_the_longest_is_not_looked_at():
    header = struct.pack(">8sB7xQQ16sQQ", b"EURYDICE", 1, MAX_HEAD + 1, 0, bytes(16), 0, 0)
    with pytest.raises(MalformedPacket, match="not whole"):
        open_packet(header + bytes(32), KEY)


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_no_sealed_head_raises_anything_but_a_packet_error(head, payload):
    with suppress(PacketError):
        open_packet(sealed(head, payload), KEY)


@given(st.dictionaries(st.sampled_from(["parts", "revocations", "x"]), ANYTHING))
def test_no_sealed_map_raises_anything(head):
    opened(head, b"abcd")


@given(
    st.lists(
        st.sampled_from([part, revocation]).flatmap(
            lambda make: st.dictionaries(st.sampled_from(sorted(make())), ANYTHING, max_size=3).map(
                lambda changes: make(**changes)
            )
        ),
        max_size=4,
    )
)
def test_no_mixture_of_good_and_bad_fields_raises_anything(elements):
    packet = opened({"parts": elements, "revocations": elements}, b"abcdEFGHijklMNOP")
    for read, ranges in zip(packet.parts, packet.payloads, strict=True):
        assert [len(data) for data in ranges] == [length for _, length in read.ranges]
