"""A database that is away or read-only is never an internal error of a route."""

from __future__ import annotations

import sqlite3
import uuid

import psycopg
import pytest
from sqlalchemy import event

from eurydice_core.model.states import Side

BODIES = {
    "/api/v1/user/association/": {"json": {"token": " ".join(["abandon"] * 18)}},
    "/api/v1/transferables/": {
        "content": b"x",
        "headers": {"Content-Type": "application/octet-stream"},
    },
}


def answers(bench, id):
    """Call every operation of the API; return the answers by method and path."""
    for path, operations in bench.app.openapi()["paths"].items():
        for method in operations:
            options = BODIES.get(path, {}) if method == "post" else {}
            url = path.replace("{id}", id).replace("{transferable_id}", id)
            yield (method, path), bench.request(method.upper(), url, **options)


def make_read_only(database):
    statement = (
        "PRAGMA query_only = ON" if database.is_sqlite else "SET default_transaction_read_only = on"
    )

    @event.listens_for(database.engine, "connect")
    def on_connect(connection, _record):
        connection.cursor().execute(statement)
        connection.commit()

    database.engine.dispose()


def make_unreachable(database):
    @event.listens_for(database.engine, "do_connect")
    def on_connect(*_):
        if database.is_sqlite:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        raise psycopg.OperationalError("connection refused")

    database.engine.dispose()


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("outage", [make_read_only, make_unreachable])
def test_no_route_calls_an_outage_a_bug(make_bench, side, outage):
    bench = make_bench(side)
    id = bench.upload(b"x").json()["id"] if side is Side.ORIGIN else str(uuid.uuid4())
    outage(bench.installation.database)
    found = dict(answers(bench, id))
    statuses = {operation: answer.status_code for operation, answer in found.items()}
    assert 500 not in statuses.values(), statuses
    refused = [
        answer
        for (_, path), answer in found.items()
        if answer.status_code == 503 and path != "/readyz"
    ]
    assert refused or outage is make_read_only
    for answer in refused:
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["type"] == "urn:eurydice:database-unavailable"
    if side is Side.ORIGIN:
        assert statuses["post", "/api/v1/transferables/"] == 503
