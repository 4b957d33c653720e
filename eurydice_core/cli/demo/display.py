"""What a person sees while the demo works: bars at a terminal, a line a step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from eurydice_core.model.quantities import format_size

__all__ = ["Display"]

WIDTH = 10  # columns of a bar's name


class SpeedColumn(ProgressColumn):
    """Bytes a second, in the units of everything else here."""

    def render(self, task: Task) -> Text:
        """Return the speed of a bar; of one that is full, over all of its time."""
        speed = task.finished_speed or task.speed
        return Text(f"{format_size(speed)}/s" if speed else "", style="cyan", justify="right")


class Display:
    """Bars by name, and lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn(f"  {{task.description:{WIDTH}}}"),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            DownloadColumn(binary_units=True),
            SpeedColumn(),
            TimeElapsedColumn(),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._spinner = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def done(self, text: str) -> None:
        """Print that something is done."""
        self.say(f"✓ {text}", style="green")

    @contextmanager
    def bars(self, total: int, *names: str) -> Iterator[None]:
        """Show a bar for each name while the block lasts."""
        for name in names:
            self._bars[name] = self._progress.add_task(name, total=total, start=False)
        if not self.console.is_terminal:
            self.say(f"  {', '.join(names)}: {format_size(total)}")
        try:
            with self._progress:
                yield
        finally:
            for name in names:
                self._progress.remove_task(self._bars.pop(name))

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str, bool], None]]:
        """Show a spinner while the block lasts, or lines that are due where none can be shown.

        Yields what takes the text to show, and whether it is due as a line.
        """
        if self._bars or not self.console.is_terminal:
            yield lambda text, is_due: self.say(f"  {text}") if is_due else None
            return
        spinner = self._spinner
        task = spinner.add_task(f"waiting for {what}", total=None)
        try:
            with spinner:
                yield lambda text, _is_due: spinner.update(task, description=text)
        finally:
            spinner.remove_task(task)

    def advance(self, name: str, count: int) -> None:
        """Add to a bar."""
        self._start(name)
        self._progress.advance(self._bars[name], count)

    def show(self, name: str, done: int) -> None:
        """Set a bar."""
        if done:
            self._start(name)
        self._progress.update(self._bars[name], completed=done)

    def _start(self, name: str) -> None:
        """Begin to measure a bar's speed with its first byte, not with the first of another."""
        task = self._progress.tasks[self._progress.task_ids.index(self._bars[name])]
        if not task.started:
            self._progress.start_task(task.id)
