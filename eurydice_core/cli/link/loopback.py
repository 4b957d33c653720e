"""Both ends of a calibration on this machine, each the process it would be on its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

from eurydice_core.errors import ServiceError
from eurydice_core.link.sweep import StepResult

__all__ = ["SHOWN", "Pair", "run_pair"]

SHOWN = ("repaired", "kernel_drops", "dropped")
"""What a transport may have counted that says why packets did not come."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What both ends know of a step."""

    sent: Mapping[str, Any]
    received: StepResult


def run_pair(arguments: Callable[[str], Sequence[str]]) -> Iterator[Pair]:
    """Run both ends, and yield every step.

    Raises:
        ServiceError: one of them ended; what it says about it.
    """
    with ExitStack() as stack:
        receiver = stack.enter_context(started(arguments("receiver")))
        stack.callback(receiver.kill)
        ready = stream(receiver.stderr).readline()
        if not ready.startswith("ready"):
            raise ServiceError(f"the receiving end did not start: {ready.strip()}")
        sender = stack.enter_context(started(arguments("sender")))
        stack.callback(sender.kill)
        for line in stream(sender.stdout):
            result = stream(receiver.stdout).readline()
            if not result:
                break
            yield Pair(json.loads(line), step_of(json.loads(result)))
        if sender.wait():
            raise ServiceError(f"the sending end failed: {stream(sender.stderr).read().strip()}")


def started(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start one end."""
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-m", "eurydice_core", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stream(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise TypeError("the process was started without this pipe")
    return pipe


def step_of(facts: Mapping[str, Any]) -> StepResult:
    """Return a step as the receiving end printed it."""
    counted = {name: facts[name] for name in SHOWN}
    return StepResult(facts["rate"], facts["sent"], facts["received"], facts["bytes"], counted)
