"""The API on a Unix socket: who may open it, and what a killed process leaves."""

from __future__ import annotations

import grp
import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import httpx
import psutil
import pytest

from eurydice_core.api.server import serve
from eurydice_core.api.unix_socket import reserved_socket
from eurydice_core.config import Settings
from eurydice_core.errors import EurydiceError, ServiceError
from eurydice_core.model.states import Side

pytestmark = pytest.mark.e2e

SERVE = """
import os, sys
os.umask(0)
from eurydice_core import log
from eurydice_core.api.server import serve
from eurydice_core.config import Settings
log.configure()
serve(Settings.model_validate_json(sys.stdin.read()))
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "api.sock"


@pytest.fixture
def table(sqlite_database, tmp_path, path):
    (tmp_path / "data").mkdir()
    return {
        "side": "origin",
        "state_dir": str(tmp_path / "state"),
        "secret_key": "k" * 32,
        "database": {"url": sqlite_database(Side.ORIGIN)},
        "link": {"secret": "s" * 32},
        "storage": {"plugin": "storage_fs", "root": str(tmp_path / "data")},
        "api": {"socket": str(path)},
    }


@contextmanager
def served(table, workers=1):
    """Start a server with umask 0, wait for its workers, yield it, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            process.stdin.write(json.dumps({**table, "api": {**table["api"], "workers": workers}}))
            process.stdin.close()
            lines = []
            while workers and (line := process.stderr.readline()):
                lines.append(line)
                workers -= "Started worker" in line
            assert not workers, "".join(lines)
            yield process
        finally:
            process.terminate()
            process.stderr.read()
            process.wait()


def ask(path, target="/healthz", **headers):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=60) as client:
        return client.get(f"http://eurydice{target}", headers=headers)


@pytest.mark.parametrize("workers", [1, 2])
def test_socket_is_private_and_answers(table, path, workers):
    with served(table, workers):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert {ask(path).status_code for _ in range(10)} == {200}
        assert (path.parent / "state/tallies").stat().st_mode & stat.S_IXUSR
    assert not path.exists()


def test_request_without_an_address_opens_no_metrics(table, path):
    with served(table):
        assert ask(path, "/metrics").status_code == 401
        assert ask(path, "/metrics", X_Forwarded_For="127.0.0.1").status_code == 401
        assert ask(path, "/metrics", **{"X-Forwarded-For": "127.0.0.1"}).status_code == 200


def test_socket_is_shared_with_its_group_alone(table, path):
    group = grp.getgrgid(os.getgroups()[-1] if os.getgroups() else os.getgid())
    table["api"]["socket_group"] = group.gr_name
    with served(table):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group.gr_gid)


def test_socket_of_a_killed_server_is_replaced(table, path):
    with served(table) as process:
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        with served(table):
            assert ask(path).status_code == 200
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive


def test_second_server_is_refused_and_harms_nothing(table, path):
    with served(table):
        with pytest.raises(ServiceError, match="another process does"):
            serve(Settings.model_validate(table))
        assert ask(path).status_code == 200


def test_file_that_is_no_socket_is_kept(table, path):
    path.write_text("precious")
    with pytest.raises(ServiceError, match="a file that is no socket"):
        serve(Settings.model_validate(table))
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("api", "message"),
    [
        ({"socket": "/nowhere/at/all/api.sock"}, "its directory must exist"),
        ({"socket_group": "no-such-group"}, "there is no group 'no-such-group'"),
    ],
)
def test_unusable_socket_is_one_clear_line(table, api, message):
    settings = Settings.model_validate({**table, "api": {**table["api"], **api}})
    with pytest.raises(EurydiceError, match=message) as caught:
        serve(settings)
    assert "\n" not in str(caught.value)


def test_path_is_free_again_after_a_failure(path):
    with pytest.raises(RuntimeError), reserved_socket(path):
        raise RuntimeError
    with reserved_socket(path):
        assert not path.exists()
