"""The bad link at work: an emulated diode between the sides, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from eurydice_core.cli.demo.bad_link import BadLink
from eurydice_core.cli.demo.configuration import Configuration
from eurydice_core.cli.demo.sides import DemoSide
from eurydice_core.cli.demo.waiting import Waits
from eurydice_core.cli.link.record import read_record
from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError, ServiceError
from eurydice_core.link.reception import LinkRecord
from eurydice_core.model.clock import utc_now
from eurydice_core.model.quantities import format_size
from eurydice_core.testing.diode import DiodeProcess, diode_process
from eurydice_core.testing.diode.faults import burst_windows

__all__ = ["Crossing", "bad_link_between"]

UDP_OVERHEAD: Final = 28  # bytes of IP and UDP headers, which count in a burst
RECORD_SECONDS: Final = 60.0
"""Longest wait for the receiver's notes, which it makes several times in ten seconds."""


@dataclass(slots=True)
class Crossing:
    """A bad link, and what both of its ends found out."""

    link: BadLink
    process: DiodeProcess
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the link did to datagrams; empty while it goes on."""
    record: LinkRecord = field(default_factory=LinkRecord)
    """What the receiver noted last."""

    def learn(self, destination: DemoSide, waits: Waits, *, is_over: bool) -> None:
        """Learn what the receiver found out up to now, and what the link did, if it is over.

        Raises:
            ServiceError: the emulated diode ended before.
        """
        self._read_record(destination, waits, since=utc_now())
        try:
            self.counts = self.process.finish() if is_over else {}
        except ValueError as error:
            raise ServiceError("the emulated diode ended while files crossed it") from error

    def _read_record(self, destination: DemoSide, waits: Waits, since: datetime) -> None:
        """Wait until the receiver notes packets of some moment; keep older notes if it is late."""
        settings = load_settings(destination.configuration.file, {}).settings

        def look() -> tuple[bool | None, object]:
            destination.check()
            self.record = read_record(settings) or self.record
            noted_at = self.record.last_packet_at
            return (True if noted_at and noted_at >= since else None), None

        with suppress(TimeoutError):
            waits.until("the receiver's notes", look, TimeoutError, limit=RECORD_SECONDS)

    @property
    def bursts(self) -> int:
        """How many bursts there were among what came."""
        came = self.counts.get("bytes", 0) + UDP_OVERHEAD * self.counts.get("datagrams", 0)
        windows = burst_windows(self.link.faults)
        return sum(1 for _ in takewhile(lambda window: window[0] < came, windows))

    def facts(self) -> dict[str, Any]:
        """Return all of it, for programs."""
        counted = {**self.counts, "bursts": self.bursts} if self.counts else None
        return {
            "faults": asdict(self.link.faults),
            "link": counted,
            "receiver": dict(self.record.receiver),
            "transport": dict(self.record.transport),
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield all of it for people: who says it, and what."""
        if self.counts:
            yield "link", self._did()
        record = self.record
        repaired = record.transport.get("repaired", 0)
        margin = record.transport.get("margin_percent", 0)
        yield (
            "receiver",
            f"{record.receiver.get('packets', 0):,} packets, in which {repaired:,} lost datagrams"
            f" were computed again; the worst had {margin} % of its repair left",
        )
        beyond = record.transport.get("lost_packets", 0)
        if beyond:
            what = "1 packet" if beyond == 1 else f"{beyond:,} packets"
            yield "", f"{what} lost more than that; what was in there was sent again"

    def _did(self) -> str:
        """Say what the link did."""
        counts = self.counts
        lost = f"{counts['lost']:,} lost ({counts['lost'] / max(1, counts['datagrams']):.1%})"
        if self.link.faults.burst_bytes:
            times = "1 burst" if self.bursts == 1 else f"{self.bursts} bursts"
            lost += f", {times} of {format_size(self.link.faults.burst_bytes)} among them"
        names = ("duplicated", "delayed", "corrupted")
        rest = [f"{counts[name]:,} {name}" for name in names if counts[name]]
        if counts["kernel_drops"]:
            rest.append(f"{counts['kernel_drops']:,} more that this machine had no room for")
        came = f"{counts['datagrams']:,} datagrams, {format_size(counts['bytes'])}"
        return ", ".join([came + "; " + lost, *rest])


@contextmanager
def bad_link_between(
    link: BadLink | None, origin: Configuration, destination: Configuration
) -> Iterator[Crossing | None]:
    """Put a bad link, if one is asked for, between what the sides are configured to use.

    Raises:
        ConfigurationError: both are to use the same port.
        ServiceError: there is no room for it at the origin's port.
    """
    if link is None:
        yield None
        return
    enter, leave = origin.link_address, destination.link_address
    if enter is None or leave is None or enter[1] == leave[1]:
        raise ConfigurationError(
            "a bad link needs a port on each side: --set origin.transport.port and"
            " destination.transport.port to different ones, or neither"
        )
    with ExitStack() as stack:
        diode = diode_process(enter, (enter[0], leave[1]), link.faults, trace=link.trace)
        try:
            process = stack.enter_context(diode)
        except OSError as error:
            raise ServiceError(str(error)) from error
        try:
            yield Crossing(link, process)
        finally:
            with suppress(ValueError):  # it may have ended itself; if not, its trace is whole
                process.finish()
