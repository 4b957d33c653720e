"""How fast users delete received files: all of them with one request, or one after another."""

from __future__ import annotations

import argparse
import http.client
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from sites import PATH, Served, directory, postgresql, served, side
from sqlalchemy import insert

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, file_key
from eurydice_core.installation import Installation
from eurydice_core.model.states import IncomingState, Side

PROFILE = bytes(8)
ALL, SINGLE = 2000, 500


def deletions(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for engine in arguments.engine or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            path = stack.enter_context(directory(arguments.dir))
            url = stack.enter_context(postgresql(path)) if engine == "postgresql" else None
            installation, token, table = stack.enter_context(side(path, Side.DESTINATION, url))
            _add_profile(installation)
            server = stack.enter_context(served(table))
            for what, count in (("all with one request", ALL), ("one by one", SINGLE)):
                ids = receive_files(installation, count, arguments.small_size)
                paths = [PATH] if count == ALL else [f"{PATH}{id}/" for id in ids]
                before = server.cpu()
                seconds = delete(server, token, paths)
                left = sum(1 for each in (path / "data" / "files").rglob("*") if each.is_file())
                yield {
                    "what": f"{count} files, {what}",
                    "engine": engine,
                    "a second": count / seconds,
                    "cpu ms": (server.cpu() - before) / count * 1e3,
                    "not freed yet": left,
                }


def _add_profile(installation: Installation) -> None:
    user_id = installation.accounts.get("alice").id
    with installation.database.write() as session:
        session.add(OriginProfile(profile=PROFILE, user_id=user_id, created_at=datetime.now(UTC)))


def receive_files(installation: Installation, count: int, size: int) -> list[uuid.UUID]:
    """Let small files be there as if they had come over the link."""
    ids, now, content = [uuid.uuid4() for _ in range(count)], datetime.now(UTC), os.urandom(size)
    for id in ids:
        with installation.storage.write(file_key(id)) as writer:
            writer.write(content)
    row = {
        "profile": PROFILE,
        "name": "small.bin",
        "user_provided_meta": {},
        "size": size,
        "bytes_received": size,
        "sha1": bytes(20),
        "sha256": bytes(32),
        "state": IncomingState.SUCCESS,
        "stored": True,
        "created_at": now,
        "received_at": now,
        "finished_at": now,
    }
    with installation.database.write() as session:
        session.execute(insert(IncomingTransferable), [{**row, "id": id} for id in ids])
    return ids


def delete(server: Served, token: str, paths: Sequence[str]) -> float:
    """Send these requests over one connection; return how many seconds they took."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    began = time.perf_counter()
    for path in paths:
        connection.request("DELETE", path, headers={"Authorization": f"Token {token}"})
        response = connection.getresponse()
        body = response.read()
        if response.status not in (200, 204):
            raise SystemExit(f"{response.status}: {body.decode()}")
    connection.close()
    return time.perf_counter() - began
