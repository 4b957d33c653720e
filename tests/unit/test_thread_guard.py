"""A thread that ends by an error ends its process; what ended is kept for `/readyz`."""

from __future__ import annotations

import threading

import pytest
from loguru import logger

from eurydice_core import thread_guard
from eurydice_core.errors import ServiceError
from eurydice_core.service_ends import MOST_ENDS, read_ends, record_end
from eurydice_core.thread_guard import guard_threads


def run_thread(target) -> None:
    thread = threading.Thread(target=target, name="worker")
    thread.start()
    thread.join()


def fail() -> None:
    raise KeyError("missing")


@pytest.fixture(autouse=True)
def timers(monkeypatch):
    """Timers that were started, and never run out."""
    started = []

    class Timer:
        daemon = False

        def __init__(self, seconds, call, arguments):
            self.seconds, self.call, self.arguments = seconds, call, arguments

        def start(self):
            started.append(self)

        def cancel(self):
            self.is_canceled = True

    monkeypatch.setattr(thread_guard.threading, "Timer", Timer)
    return started


def test_the_end_of_a_thread_is_told_once_with_its_reason(timers):
    ends = []
    with guard_threads(ends.append) as guard:
        run_thread(fail)
        run_thread(fail)
        with pytest.raises(ServiceError, match="the thread 'worker' ended unexpectedly: KeyError"):
            guard.check()
    assert ends == ["the thread 'worker' ended unexpectedly: KeyError: 'missing'"]
    (timer,) = timers  # the process is killed if it does not end by itself
    assert timer.is_canceled


def test_the_log_has_the_traceback():
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), level="CRITICAL")
    with guard_threads(lambda _: None):
        run_thread(fail)
    logger.remove(sink)
    assert "in fail" in lines[0]


def test_a_thread_that_just_ends_or_exits_is_fine():
    with guard_threads(pytest.fail) as guard:
        run_thread(lambda: None)
        run_thread(lambda: (_ for _ in ()).throw(SystemExit(0)))
        guard.check()


def test_the_hook_of_before_is_put_back():
    before = threading.excepthook
    with guard_threads(lambda _: None):
        assert threading.excepthook != before
    assert threading.excepthook == before


def test_ends_are_kept_by_service_and_bounded(tmp_path):
    assert read_ends(tmp_path) == {}
    record_end(tmp_path, "api", "was killed by SIGKILL")
    for number in range(MOST_ENDS + 5):
        record_end(tmp_path, "receiver", f"reason {number}")
    ends = read_ends(tmp_path)
    assert [end.reason for end in ends["api"]] == ["was killed by SIGKILL"]
    assert len(ends["receiver"]) == MOST_ENDS
    assert ends["receiver"][-1].reason == f"reason {MOST_ENDS + 4}"


def test_a_disk_that_cannot_be_written_or_is_damaged_is_no_error(tmp_path):
    (tmp_path / "ends").write_text("not a directory")
    record_end(tmp_path, "api", "reason")
    assert read_ends(tmp_path) == {}
    (tmp_path / "ends").unlink()
    record_end(tmp_path, "api", "reason")
    (tmp_path / "ends" / "api.json").write_text('[{"at": 1}]')
    assert read_ends(tmp_path) == {"api": []}
