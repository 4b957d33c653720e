"""How long the sender takes to decide what goes next while a queue is long."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from eurydice_core.config import Settings
from eurydice_core.db.engine import Database
from eurydice_core.db.schema import migrate
from eurydice_core.installation import Installation, open_installation
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side
from eurydice_core.origin.claims import Claims
from eurydice_core.origin.history import History
from eurydice_core.origin.plan import Planner
from eurydice_core.origin.queue import Queue
from eurydice_core.service import settle_down

USERS = 10
PACKETS = 9
SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, {last}))",
}
NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
FILES = """INSERT INTO outgoing_transferables
    (id, user_id, created_at, name, user_provided_meta, piece_size, size, bytes_received,
     received_at, submission_succeeded_at, ranges_pending, ranges_transferred, ranges_canceled,
     ranges_error, bytes_transferred, state, state_changed_at, announced)
    {series} SELECT {id}, (SELECT id FROM users ORDER BY id LIMIT 1 OFFSET 0), {now}, 'f', '{{}}',
     8388608, 10240, 10240, {now}, {now}, 1, 0, 0, 0, 0, 'PENDING', {now}, 0 FROM n"""
RANGES = """INSERT INTO outgoing_ranges (transferable_id, user_id, byte_offset, size,
     whole, stored, inline, state, created_at, sends_left)
    SELECT t.id, t.user_id, 0, 10240, {true}, {true}, {false}, 'PENDING', t.created_at, 0
    FROM outgoing_transferables AS t"""
SPREAD = """UPDATE outgoing_transferables SET user_id =
    (SELECT id FROM users ORDER BY id LIMIT 1 OFFSET {offset}) WHERE {which}"""


def next_packets(url: str, home: Path, scheduler: str, pending: int) -> list[float]:
    """Return the seconds that each of some plans took, claims included."""
    settings = Settings.model_validate(
        {
            "side": "origin",
            "state_dir": home / "state",
            "secret_key": "0" * 64,
            "database": {"url": url},
            "link": {"secret": "1" * 64},
            "storage": {"plugin": "storage_fs", "root": home / "data"},
            "auth": {"plugins": ["auth_basic"]},
            "transport": {"plugin": "transport_udp"},
            "scheduler": {"plugin": scheduler},
        }
    )
    database = Database(url)
    migrate(database, Side.ORIGIN)
    database.dispose()
    (home / "data").mkdir(exist_ok=True)
    with open_installation(settings) as installation:
        fill(installation.database, installation.accounts, pending)
        return plan_times(installation, scheduler)


def plan_times(installation: Installation, scheduler: str) -> list[float]:
    """Return the seconds that each of some plans of a sender took, claims included."""
    planner = planner_of(installation, scheduler)
    settle_down()  # as every service does
    times = []
    for _ in range(PACKETS):
        began = time.perf_counter()
        load = planner.plan()
        times.append(time.perf_counter() - began)
        planner.give_back(load)
    return times


def planner_of(installation: Installation, scheduler: str) -> Planner:
    plugin = installation.plugins.create_scheduler(scheduler, {}, installation.context)
    queue, claims = Queue(installation.database), Claims(installation)
    history = History(installation.database, duration=timedelta(0), limit=500)
    return Planner(installation, plugin, queue, claims, history, utc_now)


def fill(database: Database, accounts: object, pending: int) -> None:
    """Queue small files of several users, if there are none yet."""
    with database.read() as session:
        if session.scalar(text("SELECT count(*) FROM outgoing_ranges")):
            return
    for number in range(USERS):
        accounts.add(f"user{number}")  # type: ignore[attr-defined]
    kind = "sqlite" if database.is_sqlite else "postgresql"
    true, false = ("1", "0") if database.is_sqlite else ("true", "false")
    words = {
        "series": SERIES[kind].format(last=pending - 1),
        "id": NEW_ID[kind],
        "now": "'2026-01-01 00:00:00.000000'",
        "true": true,
        "false": false,
    }
    with database.write() as session:
        session.execute(text(FILES.format(**words).replace("{}", "{}")))
        for offset in range(1, USERS):
            which = (
                f"rowid % {USERS} = {offset}"
                if database.is_sqlite
                else f"hashtext(id::text) % {USERS} = {offset}"
            )
            session.execute(text(SPREAD.format(offset=offset, which=which)))
        session.execute(text(RANGES.format(**words)))
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
