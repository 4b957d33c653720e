"""A missing server skips its tests on a developer's machine, and fails them under CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = """
import pytest

@pytest.fixture
def server(debian_program):
    return debian_program("no-such-program", "no-such-package")

@pytest.mark.service
def test_of_a_server(server):
    pass
"""


@pytest.mark.parametrize(("ci", "outcome"), [(False, "1 skipped"), (True, "1 error")])
def test_skipped_server_test_fails_under_ci(tmp_path, ci, outcome):
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    service: needs a server\n")
    (tmp_path / "test_server.py").write_text(TEST)
    environ = {name: value for name, value in os.environ.items() if name != "CI"}

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        env={**environ, "CI": "true"} if ci else environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome in ended.stdout
    assert ci is False or "scripts/install-servers" in ended.stdout
