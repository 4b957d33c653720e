"""What holds for every test: it leaves the process as it found it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

PYTESTS_OWN = {"PYTEST_CURRENT_TEST"}
PATIENCE = 5.0  # seconds for a thread that was told to end


@pytest.fixture(autouse=True)
def leaves_nothing_behind():
    """Fail a test that leaks an environment variable, or a thread that keeps Python alive."""
    environment = dict(os.environ)
    threads = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - threads:
        if not thread.daemon:
            thread.join(PATIENCE)
    left = [t.name for t in set(threading.enumerate()) - threads if not t.daemon]
    changed = {
        name
        for name in {*environment, *os.environ} - PYTESTS_OWN
        if environment.get(name) != os.environ.get(name)
    }
    for name in changed:  # so that only the test that leaked it fails
        os.environ.pop(name, None)
        if name in environment:
            os.environ[name] = environment[name]
    assert not left, f"threads left behind: {left}"
    assert not changed, f"environment variables left behind: {sorted(changed)}"


PGBOUNCER = """\
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
query_wait_timeout = 30
"""


@contextmanager
def running_pgbouncer(program, server, directory, pool_size):
    """Run a PgBouncer in transaction mode in front of a server; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        listen_port = probe.getsockname()[1]
    config, log = directory / "pgbouncer.ini", directory / "log.txt"
    config.write_text(
        PGBOUNCER.format(
            host=server.query.get("host", server.host),
            port=server.port or 5432,
            user=server.username or "postgres",
            listen_port=listen_port,
            pool_size=pool_size,
        )
    )
    # It does not run as root, and the server's socket may be for its own user alone.
    place = server.query.get("host")
    owner = Path(place).owner() if place else "nobody"
    as_user = ["-u", owner] if os.geteuid() == 0 else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *as_user, config], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", listen_port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield listen_port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def through_pgbouncer(debian_program):
    """Return a function that leads a PostgreSQL URL through PgBouncer in transaction mode."""
    program = debian_program("pgbouncer", "pgbouncer")
    # Not below pytest's directory: it runs as another user if we are root.
    directory = Path(tempfile.mkdtemp(prefix="eurydice-pgbouncer-"))
    directory.chmod(0o755)
    ports = {}
    with ExitStack() as stack:

        def lead(url, *, pool_size=4):
            server = make_url(url)
            place = (server.host, server.query.get("host"), server.port, pool_size)
            if place not in ports:
                ports[place] = stack.enter_context(
                    running_pgbouncer(program, server, directory, pool_size)
                )
            user = server.username or "postgres"
            return f"postgresql+psycopg://{user}:x@127.0.0.1:{ports[place]}/{server.database}"

        yield lead
    shutil.rmtree(directory, ignore_errors=True)
