"""Searches, filters and sums beside more than a million transferables, on both databases.

Each line is one query as the API makes it, without HTTP: the shortest and the median time of
several runs, since the machine may be shared. PostgreSQL is that of Debian, with `pg_trgm`, if
`--postgresql-programs` names its directory; else it is the one of the tests, without it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from million import FILL
from sites import directory, postgresql, side
from sqlalchemy import text

from eurydice_core.api.paging import Page, PageRequest, fetch_page
from eurydice_core.db.counts import install_lists
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import TransferableQuery
from eurydice_core.model.states import OutgoingState, Side
from eurydice_core.origin import catalogue
from eurydice_core.origin.catalogue import Filter
from eurydice_core.origin.oversight import list_transferables
from eurydice_core.testing.postgresql_server import postgresql_server

RUNS = 7
FIRST_SECOND = 1_700_000_000
SIZE = 50  # rows of a page
# A word that is in the name of every n-th transferable.
WORDS = {"zeppelin": 240_000, "quasar": 12_000, "wolfram": 1_200, "budget": 300, "rapport": 3}
TOPICS = ("achats", "ventes", "paie", "logs", "photos", "mesures", "courrier", "plans", "été")
ENDINGS = ("pdf", "docx", "xlsx", "tar.gz", "csv", "bin", "jpg")


NUMBERED = {
    "sqlite": """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})
        SELECT i, {name} AS name FROM n""",
    "postgresql": "SELECT i, {name} AS name FROM generate_series(0, {last}) AS i",
}
PERCENT = {"sqlite": "%", "postgresql": "%%"}  # as their drivers write a percent sign


def searches(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for engine in arguments.engine or FILL:
        with ExitStack() as stack:
            path = stack.enter_context(directory(arguments.dir))
            url = None
            if engine == "postgresql":
                url = stack.enter_context(server(path, arguments.postgresql_programs))
            installation, *_ = stack.enter_context(side(path, Side.ORIGIN, url))
            yield from filled(installation, engine, arguments.rows)
            for what, work in queries(installation, arguments.rows):
                yield {"what": f"{engine}: {what}", **measured(work)}


def server(path: Path, programs: Path | None) -> AbstractContextManager[str]:
    return postgresql(path) if programs is None else postgresql_server(programs, path)


def measured(work: Callable[[], int | None]) -> dict[str, Any]:
    took, cpu, found = [], [], None
    for _ in range(RUNS):
        began, used = time.perf_counter(), time.thread_time()
        found = work()
        took.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.thread_time() - used))
    row = {"min ms": min(took), "median ms": statistics.median(took), "cpu ms": min(cpu)}
    return row if found is None else {**row, "of": found}


def filled(installation: Installation, engine: str, rows: int) -> Iterator[dict[str, Any]]:
    """Fill the table without its triggers and indexes of lists, then install them."""
    began = time.perf_counter()
    with installation.database.write() as session:
        for statement in without_triggers(engine):
            session.execute(text(statement))
        values = {**columns(engine), "user_id": f"'{installation.accounts.get('alice').id.hex}'"}
        if engine == "sqlite":
            session.execute(text("PRAGMA cache_size = -4000000"))  # identifiers are random
        names = NUMBERED[engine].format(last=rows - 1, name=name())
        session.connection().exec_driver_sql(
            f"INSERT INTO outgoing_transferables ({', '.join(values)})"
            f" SELECT {', '.join(values.values())} FROM ({names}) AS named".replace(
                "%", PERCENT[engine]
            )
        )
    yield {"what": f"{engine}: filled", "s": time.perf_counter() - began}
    began = time.perf_counter()
    with installation.database.write() as session:
        session.execute(text("DELETE FROM outgoing_counts"))
        install_lists(session, Side.ORIGIN)
    yield {"what": f"{engine}: indexes and counters", "s": time.perf_counter() - began}
    analyze = "VACUUM (ANALYZE)" if engine == "postgresql" else "ANALYZE"
    with installation.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(analyze)
    installation.database.engine.dispose()


def without_triggers(engine: str) -> Iterator[str]:
    if engine == "postgresql":
        yield "ALTER TABLE outgoing_transferables DISABLE TRIGGER USER"
        yield "DROP INDEX IF EXISTS ix_outgoing_transferables_names"
        return
    for trigger in ("counts_added", "transferables_name_added"):
        yield f"DROP TRIGGER IF EXISTS outgoing_{trigger}"
    yield "DROP TABLE outgoing_transferables_names"


def name() -> str:
    """Return the expression of the name of transferable `i`: words, a date, a number, an ending."""
    chosen = " ".join(
        f"WHEN i % {every} = {every // 2} THEN '{word}'" for word, every in WORDS.items()
    )
    topic = picked(TOPICS, "i / 7")
    return (
        f"(CASE {chosen} ELSE 'envoi' END) || ' ' || {topic} || ' 2026-' || (10 + i / 40000 % 20)"
        f" || ' n' || i || '.' || {picked(ENDINGS, 'i')}"
    )


def picked(choices: tuple[str, ...], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{choice}'" for place, choice in enumerate(choices))
    return f"(CASE ({number}) % {len(choices)} {cases} END)"


def columns(engine: str) -> dict[str, str]:
    def at(seconds: int) -> str:
        second = f"{FIRST_SECOND + seconds} + i"
        if engine == "postgresql":
            return f"to_timestamp({second})"
        return f"strftime('%Y-%m-%d %H:%M:%S', {second}, 'unixepoch') || '.000000'"

    return {
        "id": "gen_random_uuid()" if engine == "postgresql" else "lower(hex(randomblob(16)))",
        "created_at": at(0),
        "name": "name",
        "folded_name": "name",
        "user_provided_meta": "'{}'",
        "piece_size": "8388608",
        "size": "10240",
        "bytes_received": "10240",
        "received_at": at(1),
        "submission_succeeded_at": at(1),
        "bytes_transferred": "10240",
        "last_range_finished_at": at(60),
        "state": "CASE WHEN i % 100 = 0 THEN 'ERROR' ELSE 'SUCCESS' END",
        "state_changed_at": at(61),
        **dict.fromkeys(
            (
                "ranges_pending",
                "ranges_transferred",
                "ranges_canceled",
                "ranges_error",
                "announced",
            ),
            "0",
        ),
    }


Query = tuple[str, Callable[[], int | None]]


def queries(installation: Installation, rows: int) -> Iterator[Query]:
    lists = Lists(installation)
    yield from name_queries(lists)
    yield from state_queries(lists, rows)
    yield from date_queries(lists, rows)
    for what, since in (("all", -1), ("half", rows / 2), ("a day", rows - 86_400)):
        yield f"metrics: {what} recent", partial(recent, installation, at(since))
    for term in ("zzzzzz", "zeppelin", "rapport", "z"):
        yield f"admin page: {term}", partial(administered, installation, term)


def at(second: float) -> datetime:
    return datetime.fromtimestamp(FIRST_SECOND + second, UTC)


class Lists:
    """Reads pages of a user's list."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._user = installation.accounts.get("alice").id

    def first(self, **wanted: Any) -> Callable[[], int]:
        request = PageRequest(SIZE, b"", None, 0, False)
        return lambda: int(self._page(Filter(**wanted), request).count)

    def last(self, **wanted: Any) -> Callable[[], int]:
        first = self._page(Filter(**wanted), PageRequest(SIZE, b"", None, 0, False))
        request = PageRequest(SIZE, b"", first.view, (first.count - 1) // SIZE, True)
        return lambda: int(self._page(Filter(**wanted), request).count)

    def _page(self, wanted: Filter, request: PageRequest) -> Page:
        with self._database.connect() as connection:
            return fetch_page(connection, catalogue.transferables(self._user, wanted), request)


def name_queries(lists: Lists) -> Iterator[Query]:
    yield "first page", lists.first()
    yield "last page", lists.last()
    common = ("rapport ventes", "n123456", "2026-12", "été")
    for term in ("zzzzzz", "nothing-like-this", *WORDS, *common, "z", "zq", "a", "po"):
        yield f"name={term}", lists.first(name=term)
    for term in ("wolfram", "budget", "rapport", "po"):
        yield f"name={term}, last page", lists.last(name=term)


def state_queries(lists: Lists, rows: int) -> Iterator[Query]:
    success, error, pending = OutgoingState.SUCCESS, OutgoingState.ERROR, OutgoingState.PENDING
    for state in (success, error, pending):
        yield f"state={state}", lists.first(states=[state])
        yield f"state={state}, all dates", lists.first(states=[state], created_after=at(-1))
    yield "state=SUCCESS, last page", lists.last(states=[success])
    for term in ("wolfram", "rapport", "po"):
        yield f"name={term}, state=SUCCESS", lists.first(name=term, states=[success])
    yield "name=rapport, state=ERROR", lists.first(name="rapport", states=[error])
    recent = {"states": [success, error], "created_after": at(rows - 100_000)}
    yield "two states, last 100,000", lists.first(**recent)


def date_queries(lists: Lists, rows: int) -> Iterator[Query]:
    for which in ("created", "submission_succeeded", "transfer_finished"):
        for what, second in (
            ("all", -1),
            ("the newer half", rows / 2),
            ("last 100,000", rows - 100_000),
            ("none", rows + 100),
        ):
            yield f"{which}_after: {what}", lists.first(**{f"{which}_after": at(second)})
        yield f"{which}_before: all", lists.first(**{f"{which}_before": at(rows + 100)})
    yield "created_after: all, last page", lists.last(created_after=at(-1))


def recent(installation: Installation, since: datetime) -> int:
    with installation.database.read() as session:
        return catalogue.figures(session, since).recent_successes


def administered(installation: Installation, term: str) -> int:
    query = TransferableQuery(text=term, limit=SIZE)
    return len(list_transferables(installation.database, query).rows)
