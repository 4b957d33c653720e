"""What holds for every test: it leaves the process as it found it."""

from __future__ import annotations

import os
import threading

import pytest

PYTESTS_OWN = {"PYTEST_CURRENT_TEST"}
PATIENCE = 5.0  # seconds for a thread that was told to end


@pytest.fixture(autouse=True)
def leaves_nothing_behind():
    """Fail a test that leaks an environment variable, or a thread that keeps Python alive."""
    environment = dict(os.environ)
    threads = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - threads:
        if not thread.daemon:
            thread.join(PATIENCE)
    left = [t.name for t in set(threading.enumerate()) - threads if not t.daemon]
    changed = {
        name
        for name in {*environment, *os.environ} - PYTESTS_OWN
        if environment.get(name) != os.environ.get(name)
    }
    for name in changed:  # so that only the test that leaked it fails
        os.environ.pop(name, None)
        if name in environment:
            os.environ[name] = environment[name]
    assert not left, f"threads left behind: {left}"
    assert not changed, f"environment variables left behind: {sorted(changed)}"
