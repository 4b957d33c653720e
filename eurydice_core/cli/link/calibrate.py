"""`eurydice link calibrate`: the rate up to which nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from eurydice_core import log
from eurydice_core.cli.link.loopback import SHOWN, Pair, run_pair
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.config import Settings, find_settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.hookspecs import Context
from eurydice_core.interfaces.transport import PacketSender, Transport
from eurydice_core.link.calibrate import SentStep, receive_sweep, send_sweep
from eurydice_core.link.sweep import MAX_SECONDS, StepResult, Sweep, highest
from eurydice_core.model.states import Side
from eurydice_core.plugins import Kind, Plugins, discover

__all__ = ["calibrate_command"]

MARGIN = 0.9
"""Share of the highest good rate that is worth setting."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The configured transport, to be created once for every rate."""

    plugins: Plugins
    plugin: str
    options: Mapping[str, Any]
    context: Context

    def transport(self, **changed: Any) -> Transport:
        """Return the transport, with some settings changed."""
        options = {**self.options, **changed}
        return self.plugins.create_transport(self.plugin, options, self.context)

    def open_sender(self, rate: float) -> AbstractContextManager[PacketSender]:
        """Open a sender that keeps to a rate."""
        return self.transport(rate=rate).sender()


@click.command("calibrate")
@click.option(
    "--role",
    type=click.Choice(["sender", "receiver", "loopback"]),
    required=True,
    help="Which end this is; loopback is both, on this machine.",
)
@click.option(
    "--from", "lowest", type=click.FloatRange(1, 1e6), default=100, show_default=True,
    help="Lowest rate, Mbit/s.",
)  # fmt: skip
@click.option(
    "--to", "top", type=click.FloatRange(1, 1e6), default=10_000, show_default=True,
    help="Highest rate, Mbit/s.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 100), default=9, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.05, MAX_SECONDS), default=1.0, show_default=True,
    help="How long each rate is tried.",
)  # fmt: skip
@click.option(
    "--wait", type=click.FloatRange(min=0), default=60.0, show_default=True,
    help="Receiver: seconds to wait for the first packet.",
)  # fmt: skip
@click.option("--host", help="Send there, instead of where [transport] says.")
@click.option("--bind", help="Listen there, instead of where [transport] says.")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of that of [transport].")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object a line.")
@pass_invocation
def calibrate_command(invocation: Invocation, /, role: str, as_json: bool, **said: Any) -> None:
    """Find the highest rate that this link carries without loss.

    Start it with --role receiver at the destination, with its receiver service stopped,
    and then with --role sender at the origin. Nothing comes back, so it is the receiver
    that prints which rates arrived whole. With --role loopback both ends run here.
    """
    log.configure(level="CRITICAL")  # what is lost is in the table
    sweep = Sweep(said["lowest"], max(said["lowest"], said["top"]), said["steps"], said["seconds"])
    with TemporaryDirectory(prefix="eurydice-") as place:
        bench = bench_of(invocation, role, said, Path(place))
        if role == "sender":
            for step in send_sweep(bench.open_sender, sweep):
                show_sent(step, as_json)
        elif role == "receiver":
            conclude(list(received(bench, said["wait"], as_json)), as_json)
        else:
            arguments = arguments_of(invocation, bench.options, sweep)
            conclude(list(shown(run_pair(arguments), as_json)), as_json)


def bench_of(invocation: Invocation, role: str, said: Mapping[str, Any], place: Path) -> Bench:
    """Return the transport of the configuration, or the default one where there is none.

    Raises:
        ConfigurationError: it keeps to no rate, so that there is nothing to calibrate.
    """
    loaded = find_settings(invocation.config, invocation.environ)
    default = Settings.model_fields["transport"].get_default()
    choice = loaded.settings.transport if loaded else default
    changed = {name: said[name] for name in ("host", "bind", "port") if said[name] is not None}
    plugins = discover()
    fields = plugins.choose(Kind.TRANSPORT, choice.plugin).settings.model_fields
    missing = {"rate", *changed} - set(fields)
    if missing:
        raise ConfigurationError(
            f"{choice.plugin} has no setting {', '.join(sorted(missing))}: calibrate is for"
            " transports that keep to a rate, such as transport_udp"
        )
    side = Side.ORIGIN if role == "sender" else Side.DESTINATION
    options = {**choice.options, **changed}
    return Bench(plugins, choice.plugin, options, Context(side=side, state_dir=place))


def received(bench: Bench, wait: float, as_json: bool) -> Iterator[StepResult]:
    """Receive a sweep, and show each step when it is over."""
    with bench.transport().receiver() as receiver:
        click.echo("ready: start the sender", err=True)
        for result in receive_sweep(receiver, wait=wait):
            show_received(result, as_json)
            yield result


def shown(pairs: Iterator[Pair], as_json: bool) -> Iterator[StepResult]:
    """Show steps of which both ends are known."""
    for pair in pairs:
        show_received(pair.received, as_json, pair.sent)
        yield pair.received


def show_sent(step: SentStep, as_json: bool) -> None:
    """Print what the sender did."""
    speed = step.bytes / 1e6 / step.seconds
    if as_json:
        facts = {"rate": step.rate, "packets": step.packets, "mb_per_second": speed}
        click.echo(json.dumps({**facts, "kept_up": step.kept_up}))
        return
    slow = "" if step.kept_up else "  this machine sends no faster"
    click.echo(f"{step.rate:8.0f} Mbit/s  {step.packets:4} packets  {speed:6.0f} MB/s{slow}")


def show_received(result: StepResult, as_json: bool, sent: Mapping[str, Any] | None = None) -> None:
    """Print what came of a rate."""
    counted = {name: result.counted.get(name, 0) for name in SHOWN}
    if as_json:
        facts = {"rate": result.rate, "sent": result.sent, "received": result.received}
        verdicts = {"whole": result.is_whole, "lossless": result.is_lossless}
        known = {"mb_per_second": sent["mb_per_second"]} if sent else {}
        click.echo(json.dumps({**facts, "bytes": result.bytes, **counted, **known, **verdicts}))
        return
    verdict = "lossless" if result.is_lossless else "whole" if result.is_whole else "LOSS"
    speed = f"  {sent['mb_per_second']:6.0f} MB/s" if sent else ""
    slow = "  as fast as this machine sends" if sent and not sent["kept_up"] else ""
    click.echo(
        f"{result.rate:8.0f} Mbit/s  {result.received:4} of {result.sent:4} packets"
        f"  {counted['repaired']:6} repaired, dropped {counted['kernel_drops']:6} by the kernel,"
        f" {counted['dropped']:3} by the receiver"
        f"{speed}  {verdict}{slow}"
    )


def conclude(results: Sequence[StepResult], as_json: bool) -> None:
    """Print the highest good rates; exit with 1 if there is none."""
    lossless, whole = highest(results, lossless=True), highest(results, lossless=False)
    if as_json:
        click.echo(json.dumps({"highest_lossless": lossless, "highest_whole": whole}))
    elif not results:
        click.echo("nothing came: is the sender started, and is this the address it sends to?")
    elif whole is None:
        click.echo("not even the lowest rate arrived whole: run eurydice link doctor here")
    else:
        best = lossless or whole
        note = "" if lossless else "; every rate needed repair, so the link itself loses"
        if best == results[-1].rate:
            note += "; nothing higher was tried"
        click.echo(f"highest rate {'without loss' if lossless else 'that arrived whole'}:"
                   f" {best:.0f} Mbit/s{note}")  # fmt: skip
        click.echo(f"set on the origin: [transport] rate = {MARGIN * best:.0f}")
    raise click.exceptions.Exit(1 if whole is None else 0)


def arguments_of(
    invocation: Invocation, options: Mapping[str, Any], sweep: Sweep
) -> Callable[[str], Sequence[str]]:
    """Return how the command line of each end of a loopback is made."""
    config = ["--config", str(invocation.config)] if invocation.config else []
    given = [f"--{name}={options[name]}" for name in ("host", "bind", "port") if name in options]
    rates = [f"--from={sweep.lowest}", f"--to={sweep.highest}", f"--steps={sweep.steps}"]
    swept = [*rates, f"--seconds={sweep.seconds}", "--json"]
    return lambda role: [*config, "link", "calibrate", f"--role={role}", *swept, *given]
