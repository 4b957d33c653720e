"""Several worker processes of one server tell one truth, also after one of them was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from eurydice_core.model.states import Side

pytestmark = pytest.mark.e2e

SERVE = """
import sys
from eurydice_core import log
from eurydice_core.api.server import serve
from eurydice_core.config import Settings
log.configure()
serve(Settings.model_validate_json(sys.stdin.read()))
"""
REQUESTS = 20


@pytest.fixture
def server(sqlite_database, tmp_path):
    """Two workers, both started; yields the process and its URL."""
    (tmp_path / "data").mkdir()
    settings = {
        "side": "origin",
        "state_dir": str(tmp_path / "state"),
        "secret_key": "k" * 32,
        "database": {"url": sqlite_database(Side.ORIGIN)},
        "link": {"secret": "s" * 32},
        "storage": {"plugin": "storage_fs", "root": str(tmp_path / "data")},
        "api": {"port": 0, "workers": 2},
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            process.stdin.write(json.dumps(settings))
            process.stdin.close()
            url = wait_for_line(process, r"listens on (http://\S+)")[1]
            for _ in range(2):
                wait_for_line(process, "Started worker")
            yield process, url
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            process.wait()
    if process.returncode == 0:  # one that was killed leaves it to its successor
        assert not [path for path in (tmp_path / "state/tallies").iterdir() if path.is_dir()]


def wait_for_line(process, pattern):
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"the server ended without {pattern!r}")


def ask(url):
    """Ask over a connection of its own, so that any worker may answer."""
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:  # the worker that was to answer is not there yet, or no more
            continue


def healthz_requests(url):
    return sum(
        sample.value
        for family in text_string_to_metric_families(ask(f"{url}/metrics").text)
        for sample in family.samples
        if sample.name == "eurydice_http_requests_total" and sample.labels["route"] == "/healthz"
    )


def test_any_worker_tells_of_all_and_a_killed_one_takes_nothing_along(server):
    process, url = server
    for _ in range(REQUESTS):
        assert ask(f"{url}/healthz").status_code == 200
    assert {healthz_requests(url) for _ in range(10)} == {REQUESTS}
    victim = psutil.Process(process.pid).children()[0]
    os.kill(victim.pid, signal.SIGKILL)
    wait_for_line(process, "Started worker")
    assert {healthz_requests(url) for _ in range(10)} == {REQUESTS}


def test_workers_end_with_a_server_that_is_killed(server):
    process, url = server
    workers = psutil.Process(process.pid).children()
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    address = httpx.URL(url)
    with socket.socket() as successor:
        successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        successor.bind((address.host, address.port))  # nothing holds the port
