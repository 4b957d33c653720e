"""`eurydice link doctor`: where datagrams are lost on this side."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from eurydice_core.cli.link.record import Reception, read_reception
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.link.diagnosis import Diagnosis, Finding, Level, LinkFacts, diagnose
from eurydice_core.link.doctor import link_facts
from eurydice_core.link.kernel import read_counters, read_limits
from eurydice_core.link.reception import LinkRecord
from eurydice_core.model.clock import utc_now
from eurydice_core.model.quantities import format_duration
from eurydice_core.plugins import Kind, discover

__all__ = ["doctor_command"]

SYMBOLS = {Level.LOSS: "LOSS", Level.NOTE: "note"}


@click.command("doctor")
@click.option(
    "--watch",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    metavar="SECONDS",
    help="Look at what is lost in so many seconds from now, while files cross.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def doctor_command(invocation: Invocation, watch: float | None, as_json: bool) -> None:
    """Say where this side of the link loses datagrams, and what to set.

    Reads the configured transport, the counters of the kernel and, at the destination, what
    the receiver notes every 5 seconds, and changes nothing. Without --watch the counters are
    those since this machine, and the receiver, were started. Exits with 1 if something has
    to be done.
    """
    loaded = invocation.load()
    settings, choice = loaded.settings, loaded.settings.transport
    transport = discover().settings(Kind.TRANSPORT, choice.plugin, choice.options, loaded.origins)
    limits = read_limits()
    counters, reception = read_counters(), read_reception(settings)
    if watch:
        click.echo(f"watching for {watch:g} s ...", err=True)
        time.sleep(watch)
        counters = read_counters().since(counters)
        reception = read_reception(settings).since(reception)
    facts = link_facts(settings.side, transport, limits, watched=bool(watch))
    diagnosis = diagnose(facts, limits, counters).beside(reception.diagnosis(settings, facts))
    if as_json:
        told = {"link": asdict(facts), "reception": reception.facts(), **asdict(diagnosis)}
        click.echo(json.dumps(told, indent=2, default=str))
    else:
        period = f"in {watch:g} s" if watch else "since this machine was started"
        show(facts, choice.plugin, diagnosis, period, reception)
    raise click.exceptions.Exit(1 if diagnosis.is_losing else 0)


def came(record: LinkRecord, facts: LinkFacts) -> str:
    """Say what the receiver took in, and when the last of it came."""
    period = "while watching" if facts.watched else "since it was started"
    text = f"{record.receiver.get('packets', 0):,} packets {period}"
    if record.last_packet_at is None:
        return text
    seconds = max(0.0, (utc_now() - record.last_packet_at).total_seconds())
    return f"{text}, the last one {format_duration(seconds)} ago"


def show(
    facts: LinkFacts, plugin: str, diagnosis: Diagnosis, period: str, reception: Reception
) -> None:
    """Print what was found, for people."""
    interfaces = ", ".join(facts.interfaces) or "no interface"
    click.echo(f"{facts.side} side, {plugin}, {interfaces}; counted {period}")
    if reception.record is not None:
        click.echo(f"receiver: {came(reception.record, facts)}")
    for finding in diagnosis.findings:
        show_finding(finding)
    if diagnosis.sound:
        click.echo(f"\nok    {', '.join(diagnosis.sound)}")


def show_finding(finding: Finding) -> None:
    """Print one finding and what to type."""
    text = click.wrap_text(f"{finding.place}: {finding.what}", 90, "", "      ")
    click.echo(f"\n{SYMBOLS[finding.level]}  {text}")
    for command in finding.commands:
        click.echo(f"          {command}")
