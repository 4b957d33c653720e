"""A list of a million transferables: its first page, its thousandth, on both databases."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
from sites import PATH, Served, directory, postgresql, served, side
from sqlalchemy import text

from eurydice_core.installation import Installation
from eurydice_core.model.states import Side

ROWS = 1_000_000
AT_ONCE = 500_000
FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
        INSERT INTO outgoing_transferables ({columns})
        SELECT lower(hex(randomblob(16))), '{user}',
            strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i, 'unixepoch') || '.000000', {values}
        FROM n""",
    "postgresql": """
        INSERT INTO outgoing_transferables ({columns})
        SELECT gen_random_uuid(), '{user}', to_timestamp(1700000000 + i), {values}
        FROM generate_series({first}, {last}) AS i""",
}
VALUES = {
    "name": "'file ' || i || '.bin'",
    "user_provided_meta": "'{}'",
    "piece_size": "8388608",
    "size": "10240",
    "bytes_received": "10240",
    "received_at": "'2024-01-01 00:00:00.000000'",
    "state": "CASE WHEN i % 100 = 0 THEN 'ERROR' ELSE 'SUCCESS' END",
    "state_changed_at": "'2024-01-01 00:00:00.000000'",
    **dict.fromkeys(
        (
            "ranges_pending",
            "ranges_transferred",
            "ranges_canceled",
            "ranges_error",
            "bytes_transferred",
            "announced",
        ),
        "0",
    ),
}


def million(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for engine in arguments.engine or FILL:
        with ExitStack() as stack:
            path = stack.enter_context(directory(arguments.dir))
            url = stack.enter_context(postgresql(path)) if engine == "postgresql" else None
            installation, token, table = stack.enter_context(side(path, Side.ORIGIN, url))
            fill(installation, engine, arguments.rows)
            server = stack.enter_context(served(table))
            yield from pages(engine, server, token)


def fill(installation: Installation, engine: str, rows: int) -> None:
    """Let there be so many transferables; with what the database needs to plan well."""
    user = installation.accounts.get("alice").id
    for first in range(0, rows, AT_ONCE):
        statement = FILL[engine].format(
            first=first,
            last=min(first + AT_ONCE, rows) - 1,
            user=user.hex,
            columns=", ".join(["id", "user_id", "created_at", *VALUES]),
            values=", ".join(VALUES.values()),
        )
        with installation.database.write() as session:
            if engine == "sqlite":
                session.execute(text("PRAGMA cache_size = -4000000"))  # identifiers are random
            session.execute(text(statement.replace(":00", "\\:00")))
    analyze = "VACUUM (ANALYZE)" if engine == "postgresql" else "ANALYZE"
    with installation.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(analyze)


def pages(engine: str, server: Served, token: str) -> Iterator[dict[str, Any]]:
    url = f"http://127.0.0.1:{server.port}{PATH}"
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(headers=headers, timeout=60) as client:

        def timed(what: str, query: str = "") -> tuple[dict[str, Any], Any]:
            took, body = [], None
            for _ in range(21):
                began = time.perf_counter()
                answer = client.get(f"{url}{query}").raise_for_status()
                took.append(time.perf_counter() - began)
                body = answer.json()
            return {"what": f"{engine}: {what}", "ms": statistics.median(took) * 1e3}, body

        row, first = timed("first page")
        yield {**row, "of": first["count"]}
        jump = f"?from={quote(first['pages']['current'])}&delta=999"
        row, far = timed("a jump of 999 pages", jump)
        yield row
        yield timed("the thousandth page", f"?page={quote(far['pages']['current'])}")[0]
        row, failed = timed("first page of ERROR", "?state=ERROR")
        yield {**row, "of": failed["count"]}
