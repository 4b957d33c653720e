"""Speed of the REST API over loopback, beside a floor in the same run.

    python benchmarks/api.py                          # all but million and search, a minute
    python benchmarks/api.py --part million --engine postgresql
    python benchmarks/api.py --part search --rows 1200000

The floor is the server without us: bare applications on Granian (`floor.py`). The clients
are processes of their own (`http_load.py`), the sides are served as `eurydice run api` does,
with one worker and everything at its defaults: SQLite, files, everything made durable.
MB/s are 10^6 bytes a second; processor time is the server's, per request or per 10^9 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deletions import deletions
from million import FILL, ROWS, million
from report import write_report
from search import searches
from sites import HERE, PATH, Served, directory, floor, load, receive_file, served, side

from eurydice_core.model.quantities import parse_size
from eurydice_core.model.states import Side


def main() -> None:
    arguments = parse_arguments()
    parts: dict[str, Callable[[argparse.Namespace], Iterator[dict[str, Any]]]] = {
        "upload": uploads,
        "download": downloads,
        "small": small_requests,
        "million": million,
        "search": searches,
        "slow": slow_clients,
        "delete": deletions,
    }
    rows = []
    for name in arguments.part or ["upload", "download", "small", "slow", "delete"]:
        for row in parts[name](arguments):
            rows.append({"part": name, **row, "load": os.getloadavg()[0]})
            show(rows[-1])
    write_report(arguments.json, rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of the REST API over loopback.")
    names = ["upload", "download", "small", "million", "search", "slow", "delete"]
    parser.add_argument("--part", action="append", choices=names, help="may be repeated")
    parser.add_argument("--size", type=parse_size, default=1 << 30, help="of the large file")
    parser.add_argument("--small-size", type=parse_size, default=10240, help="of small files")
    parser.add_argument("--seconds", type=float, default=5, help="of each repeated request")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--slow-clients", type=int, default=200)
    parser.add_argument("--engine", choices=list(FILL), action="append")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument(
        "--postgresql-programs", type=Path, help="such as /usr/lib/postgresql/15/bin"
    )
    parser.add_argument("--dir", type=Path, help="where to put everything meanwhile")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def show(row: dict[str, Any]) -> None:
    facts = [f"{row['part']:>9}  {row['what']:<44}"]
    for key, value in row.items():
        if key not in ("part", "what"):
            facts.append(f"{key} {value:.1f}" if isinstance(value, float) else f"{key} {value}")
    print("  ".join(facts), flush=True)


def transfer(what: str, server: Served, **job: Any) -> dict[str, Any]:
    """Carry a file three times; return the best of them."""
    best = min((load(server, **job) for _ in range(3)), key=lambda one: float(one["seconds"]))
    rate = best["bytes"] / best["seconds"] / 1e6
    return {"what": what, "MB/s": rate, "cpu s/GB": best["cpu"] / best["bytes"] * 1e9}


def uploads(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with directory(arguments.dir) as path:
        with floor(path) as server:
            bare = transfer(
                "floor: hash and write", server, do="send", path="/", size=arguments.size
            )
            yield bare
        with side(path, Side.ORIGIN) as (_, token, table), served(table) as server:
            job = {"do": "send", "path": PATH, "token": token, "size": arguments.size}
            ours = transfer("one large file", server, **job)
            yield {**ours, "of the floor": f"{ours['MB/s'] / bare['MB/s']:.2f}"}


def downloads(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with (
        directory(arguments.dir) as path,
        side(path, Side.DESTINATION) as (installation, token, table),
    ):
        id = receive_file(installation, arguments.size)
        plain = next(each for each in (path / "data").rglob(f"*{id}") if each.is_file())
        with floor(plain.parent) as server:
            bare = transfer("floor: a plain file", server, do="fetch", path=f"/{plain.name}")
            yield bare
        with served(table) as server:
            job = {"do": "fetch", "path": f"{PATH}{id}/download/", "token": token}
            ours = transfer("one large file", server, **job)
            yield {**ours, "of the floor": f"{ours['MB/s'] / bare['MB/s']:.2f}"}


def small_requests(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with (
        directory(arguments.dir) as path,
        side(path, Side.ORIGIN) as (_, token, table),
        served(table) as server,
    ):
        common = {"do": "repeat", "token": token, "clients": arguments.clients}
        for what, more in (
            ("no work at all", {"method": "GET", "path": "/api/v1/metadata/"}),
            ("uploads", {"method": "POST", "path": PATH, "size": arguments.small_size}),
            ("pages of 50", {"method": "GET", "path": PATH}),
        ):
            row = load(server, seconds=arguments.seconds, **common, **more)
            yield {
                "what": f"{what}, {arguments.clients} clients",
                "a second": row["per_second"],
                "median ms": row["median_ms"],
                "p99 ms": row["p99_ms"],
                "cpu ms": row["cpu"] / row["count"] * 1e3,
            }


def slow_clients(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with (
        directory(arguments.dir) as path,
        side(path, Side.ORIGIN) as (_, token, table),
        served(table) as server,
    ):
        fast = {"do": "repeat", "token": token, "clients": 1, "seconds": arguments.seconds}
        yield beside("fast client alone", server, fast)
        told = {"host": "127.0.0.1", "port": server.port, "token": token, "path": PATH}
        job = {**told, "do": "trickle", "clients": arguments.slow_clients, "rate": 1000}
        command = [sys.executable, str(HERE / "http_load.py"), json.dumps(job)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as crowd:
            crowd.stdout.readline()  # type: ignore[union-attr]
            for turn in range(3):
                what = f"beside {arguments.slow_clients} slow ones, {turn + 1}"
                yield beside(what, server, fast)
            crowd.communicate("stop\n")


def beside(what: str, server: Served, job: dict[str, Any]) -> dict[str, Any]:
    listed = load(server, **job, method="GET", path=PATH)
    sent = load(server, **job, method="POST", path=PATH, size=10240)
    return {
        "what": what,
        "page ms": listed["median_ms"],
        "upload ms": sent["median_ms"],
        "upload p99 ms": sent["p99_ms"],
        "memory MB": server.memory() / 1e6,
    }


if __name__ == "__main__":
    main()
