"""`eurydice link doctor`: where datagrams are lost on this side."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.link.diagnosis import Diagnosis, Finding, Level, LinkFacts, diagnose
from eurydice_core.link.doctor import link_facts
from eurydice_core.link.kernel import Counters, read_counters, read_limits
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

    Reads the configured transport and the counters of the kernel, and changes nothing.
    Without --watch the counters are those since this machine was started. Exits with 1
    if something has to be done.
    """
    settings = invocation.load().settings
    choice = settings.transport
    transport = discover().settings(Kind.TRANSPORT, choice.plugin, choice.options)
    limits = read_limits()
    counters = read_counters()
    if watch:
        counters = counted_in(watch, counters)
    facts = link_facts(settings.side, transport, limits, watched=bool(watch))
    diagnosis = diagnose(facts, limits, counters)
    if as_json:
        click.echo(json.dumps({"link": asdict(facts), **asdict(diagnosis)}, indent=2))
    else:
        period = f"in {watch:g} s" if watch else "since this machine was started"
        show(facts, choice.plugin, diagnosis, period)
    raise click.exceptions.Exit(1 if diagnosis.is_losing else 0)


def counted_in(seconds: float, before: Counters) -> Counters:
    """Return what is counted from now on, for a while."""
    click.echo(f"watching for {seconds:g} s ...", err=True)
    time.sleep(seconds)
    return read_counters().since(before)


def show(facts: LinkFacts, plugin: str, diagnosis: Diagnosis, period: str) -> None:
    """Print what was found, for people."""
    interfaces = ", ".join(facts.interfaces) or "no interface"
    click.echo(f"{facts.side} side, {plugin}, {interfaces}; counted {period}")
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
