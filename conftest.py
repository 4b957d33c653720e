"""Hypothesis profiles, and the rule that no test of a real server is skipped under CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# `HYPOTHESIS_PROFILE=thorough` before a release. A busy machine is slow, and no failure.
PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=40, **PATIENT)
settings.register_profile("thorough", max_examples=500, **PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

POSTGRESQL = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
PROGRAM_DIRECTORIES = os.pathsep.join(
    (os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *POSTGRESQL)
)


@pytest.fixture(scope="session")
def debian_program() -> Callable[[str, str], Path]:
    """Return a function that finds a program of a Debian package, or skips the test.

    Call it from a fixture, in tests with the marker `service`: under CI that skip is a failure.
    """

    def find(name: str, package: str) -> Path:
        found = shutil.which(name, path=PROGRAM_DIRECTORIES)
        if found is None:
            pytest.skip(f"needs {name}: apt install {package}, or scripts/install-servers")
        return Path(found)

    return find


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator:
    """Report a test whose real server is missing as failed under CI, which installs them all."""
    outcome = yield
    report = outcome.get_result()
    is_server_missing = report.skipped and call.when == "setup"
    if is_server_missing and "CI" in os.environ and item.get_closest_marker("service"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
