"""What the receiver noted of its link, and what that means; no input or output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from eurydice_core.link.diagnosis import Diagnosis, Finding, Place, concluded
from eurydice_core.link.kernel import grown
from eurydice_core.model.quantities import format_duration, format_size

__all__ = ["LinkRecord", "ReceptionFacts", "StreamRecord", "diagnose_reception", "moment"]

STALE_SECONDS: Final = 60.0
"""The receiver notes what it knows every few seconds."""
LOW_MARGIN: Final = 40
"""Percent of its repair that the worst packet should have left for the next burst."""
SHOWN_STREAMS: Final = 5
"""A sender that starts again begins another stream; what was long ago is only counted."""
STATES: Final = ("margin_percent", "spool_packets", "spool_bytes")
"""Counters that do not only grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One run of a sender."""

    packets: int = 0
    missing: int = 0
    last_packet_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """What the receiver notes every few seconds, counted since it was started."""

    recorded_at: datetime | None = None
    receiver: Mapping[str, int] = field(default_factory=dict)
    """Of packets, such as `refused`."""
    transport: Mapping[str, int] = field(default_factory=dict)
    """Of whatever the transport counts, such as `repaired`."""
    streams: Mapping[str, StreamRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> LinkRecord:
        """Take it as it was noted; what another version does not note counts as 0."""
        return cls(
            recorded_at=moment(noted.get("recorded_at")),
            receiver=noted.get("receiver", {}),
            transport=noted.get("transport", {}),
            streams={
                stream: StreamRecord(
                    packets=facts.get("packets", 0),
                    missing=facts.get("missing", 0),
                    last_packet_at=moment(facts.get("last_packet_at")),
                )
                for stream, facts in noted.get("streams", {}).items()
            },
        )

    @property
    def last_packet_at(self) -> datetime | None:
        """When anything of the origin came last."""
        moments = [stream.last_packet_at for stream in self.streams.values()]
        return max((each for each in moments if each), default=None)

    def since(self, earlier: LinkRecord) -> LinkRecord:
        """Return what was counted after another record."""
        states = {name: self.transport[name] for name in STATES if name in self.transport}
        nothing = StreamRecord()
        return LinkRecord(
            recorded_at=self.recorded_at,
            receiver=grown(self.receiver, earlier.receiver),
            transport={**grown(self.transport, earlier.transport), **states},
            streams={
                id: StreamRecord(
                    packets=max(0, stream.packets - earlier.streams.get(id, nothing).packets),
                    missing=max(0, stream.missing - earlier.streams.get(id, nothing).missing),
                    last_packet_at=stream.last_packet_at,
                )
                for id, stream in self.streams.items()
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionFacts:
    """What a record is looked at with."""

    now: datetime
    expect_packet_every: float
    """Seconds of silence that are nothing to worry about."""
    watched: bool = False
    """Whether the record is of a moment ago, and not of all the time since the start."""


def diagnose_reception(record: LinkRecord, facts: ReceptionFacts) -> Diagnosis:
    """Look at everything the receiver noted, from the link up to where files are put together."""
    return concluded(
        (place, check(Case(place=place, watched=facts.watched, record=record, facts=facts)))
        for place, check in CHECKS.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Place):
    """What one check looks at."""

    record: LinkRecord
    facts: ReceptionFacts

    def receiver(self, name: str) -> int:
        """Return how much the receiver counted of something."""
        return self.record.receiver.get(name, 0)

    def transport(self, name: str) -> int:
        """Return how much the transport counted of something."""
        return self.record.transport.get(name, 0)


def receiver_works(case: Case) -> Iterator[Finding]:
    at = case.record.recorded_at
    age = (case.facts.now - at).total_seconds() if at else 0
    if age > STALE_SECONDS:
        yield case.loss(
            f"the receiver has noted nothing for {format_duration(age)}: it does not run, or it"
            " waits for the storage or the database; its log says which"
        )


def silence(case: Case) -> Iterator[Finding]:
    last, allowed = case.record.last_packet_at, case.facts.expect_packet_every
    if last is None:
        if not case.receiver("refused"):
            yield case.loss(
                "no packet has come since the receiver was started, not even a heartbeat: see that"
                " the origin's sender runs, and that it sends to this machine's address and port"
            )
        return
    seconds = (case.facts.now - last).total_seconds()
    if seconds > allowed:
        yield case.loss(
            f"no packet for {format_duration(seconds)}, not even a heartbeat, and [receiver]"
            f" expect_packet_every is {format_duration(allowed)}: see that the receiver runs here,"
            " that the origin's sender runs, and that the link is connected"
        )
    elif case.receiver("silences"):
        yield case.note(
            f"{times(case.receiver('silences'))} nothing came for longer than [receiver]"
            f" expect_packet_every, {format_duration(allowed)}"
        )


def datagrams(case: Case) -> Iterator[Finding]:
    refused = case.transport("refused")
    if refused:
        yield case.counted(
            f"{refused:,} datagrams were none of ours, or damaged: see who else sends to this"
            " port, and that both sides have the same version"
        )


def senders(case: Case) -> Iterator[Finding]:
    if case.transport("rival_datagrams"):
        yield case.counted(
            f"two senders use this link at once, {case.transport('rival_datagrams'):,} datagrams of"
            " the second one: it is refused unless [transport] one_sender is off, and what it sends"
            " is lost; stop one, or give it a port and a receiver of its own"
        )


def authenticity(case: Case) -> Iterator[Finding]:
    count = case.transport("unauthentic")
    if count:
        yield case.counted(
            f"{count:,} datagrams lacked this link's key and were refused, as the origin's sender"
            " has it: find out who else sends to this port; the receiver's log has the address"
        )


def erasure_code(case: Case) -> Iterator[Finding]:
    lost, repaired = case.transport("lost_packets"), case.transport("repaired")
    if lost:
        yield case.counted(
            f"{lost:,} packets lost more than could be repaired: lower [transport] rate at the"
            " origin, or raise [transport] repair there; what [sender] repeat sends again may have"
            " brought it since"
        )
    if not repaired:
        return
    left = case.transport("margin_percent")
    what = (
        f"{repaired:,} lost datagrams were computed again; the packet that lost most had"
        f" {left} % of its repair left over"
    )
    if left < LOW_MARGIN:
        what += ": that is little, so lower [transport] rate at the origin, or raise repair there"
    yield case.note(what)


def seal(case: Case) -> Iterator[Finding]:
    refused = case.receiver("refused")
    if not refused:
        return
    if not case.receiver("packets") and not case.facts.watched:
        yield case.loss(
            f"all {refused:,} packets that came were refused: their seal is of another secret; give"
            " both sides the same [link] secret"
        )
        return
    yield case.counted(
        f"{refused:,} packets were refused: sealed with another secret, or changed on their way;"
        " if they go on coming, see that nobody else sends here, and that [link] secret is the same"
        " on both sides"
    )


def packets(case: Case) -> Iterator[Finding]:
    lossy = {id: stream for id, stream in case.record.streams.items() if stream.missing}
    for id, stream in list(lossy.items())[-SHOWN_STREAMS:]:
        yield case.counted(
            f"{stream.missing:,} of {stream.missing + stream.packets:,} packets of the sender's run"
            f" {id[:8]} did not come{until(stream)}; what [sender] repeat at the origin does not"
            " send again, a repair ticket asks for: eurydice repair list"
        )
    older = sum(stream.missing for stream in list(lossy.values())[:-SHOWN_STREAMS])
    if older:
        yield case.counted(f"{older:,} packets of earlier runs did not come either")


def contents(case: Case) -> Iterator[Finding]:
    if case.receiver("elements_refused"):
        yield case.counted(
            f"{case.receiver('elements_refused'):,} parts of packets made no sense here and were"
            " skipped: the receiver's log says which; is the origin of a much newer version?"
        )


def ingestion(case: Case) -> Iterator[Finding]:
    if case.receiver("failed"):
        yield case.counted(
            f"{case.receiver('failed'):,} packets failed to be ingested by a fault of this program,"
            f" {case.receiver('quarantined'):,} are or were in the quarantine: the receiver's log"
            " and 'eurydice quarantine list' say why; please report it"
        )
    if case.transport("dropped"):
        yield case.counted(
            f"{case.transport('dropped'):,} whole packets were dropped, as nobody took them in in"
            " time: storage or database are slower than the link; raise [receiver] spool_size,"
            " or lower [transport] rate at the origin"
        )
    waiting = case.transport("spool_packets")
    if waiting:
        yield case.note(
            f"{waiting:,} packets, {format_size(case.transport('spool_bytes'))}, wait on disk:"
            " taking them in is slower than the link; beyond [receiver] spool_size they are dropped"
        )


def times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def until(stream: StreamRecord) -> str:
    """Say when something came last of a sender."""
    at = stream.last_packet_at
    return f" (last heard at {at.isoformat(sep=' ', timespec='seconds')})" if at else ""


def moment(text: str | None) -> datetime | None:
    """Return a point in time as it was noted, if any was."""
    return datetime.fromisoformat(text) if text else None


CHECKS: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "receiver": receiver_works,
    "silence": silence,
    "datagrams": datagrams,
    "senders": senders,
    "authenticity": authenticity,
    "erasure code": erasure_code,
    "seal": seal,
    "packets": packets,
    "contents": contents,
    "ingestion": ingestion,
}
"""What the receiver takes note of, in the order that a byte passes it."""
