"""What the receiver noted of its link, in plain words."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eurydice_core.destination.watch import LinkWatch
from eurydice_core.errors import SealBroken
from eurydice_core.link.diagnosis import Diagnosis, Level
from eurydice_core.link.reception import (
    CHECKS,
    LinkRecord,
    ReceptionFacts,
    StreamRecord,
    diagnose_reception,
)
from eurydice_core.protocol.packet import Packet

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
FACTS = ReceptionFacts(now=NOW, expect_packet_every=300)
STREAM = StreamRecord(packets=90, last_packet_at=NOW - timedelta(seconds=5))
ID = "0123456789abcdef"
SOUND = LinkRecord(
    recorded_at=NOW - timedelta(seconds=4),
    receiver={"packets": 90, "heartbeats": 3},
    transport={"packets": 90, "repaired": 0, "margin_percent": 100, "spooled": 2},
    streams={ID: STREAM},
)


def found(diagnosis: Diagnosis) -> list[tuple[Level, str]]:
    return [(finding.level, finding.place) for finding in diagnosis.findings]


@pytest.mark.parametrize("watched", [False, True])
def test_a_link_without_trouble_has_nothing_to_tell(*, watched: bool) -> None:
    diagnosis = diagnose_reception(SOUND, replace(FACTS, watched=watched))
    assert diagnosis.findings == []
    assert list(diagnosis.sound) == list(CHECKS)


@pytest.mark.parametrize(
    ("place", "said", "record"),
    [
        (
            "datagrams",
            "7 datagrams were none of ours, or damaged",
            replace(SOUND, transport={"refused": 7}),
        ),
        (
            "senders",
            "two senders use this link at once, 1,234 datagrams of the second one",
            replace(SOUND, transport={"rival_datagrams": 1234}),
        ),
        (
            "authenticity",
            "1,234 datagrams lacked this link's key and were refused",
            replace(SOUND, transport={"unauthentic": 1234}),
        ),
        (
            "erasure code",
            "3 packets lost more than could be repaired: lower [transport] rate",
            replace(SOUND, transport={"lost_packets": 3}),
        ),
        (
            "seal",
            "4 packets were refused: sealed with another secret, or changed",
            replace(SOUND, receiver={"packets": 90, "refused": 4}),
        ),
        (
            "packets",
            "10 of 100 packets of the sender's run 01234567 did not come"
            " (last heard at 2026-03-04 11:59:55+00:00)",
            replace(SOUND, streams={ID: replace(STREAM, missing=10)}),
        ),
        (
            "contents",
            "2 parts of packets made no sense",
            replace(SOUND, receiver={"packets": 90, "elements_refused": 2}),
        ),
        (
            "ingestion",
            "5 whole packets were dropped, as nobody took them in in time",
            replace(SOUND, transport={"dropped": 5}),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("watched", [False, True])
def test_what_was_counted_is_a_loss_if_it_was_just_now(
    place: str, said: str, record: LinkRecord, *, watched: bool
) -> None:
    diagnosis = diagnose_reception(record, replace(FACTS, watched=watched))
    assert found(diagnosis) == [(Level.LOSS if watched else Level.NOTE, place)]
    assert said in diagnosis.findings[0].what
    assert place not in diagnosis.sound


def test_a_receiver_that_notes_nothing_does_not_run() -> None:
    record = replace(SOUND, recorded_at=NOW - timedelta(minutes=10))
    (finding,) = diagnose_reception(record, replace(FACTS, expect_packet_every=900)).findings
    assert (finding.level, finding.place) == (Level.LOSS, "receiver")
    assert finding.what.startswith(
        "the receiver has noted nothing for 10 min 00 s: it does not run"
    )


@pytest.mark.parametrize(("left", "warned"), [(40, False), (39, True), (0, True)])
def test_repair_that_is_nearly_used_up_is_an_early_warning(left: int, *, warned: bool) -> None:
    record = replace(SOUND, transport={"repaired": 1500, "margin_percent": left})
    (finding,) = diagnose_reception(record, FACTS).findings
    assert finding.level is Level.NOTE
    assert finding.what.startswith("1,500 lost datagrams were computed again")
    assert f"had {left} % of its repair left over" in finding.what
    assert ("that is little" in finding.what) is warned


def test_packets_that_wait_on_disk_are_worth_a_note() -> None:
    record = replace(SOUND, transport={"spool_packets": 3, "spool_bytes": 3 << 20})
    (finding,) = diagnose_reception(record, replace(FACTS, watched=True)).findings
    assert finding.level is Level.NOTE
    assert finding.what.startswith("3 packets, 3.0 MiB, wait on disk")


def test_silence_is_an_alarm_once_it_is_longer_than_expected() -> None:
    at = NOW - timedelta(seconds=300)
    quiet = replace(SOUND, streams={ID: replace(STREAM, last_packet_at=at)})
    assert diagnose_reception(quiet, FACTS).findings == []
    (finding,) = diagnose_reception(quiet, replace(FACTS, expect_packet_every=299)).findings
    assert finding.level is Level.LOSS
    assert finding.what.startswith("no packet for 5 min 00 s, not even a heartbeat, and [receiver]")
    assert "the receiver runs here" in finding.what


def test_the_latest_sender_ends_the_silence() -> None:
    old = replace(STREAM, last_packet_at=NOW - timedelta(days=9))
    assert diagnose_reception(replace(SOUND, streams={"a": old, ID: STREAM}), FACTS).findings == []


@pytest.mark.parametrize(("count", "said"), [(1, "once nothing"), (3, "3 times nothing")])
def test_silences_that_are_over_are_remembered(count: int, said: str) -> None:
    record = replace(SOUND, receiver={"packets": 90, "silences": count})
    diagnosis = diagnose_reception(record, FACTS)
    assert found(diagnosis) == [(Level.NOTE, "silence")]
    assert diagnosis.findings[0].what.startswith(said)


def test_a_receiver_that_has_heard_nothing_says_what_to_look_at() -> None:
    diagnosis = diagnose_reception(LinkRecord(), FACTS)
    assert found(diagnosis) == [(Level.LOSS, "silence")]
    assert "see that the origin's sender runs" in diagnosis.findings[0].what


def test_another_secret_is_told_as_what_it_is() -> None:
    diagnosis = diagnose_reception(LinkRecord(receiver={"refused": 12}), FACTS)
    assert found(diagnosis) == [(Level.LOSS, "seal")]
    assert "give both sides the same [link] secret" in diagnosis.findings[0].what


def test_runs_of_long_ago_are_only_counted() -> None:
    lossy = {f"run {number}": replace(STREAM, missing=number + 1) for number in range(8)}
    *named, rest = diagnose_reception(replace(SOUND, streams=lossy), FACTS).findings
    assert [finding.what.partition(" of ")[0] for finding in named] == ["4", "5", "6", "7", "8"]
    assert rest.what.startswith("6 packets of earlier runs")


def packet(sequence: int, *refused: str) -> Packet:
    return Packet(
        stream=uuid.UUID(int=1),
        sequence=sequence,
        sent_at_ms=0,
        parts=(),
        payloads=(),
        revocations=(),
        refused=refused,
    )


def test_what_the_receiver_notes_is_read_as_it_is_meant() -> None:
    watch = LinkWatch(60)
    for sequence in (0, 3):
        watch.heard(packet(sequence))
    watch.heard(packet(4, "nonsense"))
    watch.refused(SealBroken())
    record = LinkRecord.read(watch.record({"repaired": 8, "margin_percent": 90}))
    assert record.receiver["packets"] == 3
    assert record.transport["repaired"] == 8
    ((_, stream),) = record.streams.items()
    assert (stream.packets, stream.missing) == (3, 2)
    assert record.last_packet_at == stream.last_packet_at
    assert record.last_packet_at is not None
    diagnosis = diagnose_reception(record, replace(FACTS, now=record.last_packet_at))
    places = [finding.place for finding in diagnosis.findings]
    assert places == ["erasure code", "seal", "packets", "contents"]


def test_a_record_of_another_version_is_read_as_far_as_it_goes() -> None:
    assert LinkRecord.read({}) == LinkRecord()
    assert LinkRecord.read({"streams": {"a": {}}, "more": 1}).streams == {"a": StreamRecord()}


def test_only_what_grew_counts_in_between() -> None:
    later = LinkRecord(
        receiver={"packets": 95, "refused": 2},
        transport={"repaired": 30, "margin_percent": 20, "spool_packets": 4, "spool_bytes": 9},
        streams={ID: replace(STREAM, packets=95, missing=3), "new": STREAM},
    )
    earlier = replace(
        SOUND,
        receiver={"packets": 90, "refused": 2},
        transport={"repaired": 10, "margin_percent": 90, "spool_packets": 5},
    )
    between = later.since(earlier)
    assert between.receiver == {"packets": 5, "refused": 0}
    assert between.transport == {
        "repaired": 20,
        "margin_percent": 20,
        "spool_packets": 4,
        "spool_bytes": 9,
    }
    assert between.streams[ID] == replace(STREAM, packets=5, missing=3)
    assert between.streams["new"] == STREAM


def test_a_receiver_that_was_started_again_counts_from_its_start() -> None:
    assert LinkRecord(receiver={"packets": 1}).since(SOUND).receiver == {"packets": 0}
