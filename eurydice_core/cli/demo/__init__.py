"""`eurydice demo`: both sides on this machine, and files that really cross."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
from rich.console import Console

from eurydice_core import log
from eurydice_core.cli.demo.bad_link import (
    BadLink,
    bad_link_options,
    check_bad_link,
    read_bad_link,
)
from eurydice_core.cli.demo.configuration import Choices, check_choices, write_configurations
from eurydice_core.cli.demo.content import File, check_room, given_files, make_file
from eurydice_core.cli.demo.crossing import bad_link_between
from eurydice_core.cli.demo.display import Display
from eurydice_core.cli.demo.memory import MemoryMeter
from eurydice_core.cli.demo.quantities import duration_of, size_of
from eurydice_core.cli.demo.ready import associate, wait_for_link
from eurydice_core.cli.demo.report import (
    Report,
    as_json,
    failure_as_json,
    print_report,
    print_steps,
)
from eurydice_core.cli.demo.sides import DemoFailed, DemoSide, running
from eurydice_core.cli.demo.transfer import BARS, Transfer
from eurydice_core.cli.demo.waiting import Waits
from eurydice_core.cli.run.signals import stop_on_signals
from eurydice_core.errors import ConfigurationError, EurydiceError
from eurydice_core.model.quantities import format_size, parse_size
from eurydice_core.model.states import Side
from eurydice_core.private_files import PRIVATE
from eurydice_core.testing.s3_server import S3Server, s3_server

__all__ = ["demo"]

SIZE: Final = "256MiB"
NEEDS_S3: Final = "storage_minio"
LOOK_EVERY: Final = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    paths: tuple[Path, ...]
    size: int
    directory: Path | None
    choices: Choices
    bad_link: BadLink | None
    timeout: float | None
    keep: bool
    as_json: bool


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--size", callback=size_of, help=f"Size of the file, if none is given. [{SIZE}]")
@click.option("--storage", default="storage_fs", show_default=True, help="Where bytes rest.")
@click.option("--scheduler", default="scheduler_rotating", show_default=True, help="What is next.")
@click.option("--transport", default="transport_udp", show_default=True, help="How they cross.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, such as transport.rate=500; origin.transport.rate=500 for one side alone.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty directory for everything, kept; else a temporary one.",
)
@bad_link_options
@click.option("--keep", is_flag=True, help="Leave both sides running until Ctrl-C.")
@click.option(
    "--timeout",
    callback=duration_of,
    help="Longest time for the transfer. [none, as long as there is progress]",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: one report, no progress.")
def demo(files: tuple[Path, ...], size: int | None, **options: Any) -> None:
    """Carry a file across both sides, on this machine.

    Starts an origin and a destination, each with its own processes, database and storage,
    sends FILES (or one made up for it) through the link, fetches them at the other end and
    compares every byte.

    With --loss, --burst and their like an emulated diode stands between the sides: UDP
    datagrams get lost, the same ones for the same --seed. What the receiver cannot repair
    is sent again, and still every byte is compared.
    """
    if files and size is not None:
        raise click.UsageError("--size is for the file that the demo makes up: leave out FILES")
    bad_link = read_bad_link(options)
    wish = Wish(
        paths=files,
        size=parse_size(SIZE) if size is None else size,
        directory=options["directory"],
        choices=Choices(
            storage=options["storage"],
            scheduler=options["scheduler"],
            transport=options["transport"],
            is_link_bad=bad_link is not None,
            overrides=options["overrides"],
        ),
        bad_link=bad_link,
        timeout=options["timeout"],
        keep=options["keep"],
        as_json=options["as_json"],
    )
    log.configure(level="ERROR")  # what this process does is shown, not logged
    with interruptible():
        run(wish, Display(Console(quiet=wish.as_json)))


def run(wish: Wish, display: Display) -> None:
    """Do what was asked for, and clean up; where it failed, keep what says why."""
    check_choices(wish.choices)
    check_bad_link(wish.bad_link, wish.choices.transport)
    files = given_files(wish.paths)
    size = sum(file.size for file in files) if files else wish.size
    place = new_place(wish.directory)
    is_kept = wish.directory is not None or wish.keep
    try:
        check_room(place, size)
        work(wish, files, size, place, display)
    except DemoFailed as error:
        is_kept = True
        show_logs(error)
        if wish.as_json:
            click.echo(failure_as_json(str(error), place))
        raise DemoFailed(f"{error} (everything is kept in {place})") from error
    except EurydiceError as error:
        if wish.as_json:
            click.echo(failure_as_json(str(error), place if is_kept else None))
        raise
    finally:
        if not is_kept:
            shutil.rmtree(place, ignore_errors=True)


def new_place(directory: Path | None) -> Path:
    """Return the directory for everything.

    Raises:
        ConfigurationError: it cannot be made, or something is in it.
    """
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="eurydice-demo-"))
    try:
        PRIVATE.make_directory(directory)
        is_empty = not any(directory.iterdir())
    except OSError as error:
        raise ConfigurationError(f"--dir: cannot use {directory}: {error.strerror}") from error
    if not is_empty:
        raise ConfigurationError(f"--dir: {directory} is not empty")
    return directory.absolute()


def work(wish: Wish, files: list[File], size: int, place: Path, display: Display) -> None:
    """Run both sides, carry the files, report."""
    announce(wish, files, size, place, display)
    waits = Waits(display)
    with ExitStack() as stack:
        s3 = start_s3(stack, place, waits) if needs_s3(wish.choices) else None
        if s3 is not None:
            display.done(f"an S3 server (SeaweedFS) answers at {s3.endpoint_url}")
        with display.waiting("the databases of both sides"):
            origin, destination = make_sides(place, wish.choices, s3)
        link = bad_link_between(wish.bad_link, origin.configuration, destination.configuration)
        crossing = stack.enter_context(link)
        stack.enter_context(running(waits, origin, destination))
        display.done(f"both sides are up: origin {origin.url}, destination {destination.url}")
        associate(origin, destination, waits)
        display.done(f"{origin.user} of the origin is {destination.user} of the destination")
        wait_for_link(origin, destination, waits)
        rate = origin.configuration.rate
        pace = f", paced at {rate:g} Mbit/s" if rate else ""
        display.done(f"the link carries packets{pace}")
        memory = MemoryMeter()
        for side in (origin, destination):
            memory.name(side.pid, side.side)
        if not files:
            files = [made_up(place, size, display)]
        with display.bars(size, *BARS):
            transfer = Transfer(origin, destination, display, memory, waits, wish.timeout)
            carried, stages = transfer.carry(files)
        if crossing is not None:
            crossing.learn(destination, waits, is_over=not wish.keep)
        report = Report(
            choices=wish.choices,
            directory=place,
            carried=carried,
            stages=stages,
            peaks=memory.peaks(),
            crossing=crossing,
            sides=(origin, destination) if wish.keep else (),
        )
        show(wish, report, display)
        if wish.keep:
            keep_running(origin, destination, display)


def announce(wish: Wish, files: list[File], size: int, place: Path, display: Display) -> None:
    """Say what will be done."""
    what = f"{len(files)} files" if len(files) > 1 else "a file"
    display.say(f"Eurydice demo: {what}, {format_size(size)}, through a one-way link", "bold")
    choices = wish.choices
    display.say(f"  {choices.storage}, {choices.scheduler}, {choices.transport}, in {place}")
    if wish.bad_link is not None:
        display.say(f"  a bad link: {wish.bad_link} (seed {wish.bad_link.faults.seed})")
    if choices.transport == "transport_lidi":
        display.say("  the sender connects to the receiver itself, in the place of lidi")
    display.say("")


def needs_s3(choices: Choices) -> bool:
    """Tell whether an object store is needed that the user did not name."""
    named = any("storage.endpoint_url=" in text for text in choices.overrides)
    return choices.storage == NEEDS_S3 and not named


def start_s3(stack: ExitStack, place: Path, waits: Waits) -> S3Server:
    """Run an S3 server until the stack is left."""
    with waits.patience("the S3 server to answer") as patience:
        return stack.enter_context(s3_server(place / "s3", lambda: patience.see(None)))


def make_sides(place: Path, choices: Choices, s3: S3Server | None) -> tuple[DemoSide, DemoSide]:
    """Set up both sides."""
    configurations = write_configurations(place, choices, s3)
    return DemoSide(configurations[Side.ORIGIN]), DemoSide(configurations[Side.DESTINATION])


def made_up(place: Path, size: int, display: Display) -> File:
    """Make a file to carry."""
    with display.bars(size, "make up"):
        return make_file(place / "random.bin", size, lambda n: display.advance("make up", n))


def show(wish: Wish, report: Report, display: Display) -> None:
    """Show what was found out."""
    if wish.as_json:
        click.echo(as_json(report))
    else:
        print_report(display.console, report)


def show_logs(error: DemoFailed) -> None:
    """Show the end of the logs that may say why."""
    for log_file, lines in error.log_tails.items():
        click.echo(f"the last lines of {log_file}:" if lines else f"{log_file} is empty", err=True)
        for line in lines:
            click.echo(f"  {line}", err=True)


def keep_running(origin: DemoSide, destination: DemoSide, display: Display) -> None:
    """Leave both sides running until somebody stops us."""
    print_steps(display.console, origin, destination)
    display.say("")
    display.say("both sides go on running; Ctrl-C ends them", "bold")
    with stop_on_signals() as stop:
        while not stop.wait(LOOK_EVERY):
            origin.check()
            destination.check()


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGTERM and a terminal that goes away clean up as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
