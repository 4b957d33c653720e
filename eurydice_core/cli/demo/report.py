"""What the demo found out, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from eurydice_core.cli.demo.configuration import Choices
from eurydice_core.cli.demo.crossing import Crossing
from eurydice_core.cli.demo.memory import DEMO, Peak
from eurydice_core.cli.demo.sides import DemoSide
from eurydice_core.cli.demo.transfer import Carried, Stage
from eurydice_core.model.quantities import format_duration, format_size
from eurydice_core.model.states import Side

__all__ = ["Report", "as_json", "failure_as_json", "print_report", "print_steps"]

ORDER: Final = (Side.ORIGIN, Side.DESTINATION, DEMO)
MEANING: Final = {
    "upload": "HTTP into the origin",
    "sent": "until the link took all of it",
    "received": "until all was there, its digest checked",
    "download": "HTTP out of the destination, compared",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A demo that went well."""

    choices: Choices
    directory: Path
    carried: Sequence[Carried]
    stages: Sequence[Stage]
    peaks: Sequence[Peak]
    crossing: Crossing | None = None
    """What a bad link did, if there was one."""
    sides: Sequence[DemoSide]
    """Those that go on running."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.file.size for each in self.carried)


def print_report(console: Console, report: Report) -> None:
    """Print tables, and what they are the proof of."""
    console.print()
    console.print(stage_table(report.stages))
    console.print()
    console.print(memory_table(report.peaks))
    console.print()
    if report.crossing is not None:
        console.print(link_table(report.crossing))
        console.print()
    count = len(report.carried)
    files = "1 file" if count == 1 else f"{count} files"
    console.print(
        f"✓ every byte arrived: {files}, {format_size(report.size)}, SHA-256 compared",
        style="bold green",
        highlight=False,
        soft_wrap=True,
    )
    if count == 1:
        console.print(f"  {report.carried[0].sha256}", style="dim", highlight=False)


def stage_table(stages: Sequence[Stage]) -> Table:
    """Return how fast each part of the way was."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), title_justify="left")
    table.add_column("Stage", style="cyan")
    table.add_column("Time", justify="right", no_wrap=True)
    table.add_column("Throughput", justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for stage in stages:
        speed = f"{format_size(stage.speed)}/s" if stage.speed else "-"
        table.add_row(stage.name, format_duration(stage.seconds), speed, MEANING[stage.name])
    return table


def memory_table(peaks: Sequence[Peak]) -> Table:
    """Return how much memory each process used at most."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("Side", style="cyan")
    table.add_column("Process")
    table.add_column("Peak memory", justify="right", no_wrap=True)
    before = ""
    for peak in sorted(peaks, key=lambda peak: ORDER.index(peak.side)):
        side = peak.side if peak.side != before else ""
        table.add_row(side, peak.process, format_size(peak.bytes))
        before = peak.side
    return table


def link_table(crossing: Crossing) -> Table:
    """Return what a bad link did, and what was repaired of it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), title_justify="left")
    table.add_column("Bad link", style="cyan")
    table.add_column("")
    for who, what in crossing.lines():
        table.add_row(who, what)
    return table


def as_json(report: Report) -> str:
    """Return the report for programs."""
    return json.dumps(
        {
            "ok": True,
            "plugins": {
                "storage": report.choices.storage,
                "scheduler": report.choices.scheduler,
                "transport": report.choices.transport,
            },
            "directory": str(report.directory),
            "files": [
                {"name": e.file.name, "size": e.file.size, "sha256": e.sha256, "id": e.id}
                for e in report.carried
            ],
            "stages": [
                {
                    "name": stage.name,
                    "bytes": stage.bytes,
                    "seconds": round(stage.seconds, 3),
                    "bytes_per_second": round(stage.speed),
                }
                for stage in report.stages
            ],
            "peak_memory": [
                {"side": peak.side, "process": peak.process, "bytes": peak.bytes}
                for peak in report.peaks
            ],
            "bad_link": report.crossing.facts() if report.crossing else None,
            "sides": {side.side: access(side) for side in report.sides},
        },
        indent=2,
        ensure_ascii=False,
    )


def failure_as_json(reason: str, directory: Path | None) -> str:
    """Return why the demo failed, for programs."""
    kept = str(directory) if directory else None
    return json.dumps({"ok": False, "error": reason, "directory": kept}, ensure_ascii=False)


def access(side: DemoSide) -> dict[str, Any]:
    """Return how to get at a side that goes on running."""
    return {
        "url": side.url,
        "user": side.user,
        "password": side.password,
        "token": side.token,
        "configuration": str(side.configuration.file),
    }


def print_steps(console: Console, origin: DemoSide, destination: DemoSide) -> None:
    """Print how to go on by hand, with the sides that are left running."""
    for side in (origin, destination):
        console.print()
        console.print(f"{side.side}: {side.url}", style="bold", highlight=False, soft_wrap=True)
        for line in (
            f"user      {side.user}",
            f"password  {side.password}",
            f"token     {side.token}",
            f"config    {side.configuration.file}",
            f"log       {side.log}",
        ):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    for comment, command in steps(origin, destination):
        console.print(f"# {comment}", style="dim", markup=False, highlight=False, soft_wrap=True)
        console.print(command, markup=False, highlight=False, soft_wrap=True)


def steps(origin: DemoSide, destination: DemoSide) -> Iterator[tuple[str, str]]:
    """Yield what a user does, and the command for it."""
    here, there = (f"curl -u {s.user}:{s.password} {s.url}/api/v1" for s in (origin, destination))
    yield (
        "send a file",
        (
            f"{here}/transferables/ -X POST -H 'Content-Type: application/octet-stream'"
            " -H 'Metadata-Name: hello.txt' --data-binary 'Hello, other side!'"
        ),
    )
    yield "see how far it is", f"{here}/transferables/"
    yield (
        "link the accounts of both sides (done already): get the words here",
        f"{here}/user/association/",
    )
    yield (
        "... and post them there",
        f'{there}/user/association/ -X POST --json \'{{"token": "the 18 words"}}\'',
    )
    yield "see what arrived", f"{there}/transferables/"
    yield "fetch a file; its ID is in the list", f"{there}/transferables/ID/download/ -OJ"
    yield "delete it", f"{there}/transferables/ID/ -X DELETE"
