"""Whole sites end to end, and the queue when it is long.

    python benchmarks/scale.py                                   # one gigabyte, SQLite and files
    python benchmarks/scale.py --backend all --work all --senders 1 --senders 2
    python benchmarks/scale.py --part queue --engine postgresql  # the next packet of a long queue
    python benchmarks/scale.py --part history --engine sqlite    # beside ten million that ended

Both sides run on this machine as `eurydice run` starts them, every service a process of its
own, joined by the UDP link on loopback with 10 % repair. The time is that from the first
byte of the first upload until the destination has the last file checked. MB/s are 10^6
bytes a second; processor seconds are those of each service with its children.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from report import write_report
from sites import directory, free_port, postgresql
from sqlalchemy import make_url

from eurydice_core.model.quantities import parse_size
from eurydice_core.testing.s3_server import s3_server

HERE = Path(__file__).parent
EURYDICE = (sys.executable, "-m", "eurydice_core")
BACKENDS = ("sqlite+fs", "postgresql+fs", "postgresql+s3")
WORK = ("large", "small")
PATIENCE = 600.0


@dataclass
class Site:
    """One side at work."""

    side: str
    home: Path
    settings: dict[str, str]
    senders: int = 1
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if "EURYDICE" not in name},
            "EURYDICE_API__PORT": str(self.port),
            **{f"EURYDICE_{name}": value for name, value in self.settings.items()},
        }

    def command(self, *arguments: str) -> str:
        command = [*EURYDICE, "--config", str(self.home / "eurydice.toml"), *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout.strip()

    def prepare(self, secret: list[str]) -> None:
        self.command("init", self.side, "--dir", str(self.home), *secret)
        if "STORAGE__PLUGIN" in self.settings:
            config = self.home / "eurydice.toml"
            config.write_text(re.sub(r"(?m)^root = .*\n", "", config.read_text()))
        self.command("migrate")

    def start(self, service: str, **settings: str) -> None:
        name = service if service not in self.processes else f"{service} 2"
        more = {f"EURYDICE_{key}": value for key, value in settings.items()}
        with (self.home / "log.txt").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*EURYDICE, "--config", str(self.home / "eurydice.toml"), "run", service],
                env={**self.environment, **more},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def client(self, name: str) -> httpx.Client:
        self.command("user", "add", name, "--no-password")
        token = self.command("user", "token", "add", name)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1/",
            headers={"Authorization": f"Token {token}"},
            timeout=60,
            trust_env=False,
        )

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(60)


def main() -> None:
    arguments = parse_arguments()
    rows = []
    parts = {"transfer": transfers, "queue": queues, "history": history}
    for part in arguments.part or ["transfer"]:
        for row in parts[part](arguments):
            rows.append({"part": part, **row, "load": os.getloadavg()[0]})
            show(rows[-1])
    write_report(arguments.json, rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Whole sites, end to end.")
    parser.add_argument("--part", action="append", choices=["transfer", "queue", "history"])
    parser.add_argument("--backend", choices=[*BACKENDS, "all"], default=BACKENDS[0])
    parser.add_argument("--work", choices=[*WORK, "all"], default=WORK[0])
    parser.add_argument("--senders", type=int, action="append", choices=[1, 2])
    parser.add_argument("--size", type=parse_size, default=1 << 30, help="of the large file")
    parser.add_argument("--files", type=int, default=10_000, help="small ones")
    parser.add_argument("--small-size", type=parse_size, default=10_240)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rate", type=float, default=6000, help="of the link, in Mbit/s")
    parser.add_argument("--scheduler", default="scheduler_rotating")
    parser.add_argument("--pending", type=int, action="append", help="ranges in the queue")
    parser.add_argument("--finished", type=int, default=10**7, help="transfers of the history")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def show(row: dict[str, Any]) -> None:
    for key, value in row.items():
        if isinstance(value, dict):
            print(f"    {key}: " + ", ".join(f"{name} {one:.4g}" for name, one in value.items()))
    facts = {key: value for key, value in row.items() if not isinstance(value, dict)}
    print("  ".join(f"{key} {shown(value)}" for key, value in facts.items()), flush=True)


def shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def chosen(wanted: str, every: tuple[str, ...]) -> tuple[str, ...]:
    return every if wanted == "all" else (wanted,)


def transfers(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for backend in chosen(arguments.backend, BACKENDS):
        for work in chosen(arguments.work, WORK):
            for senders in arguments.senders or [1]:
                with ExitStack() as stack:
                    yield transfer(arguments, stack, backend, work, senders)


def transfer(
    arguments: argparse.Namespace, stack: ExitStack, backend: str, work: str, senders: int
) -> dict[str, Any]:
    origin, destination = sites = make_sites(arguments, stack, backend, senders)
    uploader, fetcher = origin.client("sender"), destination.client("fetcher")
    stack.enter_context(uploader)
    stack.enter_context(fetcher)
    words = uploader.get("user/association/").json()["token"]
    fetcher.post("user/association/", json={"token": words}).raise_for_status()
    before = {site.side: costs(site) for site in sites}
    files = 1 if work == "large" else arguments.files
    began = time.perf_counter()
    sent = upload(arguments, work, origin.port, uploader.headers["Authorization"].split()[1])
    uploaded = time.perf_counter() - began
    wait_for(fetcher, files)
    seconds = time.perf_counter() - began
    row: dict[str, Any] = {
        "backend": backend,
        "work": work,
        "senders": senders,
        "upload_seconds": uploaded,
        "seconds": seconds,
        "MB/s": sent / seconds / 1e6,
        "files/s": files / seconds,
    }
    for site in sites:
        after = costs(site)
        row[f"{site.side} cpu seconds"] = {
            name: after[name][0] - before[site.side][name][0] for name in after
        }
        row[f"{site.side} peak MB"] = {name: after[name][1] / 1e6 for name in after}
    return row


def make_sites(
    arguments: argparse.Namespace, stack: ExitStack, backend: str, senders: int
) -> tuple[Site, Site]:
    home = stack.enter_context(directory(None))
    database, _, storage = backend.partition("+")
    common = {
        "TRANSPORT__RATE": str(arguments.rate),
        "SENDER__REPEAT_AFTER": "5s",
        "SCHEDULER__PLUGIN": arguments.scheduler,
        "API__PAGE_SIZE": "1",
    }
    both: dict[str, dict[str, str]] = {side: dict(common) for side in ("origin", "destination")}
    if database == "postgresql":
        make_database = stack.enter_context(databases())
        for side, settings in both.items():
            settings["DATABASE__URL"] = make_database(side)
    if storage == "s3":
        server = stack.enter_context(s3_server(home / "s3"))
        for side, settings in both.items():
            settings["STORAGE__PLUGIN"] = "storage_minio"
            settings["STORAGE__ENDPOINT_URL"] = server.endpoint_url
            settings["STORAGE__ACCESS_KEY"] = server.access_key
            settings["STORAGE__SECRET_KEY"] = server.secret_key
            settings["STORAGE__BUCKET"] = side
            settings["STORAGE__CREATE_BUCKET"] = "true"
    origin, destination = (Site(side, home / side, both[side]) for side in both)
    origin.prepare([])
    destination.prepare(["--link-secret-file", str(origin.home / "link-secret.txt")])
    for site in (origin, destination):
        stack.callback(site.stop)
        site.start("api")
    for number in range(senders):
        link = {"TRANSPORT__PORT": str(free_port(socket.SOCK_DGRAM))}
        destination.start("receiver", STATE_DIR=str(home / f"receiver-{number}"), **link)
        origin.start("sender", **link)
    for site in (origin, destination):
        await_answer(site)
    return origin, destination


def upload(arguments: argparse.Namespace, work: str, port: int, token: str) -> int:
    """Upload from a process of its own; return how many bytes."""
    job = {"host": "127.0.0.1", "port": port, "path": "/api/v1/transferables/", "token": token}
    if work == "large":
        job |= {"do": "send", "size": arguments.size}
    else:
        job |= {"do": "repeat", "method": "POST", "size": arguments.small_size}
        job |= {"clients": arguments.clients, "count": arguments.files, "seconds": PATIENCE}
    command = [sys.executable, str(HERE / "http_load.py"), json.dumps(job)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return int(arguments.size if work == "large" else arguments.files * arguments.small_size)


def wait_for(fetcher: httpx.Client, files: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        page = fetcher.get("transferables/", params={"state": "SUCCESS"}).json()
        if page["count"] >= files:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{page['count']} of {files} files arrived")
        time.sleep(0.05)


def await_answer(site: Site) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{site.port}/api/v1/metadata/", trust_env=False)
            return
        time.sleep(0.05)
    raise SystemExit((site.home / "log.txt").read_text())


def costs(site: Site) -> dict[str, tuple[float, float]]:
    """Return processor seconds, and the largest memory of one process, of each service."""
    found = {}
    for name, service in site.processes.items():
        family = [psutil.Process(service.pid)]
        family += family[0].children(recursive=True)
        times = [process.cpu_times() for process in family]
        found[name] = (
            sum(time.user + time.system for time in times),
            max(peak(process.pid) for process in family),
        )
    return found


def peak(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return 1024.0 * int(found[1]) if found else 0.0


@contextlib.contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """Start a server of our own, everything at its defaults; yield what makes databases."""
    with directory(None) as home, postgresql(home) as url:

        def make(name: str) -> str:
            address = make_url(url)
            admin = address.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
            return address.set(database=name).render_as_string(hide_password=False)

        yield make


def queues(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from long_queue import next_packets

    for engine in arguments.engine or ["sqlite", "postgresql"]:
        for pending in arguments.pending or [10**3, 10**4, 10**5, 10**6]:
            with ExitStack() as stack:
                home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url = (
                    f"sqlite:///{home}/origin.db"
                    if engine == "sqlite"
                    else stack.enter_context(databases())("origin")
                )
                for scheduler in ("scheduler_fifo", "scheduler_rotating"):
                    times = next_packets(url, home, scheduler, pending)
                    yield {
                        "engine": engine,
                        "pending": pending,
                        "scheduler": scheduler,
                        "median_ms": 1000 * sorted(times)[len(times) // 2],
                        "worst_ms": 1000 * max(times),
                    }


def history(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from long_history import histories

    return histories(arguments)


if __name__ == "__main__":
    main()
