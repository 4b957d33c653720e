"""A PostgreSQL server of the system's packages, with its extensions, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL

from eurydice_core.errors import ServiceError
from eurydice_core.private_files import PRIVATE

__all__ = ["postgresql_server"]

START_SECONDS: Final = 60
UNPRIVILEGED: Final = "postgres"
"""User of the server if we are root, which PostgreSQL refuses to run as."""


@contextlib.contextmanager
def postgresql_server(programs: Path, directory: Path, **settings: str) -> Iterator[str]:
    """Run a server on a Unix socket in `directory`; yield the URL of its first database.

    Args:
        programs: directory of `initdb` and `pg_ctl`, such as /usr/lib/postgresql/15/bin.
        directory: place for its data; that user must be able to reach it, and its path must
            be short enough for a socket.
        settings: of the server, such as `fsync="off"`.

    Raises:
        ServiceError: the server does not start.
    """
    data, sockets = directory / "cluster", directory / "socket"
    for place in (data, sockets):
        PRIVATE.make_directory(place)
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
        for place in (data, sockets):
            shutil.chown(place, UNPRIVILEGED, UNPRIVILEGED)
    _run([programs / "initdb", "-D", data, "-A", "trust", "-U", "eurydice", "-E", "UTF8"], who)
    given = {"listen_addresses": "", "unix_socket_directories": str(sockets), **settings}
    with PRIVATE.open_file(data / "postgresql.auto.conf", "a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in given.items())
    control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w", "-t", str(START_SECONDS)]
    _run([*control, "-l", data / "log", "start"], who)
    try:
        yield _url(sockets, "postgres").render_as_string(hide_password=False)
    finally:
        _run([*control, "-m", "immediate", "stop"], who)


def _url(sockets: Path, database: str) -> URL:
    return URL.create(
        "postgresql+psycopg", username="eurydice", database=database, query={"host": str(sockets)}
    )


def _run(command: list[str | Path], who: dict[str, Any]) -> None:
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, capture_output=True, text=True, check=False, cwd="/", **who
    )
    if done.returncode:
        raise ServiceError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
