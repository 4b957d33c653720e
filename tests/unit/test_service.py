"""A service waits out outages, says so once, and dies of anything else."""

from __future__ import annotations

import errno
import threading

import pytest
from loguru import logger

from eurydice_core.errors import ConfigurationError, StorageUnavailable, TransactionConflict
from eurydice_core.outages import is_outage_at_start
from eurydice_core.service import Service


class Scripted(Service):
    """Does what its script says, then tells itself to stop."""

    interval = 0.0

    def __init__(self, stop: threading.Event, script: list[object]) -> None:
        super().__init__()
        self._stop, self._script = stop, script

    def step(self) -> bool:
        item = self._script.pop(0)
        if not self._script:
            self._stop.set()
        if isinstance(item, BaseException):
            raise item
        return bool(item)


class Unhurried(threading.Event):
    """An event nobody really waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.fixture
def lines():
    seen: list[str] = []
    number = logger.add(lambda message: seen.append(message.record["message"]), level="INFO")
    yield seen
    logger.remove(number)


def test_an_outage_is_reported_once_waited_for_longer_each_time_and_its_end_is_reported(lines):
    stop = Unhurried()
    outage = StorageUnavailable("bucket away")
    Scripted(stop, [outage, outage, outage, True, True]).run(stop)
    assert lines == ["bucket away; waiting for it, nothing is lost", "going on after: bucket away"]
    assert stop.waits == [0.2, 0.4, 0.8]


def test_transaction_conflict_is_repeated_at_once_then_waited_for(lines):
    stop = Unhurried()
    conflict = TransactionConflict("deadlock detected")
    Scripted(stop, [conflict, False, conflict, conflict, True]).run(stop)
    assert lines == [
        "deadlock detected; waiting for it, nothing is lost",
        "going on after: deadlock detected",
    ]
    assert stop.waits == [0.0, 0.2]  # idle, then the second conflict in a row


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EMFILE, "Too many open files"),
        PermissionError(errno.EACCES, "Permission denied"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        caused(ConfigurationError("state_dir: cannot write"), OSError(errno.EROFS, "read-only")),
    ],
    ids=repr,
)
def test_lack_of_resources_is_waited_out(error):
    stop = Unhurried()
    Scripted(stop, [error, True]).run(stop)
    assert stop.waits[0] == 0.2


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("[storage] root: missing"),
        caused(ConfigurationError("state_dir"), PermissionError(errno.EACCES, "denied")),
        OSError(errno.EADDRINUSE, "Address already in use"),
    ],
    ids=repr,
)
def test_wrong_settings_are_no_outage_at_start(error):
    assert not is_outage_at_start(error)


def test_a_bug_is_not_waited_out():
    stop = Unhurried()
    with pytest.raises(ZeroDivisionError):
        Scripted(stop, [ZeroDivisionError(), True]).run(stop)


def test_it_waits_only_when_there_is_nothing_to_do():
    stop = Unhurried()
    Scripted(stop, [True, False, True, False]).run(stop)
    assert stop.waits == [0.0, 0.0]
