"""Keeps processes running: starts them, starts them again when they die, ends them together.

A child belongs to the process that started it. It has a process group of its own, so that
Ctrl-C at a terminal reaches only the supervisor; the kernel tells it to stop when the
supervisor dies, however that dies; and a pipe carries what keeps it from working.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final, Protocol

from loguru import logger

from eurydice_core.errors import EurydiceError, ServiceError
from eurydice_core.outages import describe

__all__ = [
    "EXIT_CONFIGURATION",
    "Child",
    "Program",
    "Running",
    "Supervision",
    "Supervisor",
    "stop_with_parent",
]

EXIT_CONFIGURATION: Final = os.EX_CONFIG
"""Exit code of a process that cannot work until its configuration is corrected."""
HEALTHY_AFTER: Final = 60.0
"""Seconds after which the next restart is quick again."""
FIRST_WAIT: Final = 0.5  # seconds
LONGEST_WAIT: Final = 30.0  # seconds
STOP_SECONDS: Final = 35.0
"""How long a process may take to stop; the API answers open requests for up to 30."""
LOOK_EVERY: Final = 0.1  # seconds
LONGEST_REPORT: Final = 4000  # bytes; far less than a pipe holds, so that nobody ever waits
PR_SET_PDEATHSIG: Final = 1  # from <linux/prctl.h>


@dataclass(frozen=True, slots=True)
class Program:
    """What to run; it takes the option `--supervised DESCRIPTOR`."""

    name: str
    command: Sequence[str]


class Running(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its number."""

    def exit_code(self) -> int | None:
        """Return its exit code, the negative number of a signal, None while it runs."""

    def reported(self) -> str:
        """Return what it said keeps it from working."""

    def terminate(self) -> None:
        """Tell it to stop."""

    def close(self, patience: float = 0.0) -> bool:
        """Wait for it that many seconds, then kill it; return whether it ended by itself."""


class Child:
    """A process of ours, and everything that it starts in turn."""

    def __init__(
        self,
        program: Program,
        *,
        environ: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
    ) -> None:
        try:
            self._reports, theirs = os.pipe()
        except OSError as error:
            raise ServiceError(f"cannot start {program.name}: {error.strerror}") from error
        os.set_blocking(self._reports, False)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                [*program.command, "--supervised", str(theirs)],
                pass_fds=(theirs,),
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
            )
        except (OSError, MemoryError) as error:
            os.close(self._reports)
            reason = getattr(error, "strerror", None) or describe(error)
            raise ServiceError(
                f"cannot start {program.name} ({program.command[0]}): {reason}"
            ) from error
        finally:
            os.close(theirs)
        self._report = b""
        self._closed = False

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return its exit code, the negative number of a signal, None while it runs."""
        return self._process.poll()

    def reported(self) -> str:
        """Return what it said keeps it from working; empty if it said nothing."""
        if not self._closed:
            with suppress(BlockingIOError):
                self._report += os.read(self._reports, LONGEST_REPORT + 1)
        return self._report.decode(errors="replace").strip()

    def terminate(self) -> None:
        """Tell it to stop."""
        self._process.terminate()

    def close(self, patience: float = 0.0) -> bool:
        """Wait for it, then kill it and what it left behind; return whether it ended by itself."""
        try:
            self._process.wait(patience)
            in_time = True
        except subprocess.TimeoutExpired:
            in_time = False
        with suppress(ProcessLookupError):  # there was nothing left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if not self._closed:
            self.reported()
            self._closed = True
            os.close(self._reports)
        return in_time


class Supervision:
    """The child's end of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)
        stop_with_parent()
        self.report("")  # the supervisor may have died before it could be watched

    def report(self, reason: str) -> None:
        """Tell the supervisor what keeps this process from working; leave if there is none."""
        try:
            os.write(self._descriptor, f"{reason}\n".encode()[:LONGEST_REPORT])
        except BrokenPipeError:
            sys.exit(1)


def stop_with_parent() -> None:
    """Have the kernel send us SIGTERM when the thread that started us is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


class Supervisor:
    """Runs programs until it is told to stop.

    Call it from the main thread: children end with the thread that started them.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        start: Callable[[Program], Running] = Child,
        clock: Callable[[], float] = time.monotonic,
        on_end: Callable[[str, str], None] = lambda _name, _reason: None,
    ) -> None:
        """Call `on_end` with a program's name and the reason whenever one ends by itself."""
        self._keepers = [Keeper(program, start, clock, on_end) for program in programs]

    def run(self, stop: threading.Event) -> None:
        """Keep everything running until `stop` is set, then end it.

        Raises:
            ServiceError: the configuration of a program is wrong; nothing runs any more.
        """
        try:
            self.step()
            while not stop.wait(LOOK_EVERY):
                self.step()
        finally:
            self.end()

    def step(self) -> None:
        """Look after every program once.

        Raises:
            ServiceError: the configuration of a program is wrong.
        """
        for keeper in self._keepers:
            keeper.step()

    def end(self) -> None:
        """End everything that runs: all are told first, so that they stop side by side."""
        for keeper in self._keepers:
            keeper.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for keeper in self._keepers:
            keeper.close(max(0.0, deadline - time.monotonic()))


class Keeper:
    """Keeps one program running."""

    def __init__(
        self,
        program: Program,
        start: Callable[[Program], Running],
        clock: Callable[[], float],
        on_end: Callable[[str, str], None],
    ) -> None:
        self._program = program
        self._on_end = on_end
        self._start = start
        self._clock = clock
        self._running: Running | None = None
        self._started_at = 0.0
        self._start_at = clock()
        self._wait = FIRST_WAIT
        self._is_first_run = True

    def step(self) -> None:
        """Start the program if it is time to, or note why it ended.

        Raises:
            ServiceError: its configuration is wrong, as its first run tells.
        """
        now = self._clock()
        if self._running is None:
            if now >= self._start_at:
                self._start_now(now)
            return
        if now - self._started_at >= HEALTHY_AFTER:
            self._wait = FIRST_WAIT
        code = self._running.exit_code()
        if code is not None:
            running, self._running = self._running, None
            running.close()
            self._note_end(code, running.reported(), now)

    def _start_now(self, now: float) -> None:
        try:
            self._running = self._start(self._program)
        except (EurydiceError, OSError, MemoryError, RuntimeError) as error:
            # No descriptor, process or memory is left: that may pass.
            self._start_later(f"cannot be started: {describe(error)}", now)
            return
        self._started_at = now
        logger.info("{} started as process {}", self._program.name, self._running.pid)

    def _note_end(self, code: int, report: str, now: float) -> None:
        reason = how_it_ended(code, report)
        # A service that ran before does not end the others: its next start may find a port
        # in use for a moment.
        if self._is_first_run and code == EXIT_CONFIGURATION:
            raise ServiceError(report or f"{self._program.name} {reason}; what it wrote says why")
        self._is_first_run = False
        self._start_later(reason, now)

    def _start_later(self, reason: str, now: float) -> None:
        logger.error("{} {}; starting it again in {:g} s", self._program.name, reason, self._wait)
        self._on_end(self._program.name, reason)
        self._start_at = now + self._wait
        self._wait = min(self._wait * 2, LONGEST_WAIT)

    def terminate(self) -> None:
        """Tell the program to stop, if it runs."""
        if self._running is not None:
            self._running.terminate()

    def close(self, patience: float) -> None:
        """Wait for the program, and kill it if it takes too long."""
        if self._running is None:
            return
        if self._running.close(patience):
            logger.info("{} stopped", self._program.name)
        else:
            logger.error("{} did not stop in time and was killed", self._program.name)
        self._running = None


def how_it_ended(code: int, report: str) -> str:
    """Return why a process is no more."""
    if report:
        return f"ended: {report}"
    if code >= 0:
        return f"ended with exit code {code}" if code else "ended"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"
