"""`eurydice run`: what it refuses, how it is told to stop, how it starts others."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import contextmanager

import pytest

from eurydice_core.cli.run import command_of, services
from eurydice_core.cli.run.signals import stop_on_signals
from eurydice_core.config import load_settings
from eurydice_core.errors import DatabaseUnavailable, StorageUnavailable
from eurydice_core.service_ends import read_ends

PATIENCE = 30.0


@pytest.mark.parametrize(
    ("side", "service", "has"),
    [
        ("origin", "receiver", "api, sender, cleaner"),
        ("destination", "sender", "api, receiver, cleaner"),
    ],
)
def test_a_service_of_the_other_side_is_refused(eurydice, side, service, has):
    eurydice("init", side)
    code, out, err = eurydice("run", service)
    assert (code, out) == (1, "")
    assert err == f"eurydice: error: the {side} side has no {service}: it runs {has}\n"


@pytest.mark.parametrize("arguments", [("run",), ("run", "cleaner")])
def test_a_database_that_is_not_ready_is_one_line(eurydice, arguments):
    eurydice("init", "origin")
    code, out, err = eurydice(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("eurydice: error: the database sqlite:///")
    assert err.endswith("run 'eurydice migrate'\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "outage",
    [
        DatabaseUnavailable("database away"),
        StorageUnavailable("bucket away"),
        OSError(errno.EROFS, "Read-only file system"),
    ],
    ids=repr,
)
def test_a_service_waits_for_what_is_away_at_its_start(eurydice, tmp_path, monkeypatch, outage):
    eurydice("init", "origin")
    eurydice("migrate")
    attempts = iter([outage, outage, None])
    ran = []

    @contextmanager
    def opened(settings):
        if error := next(attempts):
            raise error
        yield "installation"

    monkeypatch.setattr(services, "open_installation", opened)
    monkeypatch.setattr("eurydice_core.outages.FIRST_WAIT", 0.001)
    monkeypatch.setitem(services.DAEMONS, services.Name.CLEANER, lambda *given: ran.append(given))
    code, _, err = eurydice("run", "cleaner")
    assert code == 0
    assert len(ran) == 1
    assert err.count("waiting for it, nothing is lost") == 1


def test_a_thread_that_dies_ends_its_service(eurydice, monkeypatch):
    eurydice("init", "origin")
    eurydice("migrate")

    def run(_installation, _run):
        thread = threading.Thread(target=lambda: 1 / 0, name="helper")
        thread.start()
        thread.join()

    monkeypatch.setitem(services.DAEMONS, services.Name.CLEANER, run)
    code, _, err = eurydice("run", "cleaner")
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("eurydice: error: the thread 'helper' ended unexpectedly: ZeroDivision")
    ((service, ends),) = read_ends(load_settings(None, {}).settings.state_dir).items()
    assert (service, len(ends)) == ("cleaner", 1)


def test_without_a_configuration_nothing_runs(eurydice):
    code, _, err = eurydice("run")
    assert code == 1
    assert "there is no configuration" in err


def test_a_service_is_started_with_the_same_file_and_no_secret(eurydice, tmp_path):
    eurydice("init", "origin")
    loaded = load_settings(tmp_path / "eurydice.toml", {})
    command = command_of(loaded, "sender")
    config = str(tmp_path / "eurydice.toml")
    assert command == [sys.executable, "-m", "eurydice_core", "--config", config, "run", "sender"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_and_the_next_one_of_its_kind_is_left_to_the_kernel(number):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(PATIENCE)
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before
