"""The options of a link that loses, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from eurydice_core.cli.demo.quantities import share_of, size_of
from eurydice_core.errors import ConfigurationError
from eurydice_core.model.quantities import format_size
from eurydice_core.private_files import PRIVATE
from eurydice_core.testing.diode import Faults

__all__ = ["BadLink", "bad_link_options", "check_bad_link", "read_bad_link"]

CARRIES: Final = "transport_udp"
"""The transport whose datagrams the emulated diode takes."""
BURST_SPACING: Final = 64
"""Times the size of a burst: the native link repairs a tenth of a packet, so most packets
must have none, or what is sent again would be lost again."""
OPTIONS: Final = ("loss", "burst", "burst_every", "duplicate", "reorder", "corrupt", "trace")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLink:
    """What is to happen to datagrams, and where that is written down."""

    faults: Faults
    trace: Path | None = None

    def __str__(self) -> str:
        """Say how bad it is, for people."""
        faults = self.faults
        parts = [
            f"{share * 100:g} % {what}"
            for share, what in (
                (faults.loss, "lost"),
                (faults.duplicate, "twice"),
                (faults.reorder, "overtaken"),
                (faults.corrupt, "corrupted"),
            )
            if share
        ]
        if faults.burst_bytes:
            size, spacing = format_size(faults.burst_bytes), format_size(faults.burst_every)
            parts.append(f"{size} in a row lost in every {spacing}")
        return ", ".join(parts) or "nothing happens to datagrams"


def bad_link_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make its link a bad one."""

    def percent(name: str, text: str) -> Callable[..., Any]:
        return click.option(name, callback=share_of, metavar="PERCENT", help=text)

    options = (
        percent(
            "--loss",
            "Datagrams that the link loses, each for itself, such as 3%; more than 5% needs more"
            " repair than there is by default: --set transport.repair=30.",
        ),
        click.option(
            "--burst",
            callback=size_of,
            metavar="SIZE",
            help="Datagrams that it loses in a row, such as 2MB of them.",
        ),
        click.option(
            "--burst-every",
            callback=size_of,
            metavar="SIZE",
            help="Every so much of what crosses has one burst, at a random place: small files may"
            " see none, and with much less, what is sent again is lost again."
            f" [{BURST_SPACING} times --burst]",
        ),
        percent("--duplicate", "Datagrams that come twice."),
        percent("--reorder", "Datagrams that others overtake."),
        percent("--corrupt", "Datagrams of which a bit is turned."),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Another number has it happen to other datagrams.",
        ),
        click.option(
            "--trace",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write down there what the link did to which datagram.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_bad_link(options: Mapping[str, Any]) -> BadLink | None:
    """Return the bad link that the options ask for, if they do.

    Raises:
        click.UsageError: no link can be so.
    """
    given = {name: options[name] for name in OPTIONS if options[name] is not None}
    if not given:
        return None
    burst = given.get("burst", 0)
    shares = {name: given.get(name, 0.0) for name in ("loss", "duplicate", "reorder", "corrupt")}
    every = given.get("burst_every", BURST_SPACING * burst)
    if every < burst:
        raise click.UsageError(
            f"--burst-every must be at least --burst, which is {format_size(burst)}"
        )
    trace = given.get("trace")
    return BadLink(
        faults=Faults(**shares, burst_bytes=burst, burst_every=every, seed=options["seed"]),
        trace=trace.absolute() if trace else None,
    )


def check_bad_link(link: BadLink | None, transport: str) -> None:
    """Return if the transport can cross the link, and what it does can be written down.

    Raises:
        ConfigurationError: it cannot.
    """
    if link is None:
        return
    if transport != CARRIES:
        raise ConfigurationError(
            f"a bad link takes datagrams, and {transport} sends none it could take: leave out"
            f" --transport, or --{', --'.join(OPTIONS).replace('_', '-')}"
        )
    try:
        if link.trace is not None:
            PRIVATE.open_file(link.trace, "w").close()
    except OSError as error:
        raise ConfigurationError(f"--trace: cannot write {link.trace}: {error.strerror}") from error
