"""The emulated diode as a process of its own, so that it takes no time from either end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eurydice_core.testing.diode.faults import Faults
from eurydice_core.testing.diode.relay import Address, EmulatedDiode
from eurydice_core.testing.diode.trace import Trace

__all__ = ["DiodeProcess", "diode_process"]

PROGRAM = "from eurydice_core.testing.diode.process import main; main()"


class DiodeProcess:
    """A diode that runs elsewhere."""

    def __init__(self, process: subprocess.Popen[str], address: Address) -> None:
        self.address = address
        """Where the origin is to send to."""
        self._process = process
        self._counts: Mapping[str, int] | None = None

    def finish(self) -> Mapping[str, int]:
        """Let through what came, end the process, and return its counts."""
        if self._counts is None:
            self._counts = json.loads(self._process.communicate()[0])
        return self._counts


@contextmanager
def diode_process(
    listen: Address,
    forward: Address,
    faults: Faults | Path | None = None,
    *,
    trace: Path | None = None,
) -> Iterator[DiodeProcess]:
    """Run a diode in a process; `faults` may be the trace of an earlier run.

    Raises:
        OSError: it cannot listen there; its own message is on standard error.
    """
    given = faults if isinstance(faults, Path) else asdict(faults or Faults())
    order = {"listen": listen, "forward": forward, "faults": given, "trace": trace}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-c", PROGRAM, json.dumps(order, default=str)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C at a terminal is for whoever started it
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise OSError(f"the emulated diode cannot listen on {listen}")
            host, port = json.loads(line)
            yield DiodeProcess(process, (host, port))
        finally:
            process.kill()


def main() -> None:
    """Relay until standard input ends."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    given = order["faults"]
    faults = Trace.read(Path(given)) if isinstance(given, str) else Faults(**given)
    trace = Path(order["trace"]) if order["trace"] else None
    with EmulatedDiode(tuple(order["listen"]), tuple(order["forward"]), faults, trace=trace) as end:
        with end.running():
            print(json.dumps(end.address), flush=True)  # noqa: T201 - this is what we are asked
            sys.stdin.read()
        print(json.dumps(dict(end.counts())))  # noqa: T201
