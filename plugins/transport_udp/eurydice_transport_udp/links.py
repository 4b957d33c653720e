"""Which sender is received: a restarted one replaces itself, a second one is told apart."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from eurydice_transport_udp.authentication import start_of
from eurydice_transport_udp.messages import Source

__all__ = [
    "AUTHENTIC_SECONDS",
    "REMEMBERED_LINKS",
    "SILENCE_SECONDS",
    "SUCCESSION_SECONDS",
    "Links",
    "Standing",
    "Verdict",
]

SILENCE_SECONDS = 1.0
"""A link that is not heard for so long leaves its place to the next one that is."""
AUTHENTIC_SECONDS = 10.0
"""For so long after an authentic datagram, unauthentic ones are refused."""
SUCCESSION_SECONDS = 1.0
"""For how long two links may be heard at once: what was under way, or out of order."""
REMEMBERED_LINKS = 64


@dataclass(slots=True)
class Link:
    """One link instance that was heard."""

    instance: int
    source: Source
    authentic: bool
    began: float
    heard: float

    def __str__(self) -> str:
        host, port = self.source
        return f"link {self.instance:016x} from {host}:{port}"


class Standing(Enum):
    """Whether a sender is the one to be received."""

    ACCEPTED = "accepted"
    RIVAL = "rival"
    """Another sender of the same authenticity holds the link."""
    UNAUTHENTIC = "unauthentic"
    """The sender lacks the link's key, and a sender that has it was heard."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision about the datagrams of one sender, and the senders that conflict."""

    standing: Standing
    holder: Link | None = None
    other: Link | None = None

    def __str__(self) -> str:
        return f"{self.other}, while {self.holder} is there"


ACCEPTED = Verdict(Standing.ACCEPTED)


class Links:
    """Remember which link instances were heard, and decide which one is received.

    A sender whose datagrams are authentic is never refused or displaced by one whose are
    not. Of two authentic senders the one that was started later is received, as after a
    restart, so that replayed datagrams of an earlier run cannot hold the link. Of two
    unauthentic ones the first keeps its place for as long as it is heard.
    """

    def __init__(self) -> None:
        self.begun = 0
        """How many link instances there were."""
        self._known: dict[bool, OrderedDict[int, Link]] = {
            True: OrderedDict(),
            False: OrderedDict(),
        }
        self._holder: Link | None = None
        self._authentic_at = float("-inf")

    @property
    def knows_authentic(self) -> bool:
        """Return whether an authentic sender was ever heard."""
        return bool(self._known[True])

    def preferred(self, now: float) -> int | None:
        """Return the instance of the authentic sender that was heard lately, if there is one."""
        holder = self._holder
        if holder is None or not holder.authentic or now - self._authentic_at >= AUTHENTIC_SECONDS:
            return None
        return holder.instance

    def hear(
        self, instance: int, source: Source, now: float, *, authentic: bool = False
    ) -> Verdict:
        """Record that a sender was heard, and decide whether it is received."""
        if authentic:
            self._authentic_at = now
        holder = self._holder
        if holder is not None and holder.instance == instance and holder.authentic == authentic:
            holder.heard = now
            return ACCEPTED
        link = self._known[authentic].get(instance)
        if link is None:
            link = self._begin(Link(instance, source, authentic, now, now))
        link.heard = now
        if not authentic and now - self._authentic_at < AUTHENTIC_SECONDS:
            return Verdict(Standing.UNAUTHENTIC, holder, link)
        if holder is None or replaces(link, holder):
            self._holder = link
            return ACCEPTED
        if now - holder.heard >= SILENCE_SECONDS:
            holder = self._holder = self._first_heard(now, authentic=authentic)
            if holder is link:
                return ACCEPTED
        together = (now if link.began < holder.began else holder.heard) - max(
            link.began, holder.began
        )
        if together < SUCCESSION_SECONDS:
            return ACCEPTED
        return Verdict(Standing.RIVAL, holder, link)

    def _first_heard(self, now: float, *, authentic: bool) -> Link:
        """Return the link of those heard lately that was started last, or heard first."""
        heard = [
            link for link in self._known[authentic].values() if now - link.heard < SILENCE_SECONDS
        ]
        if authentic:
            return max(heard, key=lambda link: start_of(link.instance))
        return min(heard, key=lambda link: link.began)

    def _begin(self, link: Link) -> Link:
        self.begun += 1
        known = self._known[link.authentic]
        known[link.instance] = link
        if len(known) > REMEMBERED_LINKS:
            known.popitem(last=False)
        return link


def replaces(link: Link, holder: Link) -> bool:
    """Return whether a link takes the place of the holder at once."""
    if link.authentic is not holder.authentic:
        return link.authentic
    return link.authentic and start_of(link.instance) > start_of(holder.instance)
