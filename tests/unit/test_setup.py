"""scripts/setup shows what it does, is silent if there is nothing to do, fails with one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup"
PIP = {
    "works": 'for n in 1 2 3 4 5 6 7 8 9 0; do echo "Collecting p$n==1"; done;'
    " echo Installing collected packages",
    "is offline": 'echo "WARNING: NewConnectionError(...)" >&2; echo "ERROR: x" >&2; exit 1',
    "finds no room": 'echo "ERROR: [Errno 28] No space left on device" >&2; exit 1',
}


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a virtual environment whose pip does what a shell line says."""
    place = tmp_path / "checkout"
    for name in ("scripts", ".venv/bin", "plugins/p"):
        (place / name).mkdir(parents=True)
    shutil.copy(SCRIPT, place / "scripts" / "setup")
    for name in ("pyproject.toml", "plugins/p/pyproject.toml"):
        (place / name).write_text("")
    (place / "requirements.txt").write_text("".join(f"p{n}==1\n" for n in range(10)))
    (place / ".venv" / "place").write_text(f"{place}\n")
    return place


def setup(place, pip):
    python = place / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\ncase "$2 $3" in "pip install") {PIP[pip]} ;; esac\n')
    python.chmod(0o755)
    return subprocess.run([place / "scripts" / "setup"], capture_output=True, text=True)


def test_packages_are_counted_and_a_second_run_is_silent(checkout):
    first = setup(checkout, "works")
    assert (first.returncode, first.stderr) == (0, "")
    assert "2/3 downloading and installing 10 packages\n    10 of 10\n    installing them\n" in (
        first.stdout
    )
    second = setup(checkout, "finds no room")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("pip", "reason"),
    [
        ("is offline", "the package index cannot be reached"),
        ("finds no room", "[Errno 28] No space left on device"),
    ],
)
def test_failure_of_pip_is_one_line(checkout, pip, reason):
    ended = setup(checkout, pip)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert reason in ended.stderr
    assert not list((checkout / ".venv").glob("*.stamp"))
