"""`eurydice run`: services that stay up, and go down together."""

from __future__ import annotations

import re
import signal
import socket

import psutil
import pytest

pytestmark = pytest.mark.e2e
PATIENCE = 60.0
UP = ("sender: works for the origin", "cleaner: works for the origin", "Started worker-1")


@pytest.fixture
def config(eurydice, tmp_path):
    """The configuration of an origin whose ports are its own."""
    assert eurydice("init", "origin", "--dir", tmp_path)[0] == 0
    file = tmp_path / "eurydice.toml"
    assert eurydice("--config", file, "migrate")[0] == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file.write_text(file.read_text().replace("port = 8080", f"port = {port}"))
    return file


@pytest.fixture
def running(start, config, written_by):
    """A whole side that is up: its process and its output."""
    process = start("--config", config, "run")
    output = written_by(process.stderr)
    output.wait_for(*UP)
    return process, output


def test_a_service_that_is_killed_comes_back_and_all_stop_together(running):
    process, output = running
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4  # the API has a worker
    (sender,) = [
        member
        for member in family
        if member.cmdline()[-1:] != ["run"] and "sender" in member.cmdline()
    ]
    sender.kill()
    output.wait_for(r"ERROR +supervisor: sender was killed by SIGKILL; starting it again in 0.5 s")
    output.text = ""
    output.wait_for("sender: works for the origin")
    (api,) = [
        member for member in psutil.Process(process.pid).children() if "api" in member.cmdline()
    ]
    api.kill()  # its worker is left alone, and has the port
    output.text = ""
    output.wait_for("Started worker-1")
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []


def test_nothing_outlives_a_supervisor_that_is_killed(running):
    process, _ = running
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []


def test_a_port_that_is_in_use_ends_the_whole_run_with_one_line(eurydice, config):
    port = int(re.search(r"^port = (\d+)$", config.read_text(), re.MULTILINE)[1])
    with socket.create_server(("127.0.0.1", port)):
        code, _, err = eurydice("--config", config, "run")
    assert code == 1
    errors = [line for line in err.splitlines() if "error" in line.lower()]
    assert errors == [err.splitlines()[-1]]
    assert errors[0].startswith(f"eurydice: error: cannot listen on 127.0.0.1:{port}: ")


def test_a_service_alone_stops_with_exit_code_0(start, config, written_by):
    process = start("--config", config, "run", "sender")
    output = written_by(process.stderr)
    output.wait_for("sender: works for the origin")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    output.wait_for("sender: stopped")
