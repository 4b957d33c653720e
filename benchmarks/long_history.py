"""Everyday work beside millions of transfers that ended: nothing may go through them all."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from long_queue import PACKETS, plan_times
from million import fill
from sites import directory, postgresql, side
from sqlalchemy import text

from eurydice_core.installation import Installation
from eurydice_core.model.states import Side
from eurydice_core.origin.clean import OriginCleaner

RANGES = """INSERT INTO outgoing_ranges (transferable_id, user_id, byte_offset, size, whole,
     stored, inline, state, created_at, finished_at, sent_at, sends_left)
    SELECT t.id, t.user_id, 0, 10240, {true}, {false}, {false},
     'TRANSFERRED', t.created_at, t.state_changed_at, t.state_changed_at, 0
    FROM outgoing_transferables AS t WHERE t.state = 'SUCCESS'"""
WAITING = """INSERT INTO outgoing_ranges (transferable_id, user_id, byte_offset, size, whole,
     stored, inline, state, created_at, sends_left)
    SELECT t.id, t.user_id, 0, 10240, {true}, {true}, {false}, 'PENDING', t.created_at, 0
    FROM outgoing_transferables AS t WHERE t.state = 'ERROR' LIMIT 10000"""


def histories(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for engine in arguments.engine or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            path = stack.enter_context(directory(None))
            url = stack.enter_context(postgresql(path)) if engine == "postgresql" else None
            installation, *_ = stack.enter_context(side(path, Side.ORIGIN, url))
            began = time.perf_counter()
            fill(installation, engine, arguments.finished)
            true, false = ("1", "0") if engine == "sqlite" else ("true", "false")
            for statement in (RANGES, WAITING):
                with installation.database.write() as session:
                    session.execute(text(statement.format(true=true, false=false)))
            with installation.database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
            installation.database.engine.dispose()  # which ends what the filling has cached
            facts = {"engine": engine, "finished": arguments.finished}
            yield {**facts, "what": "filled", "seconds": time.perf_counter() - began}
            for what, times in measured(installation):
                yield {
                    **facts,
                    "what": what,
                    "median_ms": 1000 * statistics.median(times),
                    "worst_ms": 1000 * max(times),
                }


def measured(installation: Installation) -> Iterator[tuple[str, list[float]]]:
    yield "next packet", plan_times(installation, "scheduler_rotating")
    cleaner = OriginCleaner(installation)
    cleaner.step()
    yield "a batch of trimming", [timed(cleaner.trim) for _ in range(PACKETS)]
    yield "looking for what to free", [timed(cleaner.free) for _ in range(PACKETS)]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
