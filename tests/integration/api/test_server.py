"""The real server: processes, sockets, signals."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest

from eurydice_core.api.server import serve
from eurydice_core.config import Settings
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.errors import EurydiceError, ServiceError
from eurydice_core.installation import open_installation
from eurydice_core.model.states import IncomingState, Side

pytestmark = pytest.mark.e2e

SERVE = """
import sys
from eurydice_core import log
from eurydice_core.api.server import serve
from eurydice_core.config import Settings
log.configure()
serve(Settings.model_validate_json(sys.stdin.read()))
"""
HEADERS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def table(sqlite_database, tmp_path):
    """The origin's settings over SQLite and files, on a port of its own, as JSON values."""
    (tmp_path / "data").mkdir()
    return {
        "side": "origin",
        "state_dir": str(tmp_path / "state"),
        "secret_key": "k" * 32,
        "database": {"url": sqlite_database(Side.ORIGIN)},
        "link": {"secret": "s" * 32},
        "storage": {"plugin": "storage_fs", "root": str(tmp_path / "data")},
        "api": {"port": 0},
    }


@pytest.fixture
def token(table):
    database = Database(table["database"]["url"])
    try:
        accounts = Accounts(database)
        accounts.add("alice")
        return accounts.issue_token("alice")
    finally:
        database.dispose()


def wait_for(url):
    """Return once somebody listens there: a worker says that it started just before."""
    address = httpx.URL(url)
    while True:
        try:
            socket.create_connection((address.host, address.port)).close()
        except ConnectionRefusedError:
            continue
        return


@contextmanager
def served(table):
    """Start a server, wait until it listens, yield it with its URL, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            process.stdin.write(json.dumps(table))
            process.stdin.close()
            url, lines = None, []
            for line in process.stderr:
                lines.append(line)
                if found := re.search(r"listens on (http://\S+)", line):
                    url = found[1]
                if "Started worker" in line:
                    break
            assert url, "".join(lines)
            wait_for(url)
            yield process, url
        finally:
            process.terminate()
            process.stderr.read()
            process.wait()


def test_a_file_is_sent_over_a_real_connection_and_the_server_stops_when_told(table, token):
    content = os.urandom(3 * 2**20)
    headers = {**HEADERS, "Authorization": f"Token {token}"}
    with served(table) as (process, url):
        with httpx.Client(base_url=url, headers=headers) as client:
            response = client.post("/api/v1/transferables/", content=content)
            assert response.status_code == 201
            assert response.json()["sha256"] == hashlib.sha256(content).hexdigest()
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait() == 0


def received_file(table, size):
    """Put a file of alice's at a destination; return its id and where its bytes are."""
    now, id = datetime.now(UTC), uuid.uuid4()
    database = Database(table["database"]["url"])
    try:
        accounts = Accounts(database)
        with database.write() as session:
            user_id = accounts.get("alice").id
            session.add(OriginProfile(profile=bytes(8), user_id=user_id, created_at=now))
            session.flush()
            row = IncomingTransferable(
                id=id,
                profile=bytes(8),
                name="large.bin",
                size=size,
                bytes_received=size,
                sha1=bytes(20),
                sha256=bytes(32),
                state=IncomingState.SUCCESS,
                stored=True,
                created_at=now,
                received_at=now,
                finished_at=now,
            )
            session.add(row)
            key = row.key
        with open_installation(Settings.model_validate(table)) as installation:
            with installation.storage.write(key) as writer:
                writer.write(bytes(size))
            return id, installation.storage.local_path(key)
    finally:
        database.dispose()


def test_failing_storage_breaks_a_download_off(table, sqlite_database):
    size = 64 * 2**20
    table |= {"side": "destination", "database": {"url": sqlite_database(Side.DESTINATION)}}
    database = Database(table["database"]["url"])
    accounts = Accounts(database)
    accounts.add("alice")
    headers = {"Authorization": f"Token {accounts.issue_token('alice')}"}
    database.dispose()
    id, path = received_file(table, size)
    with served(table) as (process, url):
        with (
            httpx.Client(base_url=url, headers=headers) as client,
            client.stream("GET", f"/api/v1/transferables/{id}/download/") as response,
        ):
            assert response.headers["content-length"] == str(size)
            os.truncate(path, 2**20)
            with pytest.raises(httpx.RemoteProtocolError, match=r"received .* bytes, expected"):
                response.read()
        process.terminate()
        log = process.stderr.read()
    assert "storage_fs: the download of" in log
    assert "Traceback" not in log
    assert "bug" not in log


def test_an_upload_that_breaks_off_never_succeeds(table, token):
    head = (
        "POST /api/v1/transferables/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream"
        f"\r\nAuthorization: Token {token}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    )
    with served(table) as (_, url):
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(head.encode())
        with httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}) as client:
            while not (items := client.get("/api/v1/transferables/").json()["results"]):
                pass
    assert [item["state"] for item in items] == ["ERROR"]


def test_an_upload_in_progress_is_finished_before_the_server_stops(table, token):
    head = (
        "POST /api/v1/transferables/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream"
        f"\r\nAuthorization: Token {token}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    with served(table) as (process, url):
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            process.terminate()
            for line in process.stderr:
                if "Stopping worker" in line:
                    break
            connection.sendall(b"abc")
            assert connection.recv(100).startswith(b"HTTP/1.1 201")
        process.stderr.read()
        assert process.wait() == 0


def connect(url, request):
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port), timeout=60)
    connection.sendall(request.encode())
    return connection


def test_bodies_and_headers_that_never_end_hold_nothing_up(table):
    table = {
        **table,
        "api": {"port": 0, "body_timeout": "2s"},
        "web": {"plugins": ["admin"]},
    }
    begun = [
        f"{method} {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n1\r\n"
        for method, path in (("POST", "/admin/sign-in"), ("GET", "/api/v1/user/me/"))
        for header in ("Transfer-Encoding: chunked", "Content-Length: 9")
    ]
    with served(table) as (process, url):
        slow_headers = connect(url, "GET / HTTP/1.1\r\nX-Slow: ")
        hanging = [connect(url, request) for request in begun * 5]
        coded = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        with connect(url, coded) as refused:
            assert refused.recv(100).startswith(b"HTTP/1.1 501")
        process.send_signal(signal.SIGTERM)
        for connection in hanging:
            with connection, connection.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 408")
        with slow_headers:
            assert slow_headers.recv(100)[:12] in (b"", b"HTTP/1.1 408")
        process.stderr.read()
        assert process.wait(timeout=20) == 0


def test_a_port_in_use_is_one_clear_line(table):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings.model_validate({**table, "api": {"port": port}})
        with pytest.raises(ServiceError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(settings)


@pytest.mark.parametrize("database", ["sqlite:////nowhere/at/all/x.db"])
def test_a_database_that_is_not_there_is_said_before_anything_starts(table, database):
    settings = Settings.model_validate({**table, "database": {"url": database}})
    with pytest.raises(EurydiceError, match="/nowhere/at/all"):
        serve(settings)
