"""Who sends: a restarted sender replaces itself, a second sender at once is told apart from it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from eurydice_transport_udp.messages import Source

__all__ = ["SILENCE_SECONDS", "SUCCESSION_SECONDS", "Links", "Rivals"]

SILENCE_SECONDS = 1.0
"""A link that is not heard for so long leaves its place to the next one that is."""
SUCCESSION_SECONDS = 1.0
"""For how long two links may be heard at once: what was under way, or out of order."""
REMEMBERED_LINKS = 64


@dataclass(slots=True)
class Link:
    """One link instance that was heard."""

    instance: int
    source: Source
    began: float
    heard: float

    def __str__(self) -> str:
        host, port = self.source
        return f"link {self.instance:016x} from {host}:{port}"


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two links that are there at once: one keeps its place, the other is not wanted."""

    holder: Link
    other: Link

    def __str__(self) -> str:
        return f"{self.other}, while {self.holder} is there"


class Links:
    """Remembers which link instances were heard, and whose turn it is.

    A restarted sender is a new link, and its former life is silent from then on. Two that
    both go on are never meant: together they are faster than the rate that was set, and
    one of them may be nobody's. The first keeps its place for as long as it is heard.
    """

    def __init__(self) -> None:
        self.begun = 0
        """How many link instances there were."""
        self._known: OrderedDict[int, Link] = OrderedDict()
        self._holder: Link | None = None

    def hear(self, instance: int, source: Source, now: float) -> Rivals | None:
        """Take note of a link; return the rivals if another one is there already."""
        holder = self._holder
        if holder is not None and holder.instance == instance:
            holder.heard = now
            return None
        link = self._known.get(instance) or self._begin(Link(instance, source, now, now))
        link.heard = now
        if holder is None or now - holder.heard >= SILENCE_SECONDS:
            holder = self._holder = self._first_heard(now)
            if holder is link:
                return None
        together = (now if link.began < holder.began else holder.heard) - max(
            link.began, holder.began
        )
        return Rivals(holder, link) if together >= SUCCESSION_SECONDS else None

    def _first_heard(self, now: float) -> Link:
        """Return who has been there for longest of those that are heard."""
        heard = (link for link in self._known.values() if now - link.heard < SILENCE_SECONDS)
        return min(heard, key=lambda link: link.began)

    def _begin(self, link: Link) -> Link:
        self.begun += 1
        self._known[link.instance] = link
        if len(self._known) > REMEMBERED_LINKS:
            self._known.popitem(last=False)
        return link
