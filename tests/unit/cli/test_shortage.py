"""What a process lacks is told in one line, with the limit and the settings."""

from __future__ import annotations

import errno
import os

import pytest

from eurydice_core.cli import main as program
from eurydice_core.cli.shortage import shortage
from eurydice_core.config import loader


def os_error(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        os_error(errno.ENOMEM),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_names_the_settings_of_the_service(error):
    line = shortage(error, ["--config", "x", "run", "receiver"])
    assert line.startswith("there is too little memory")
    assert line.endswith("lower [receiver] buffer_size, [transport] buffer_packets or max_packet")
    assert "[sender] packet_size" in shortage(error, ["run"])


@pytest.mark.parametrize(
    ("number", "limit"), [(errno.EMFILE, "ulimit -n, or LimitNOFILE="), (errno.ENFILE, "file-max")]
)
def test_too_few_files_names_the_limit(number, limit):
    assert limit in shortage(os_error(number))


def test_too_few_threads_names_the_limit():
    assert "TasksMax=" in shortage(RuntimeError("can't start new thread"))


@pytest.mark.parametrize(
    "error", [RuntimeError("bug"), ImportError("no module"), os_error(errno.ENOENT)]
)
def test_any_other_error_is_no_shortage(error):
    assert shortage(error) is None


@pytest.mark.parametrize("error", [MemoryError(), os_error(errno.EMFILE)])
def test_a_shortage_ends_a_command_with_one_line(eurydice, monkeypatch, error):
    def fail(*_):
        raise error

    eurydice("init", "origin")
    monkeypatch.setattr(loader, "read_file", fail)
    code, _, err = eurydice("config", "check")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("eurydice: error: ")


def test_a_bug_keeps_its_traceback(eurydice, monkeypatch):
    def fail(*_):
        raise RuntimeError("bug")

    eurydice("init", "origin")
    monkeypatch.setattr(loader, "read_file", fail)
    with pytest.raises(RuntimeError, match="bug"):
        program(["config", "check"])
