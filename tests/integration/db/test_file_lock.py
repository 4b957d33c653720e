"""SQLite's lock on a file is waited for, and not for ever."""

from __future__ import annotations

import threading
import uuid

import pytest

from eurydice_core.db.engine import Database
from eurydice_core.db.exclusive import exclusively
from eurydice_core.db.file_lock import file_lock
from eurydice_core.errors import DatabaseUnavailable


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a.db", busy_timeout=0.1)
    yield database
    database.dispose()


def test_a_lock_held_too_long_is_one_line(database):
    with (
        exclusively(database, [uuid.uuid4()]),
        pytest.raises(DatabaseUnavailable, match=r"has changed files for 0\.1 s; 'fuser .*-turn'"),
        exclusively(database, [uuid.uuid4()]),
    ):
        pytest.fail("two at once")


def test_a_lock_that_is_released_is_taken(tmp_path):
    waits, path = threading.Event(), str(tmp_path / "lock")

    def hold() -> None:
        with file_lock(path, seconds=30, busy="busy"):
            held.set()
            assert waits.wait(30)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    with file_lock(path, seconds=30, busy="busy", on_wait=waits.set):
        thread.join()


def test_a_lock_file_that_cannot_be_made_is_named(tmp_path):
    path = tmp_path / "none" / "lock"
    with (
        pytest.raises(DatabaseUnavailable, match=f"cannot lock {path}: No such file"),
        file_lock(str(path), seconds=1, busy="busy"),
    ):
        pytest.fail("locked")
