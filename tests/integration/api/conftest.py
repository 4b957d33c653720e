"""Both sides' APIs over real databases and a storage in memory, spoken to without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from eurydice_core.api.app import create_app
from eurydice_core.config import Settings
from eurydice_core.db.accounts import Account
from eurydice_core.hookspecs import EventPlugin, PluginSettings, StoragePlugin, hookimpl
from eurydice_core.installation import Installation, open_installation
from eurydice_core.interfaces.event import EventListener
from eurydice_core.interfaces.storage import Storage
from eurydice_core.model.event import Event, EventKind
from eurydice_core.model.states import Side
from eurydice_core.plugins import Plugins, discover
from eurydice_core.testing.fakes.storage import MemoryStorage

SECRET = "a secret that both sides share, for tests"
PROXY_SECRET = "a secret that a proxy shares with us, for tests"


class ShelfPlugin:
    """A storage plugin that offers a storage we hold on to."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @hookimpl
    def eurydice_storage(self) -> StoragePlugin:
        return StoragePlugin(
            name="shelf",
            summary="Memory, for tests.",
            settings=PluginSettings,
            create=lambda settings, context: self.storage,
        )


class Diary(EventListener):
    """An event plugin that remembers, and its listener."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    def eurydice_event(self) -> EventPlugin:
        return EventPlugin(
            name="diary",
            summary="Remembers, for tests.",
            settings=PluginSettings,
            create=lambda settings, context: self,
        )


@dataclass
class Bench:
    """One side's API with a client, and everything behind it."""

    app: FastAPI
    installation: Installation
    storage: Any
    diary: Diary
    runner: asyncio.Runner
    client: httpx.AsyncClient
    token: str = ""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Token {self.token}"
        if headers.get("Authorization") == "":
            del headers["Authorization"]
        return self.runner.run(self.client.request(method, path, headers=headers, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def upload(self, content: Any = b"", **headers: str) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {"Content-Type": "application/octet-stream", **headers}
        return self.post("/api/v1/transferables/", content=content, headers=headers)

    def user(self, name: str, **options: Any) -> Account:
        return self.installation.accounts.add(name, **options)

    def sign_in(self, name: str) -> None:
        self.token = self.installation.accounts.issue_token(name)

    def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Speak ASGI to the application directly."""
        self.runner.run(self.app(scope, receive, send))

    def events(self) -> list[Event]:
        """Return what was told, but for users coming in: nothing can be told afterwards."""
        self.installation.events.close()
        return [event for event in self.diary.events if event.kind is not EventKind.SIGNED_IN]

    def sign_ins(self) -> list[str | None]:
        """Return who came in: nothing can be told afterwards."""
        self.installation.events.close()
        return [e.username for e in self.diary.events if e.kind is EventKind.SIGNED_IN]


MakeBench = Callable[..., Bench]


def plugins_with(*modules: tuple[str, object]) -> Plugins:
    plugins = discover()
    for name, module in modules:
        plugins.register(module, name)
    return plugins


@pytest.fixture
def proxy_api() -> dict[str, Any]:
    """Return `[api]` of a bench whose client is a reverse proxy that proves itself."""
    return {"trusted_proxies": ["127.0.0.1"], "proxy_secret": PROXY_SECRET}


@pytest.fixture
def make_bench(database_url: Callable[[Side], str], tmp_path: Path) -> Iterator[MakeBench]:
    """Open an API of a side with a user `alice` signed in."""
    with ExitStack() as stack:

        def make(
            side: Side,
            *,
            shelf: Storage | None = None,
            plugins: tuple[tuple[str, object], ...] = (),
            client_address: str = "127.0.0.1",
            **tables: Any,
        ) -> Bench:
            diary = Diary()
            settings = Settings.model_validate(
                {
                    "side": side,
                    "state_dir": tmp_path / "state",
                    "secret_key": "k" * 32,
                    "database": {"url": database_url(side)},
                    "link": {"secret": SECRET},
                    "storage": {"plugin": "shelf"},
                    "events": {"plugins": ["diary"]},
                    **tables,
                }
            )
            found = plugins_with(
                ("shelf", ShelfPlugin(shelf or MemoryStorage())), ("diary", diary), *plugins
            )
            installation = stack.enter_context(open_installation(settings, found))
            app = create_app(installation)
            runner = stack.enter_context(asyncio.Runner())
            transport = httpx.ASGITransport(app, client=(client_address, 4711))
            proof = {}
            if settings.api.proxy_secret is not None:
                proof["X-Eurydice-Proxy-Secret"] = PROXY_SECRET
            client = httpx.AsyncClient(
                transport=transport, base_url="http://eurydice", headers=proof
            )
            stack.callback(lambda: runner.run(client.aclose()))
            stack.callback(app.state.eurydice.close)
            bench = Bench(app, installation, installation.storage, diary, runner, client)
            bench.user("alice")
            bench.sign_in("alice")
            return bench

        yield make


@pytest.fixture
def origin(make_bench: MakeBench) -> Bench:
    return make_bench(Side.ORIGIN)


@pytest.fixture
def destination(make_bench: MakeBench) -> Bench:
    return make_bench(Side.DESTINATION)
