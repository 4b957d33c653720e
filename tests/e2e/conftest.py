"""Real processes, and none of them left behind."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

PATIENCE = 100.0  # seconds; far more than anything takes, far less than for ever
EURYDICE = (sys.executable, "-m", "eurydice_core")


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """Keep the settings of whoever runs the tests out of them, and temporary files in sight."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EURYDICE_")}
    return {**kept, "TMPDIR": str(temporary)}


def tree(pid):
    """Return a process and all below it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def start(environ):
    """Start `eurydice`; end it, and everything that came of it, after the test."""
    started = []

    def run(*arguments, **options):
        command = [*EURYDICE, *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            command, env=environ, text=True, stdin=subprocess.DEVNULL, **options
        )
        started.append(process)
        return process

    yield run
    for process in started:
        family = tree(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        with process:  # closes its pipes
            process.kill()


class Written:
    """What a process writes, read as it comes."""

    def __init__(self, stream):
        self.descriptor = stream.fileno()
        os.set_blocking(self.descriptor, False)
        self.text = ""

    def wait_for(self, *patterns):
        """Return all that was written once every pattern was."""
        while not all(re.search(pattern, self.text) for pattern in patterns):
            assert select.select([self.descriptor], [], [], PATIENCE)[0], self.text
            part = os.read(self.descriptor, 65536).decode()
            assert part, f"it ended: {self.text}"
            self.text += part
        return self.text


@pytest.fixture
def written_by():
    return Written


@pytest.fixture
def eurydice(start):
    """Run `eurydice` to its end; return its exit code and what it wrote."""

    def run(*arguments):
        process = start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    return run
