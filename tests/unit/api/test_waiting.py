"""The API is up while its installation cannot be opened, and takes over once it can."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import contextmanager

import httpx
import pytest

from eurydice_core.api import server
from eurydice_core.config import Settings
from eurydice_core.errors import DatabaseMisconfigured, DatabaseUnavailable


@pytest.fixture
def settings(tmp_path):
    return Settings.model_validate(
        {
            "side": "origin",
            "state_dir": tmp_path,
            "secret_key": "k" * 32,
            "database": {"url": f"sqlite:///{tmp_path}/x.db"},
            "link": {"secret": "s" * 32},
            "storage": {"plugin": "storage_fs", "root": str(tmp_path)},
        }
    )


class Attempts:
    """Opening that fails until it is told to succeed."""

    def __init__(self, monkeypatch, error):
        self.error, self.closed = error, threading.Event()
        monkeypatch.setattr(server, "open_installation", self.open)
        monkeypatch.setattr(server, "create_app", self.create)
        monkeypatch.setattr("eurydice_core.outages.FIRST_WAIT", 0.001)
        monkeypatch.setattr("eurydice_core.outages.LONGEST_WAIT", 0.001)

    @contextmanager
    def open(self, _settings):
        if self.error is not None:
            raise self.error
        yield "installation"
        self.closed.set()

    def create(self, installation, _tallies):
        from fastapi import FastAPI

        app = FastAPI()
        app.add_api_route("/opened", lambda: installation)
        return app


def client(worker, address="127.0.0.1"):
    transport = httpx.ASGITransport(worker, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


OUTAGES = [DatabaseUnavailable("database away"), OSError(errno.EROFS, "Read-only file system")]


@pytest.mark.parametrize("outage", OUTAGES, ids=repr)
def test_it_answers_while_it_waits_and_takes_over(settings, monkeypatch, tmp_path, outage):
    attempts = Attempts(monkeypatch, outage)
    worker = server.Worker(settings, tmp_path)

    async def use():
        async with client(worker) as http:
            assert (await http.get("/healthz")).status_code == 200
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["start"]["status"] == "failing"
            assert ready.json()["checks"]["start"]["reason"]
            upload = await http.post("/api/v1/transferables/", content=b"x")
            assert upload.status_code == 503
            assert upload.headers["retry-after"]
            attempts.error = None
            await asyncio.to_thread(worker._thread.join, 10)
            assert (await http.get("/opened")).json() == "installation"

    asyncio.run(use())
    asyncio.run(lived(worker))
    assert attempts.closed.is_set()


async def lived(worker):
    """Go through the lifespan of an ASGI application."""
    received = iter(["lifespan.startup", "lifespan.shutdown"])
    sent = []

    async def receive():
        return {"type": next(received)}

    async def send(message):
        sent.append(message["type"])

    await worker({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_it_stops_while_it_waits(settings, monkeypatch, tmp_path):
    Attempts(monkeypatch, DatabaseUnavailable("away"))
    asyncio.run(lived(server.Worker(settings, tmp_path)))


def test_reasons_are_for_watchers(settings, monkeypatch, tmp_path):
    Attempts(monkeypatch, DatabaseUnavailable("database at secret.example is away"))
    worker = server.Worker(settings, tmp_path)

    async def use():
        for address, headers in (("192.0.2.1", {}), ("127.0.0.1", {"X-Forwarded-For": "1.2.3.4"})):
            async with client(worker, address) as http:
                assert "secret.example" not in (await http.get("/readyz", headers=headers)).text

    asyncio.run(use())
    asyncio.run(lived(worker))


def test_a_wrong_password_is_no_outage(settings, monkeypatch, tmp_path):
    Attempts(monkeypatch, DatabaseMisconfigured("password authentication failed"))
    hook = threading.excepthook
    with pytest.raises(DatabaseMisconfigured):
        server.Worker(settings, tmp_path)
    threading.excepthook = hook
