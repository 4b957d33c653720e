"""Who sends: a restarted sender replaces itself, two senders at once are told apart from it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["SUCCESSION_SECONDS", "Links", "Source"]

SUCCESSION_SECONDS = 1.0
"""For how long a replaced link may still be heard: what was under way, or out of order."""
REMEMBERED_LINKS = 64

Source = tuple[str, int]
"""Address and port that datagrams come from."""


@dataclass(slots=True)
class Link:
    """One link instance that was heard."""

    instance: int
    source: Source
    began: float

    def __str__(self) -> str:
        host, port = self.source
        return f"link {self.instance:016x} from {host}:{port}"


class Links:
    """Remembers which link instances were heard, and since when.

    Both of two senders are served: nothing here can tell which one is right, what is
    refused would be lost for ever, and packets are sealed. But it is never meant, since
    together they are faster than the rate that was set, so it is said.
    """

    def __init__(self) -> None:
        self.begun = 0
        """How many link instances there were."""
        self._known: OrderedDict[int, Link] = OrderedDict()
        self._newest: Link | None = None

    def hear(self, instance: int, source: Source, now: float) -> str | None:
        """Take note of a link; return a text if it should have ended, as a newer one began."""
        newest = self._newest
        if newest is not None and newest.instance == instance:
            return None
        known = self._known.get(instance)
        if newest is None or known is None:
            self._begin(Link(instance, source, now))
            return None
        if now - newest.began < SUCCESSION_SECONDS:
            return None
        return f"{known}, and {newest}"

    def _begin(self, link: Link) -> None:
        self.begun += 1
        self._newest = self._known[link.instance] = link
        if len(self._known) > REMEMBERED_LINKS:
            self._known.popitem(last=False)
