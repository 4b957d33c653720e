"""Two whole sites on this machine, run and used as an operator and a user would."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import psutil
import pytest
from click.testing import CliRunner

from eurydice_core.cli.main import Invocation, eurydice

READY_SECONDS = 180.0  # a busy machine takes long to start eight processes
POLL_SECONDS = 0.1
BLOCK = 2**20


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(reached: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return what `reached` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := reached():
            return result
        time.sleep(POLL_SECONDS)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


class Content:
    """A file's bytes, made as they are needed: the same for the same seed and size."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._block = random.Random(seed).randbytes(BLOCK)
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for number in range(-(-self.size // BLOCK)):
            length = min(BLOCK, self.size - number * BLOCK)
            block = (number.to_bytes(8, "big") + self._block[8:])[:length]
            self.sha256.update(block)
            yield block


@dataclass
class Site:
    """One side: its files, its processes, its API."""

    side: str
    home: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.config = self.home / "eurydice.toml"
        self.log = self.home / "log.txt"
        self.environment = {
            **{name: value for name, value in os.environ.items() if "EURYDICE" not in name},
            "EURYDICE_API__PORT": str(self.port),
            **{f"EURYDICE_{name}": value for name, value in self.settings.items()},
        }

    def command(self, *arguments: str, stdin: str = "") -> str:
        """Do what `eurydice` does, without a process; return what it printed."""
        name, *rest = arguments
        command = eurydice.get_command(click.Context(eurydice), name)
        invocation = Invocation(self.config, self.environment)
        done = CliRunner().invoke(
            command, rest, obj=invocation, input=stdin, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def start(self) -> None:
        self.launch()
        wait_until(self._runs, READY_SECONDS, f"the {self.side} answers: {self.said()[-2000:]}")

    def launch(self) -> None:
        """Start everything, and wait for nothing."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eurydice_core", "--config", str(self.config), "run"],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End every process, whatever they do."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def service(self, name: str) -> psutil.Process:
        """Return the process of a service, waiting for it to be there."""

        def find() -> psutil.Process | None:
            assert self.process is not None
            for child in psutil.Process(self.process.pid).children():
                try:
                    if name in child.cmdline():
                        return child
                except psutil.Error:
                    continue
            return None

        found: psutil.Process = wait_until(find, READY_SECONDS, f"a process of {name}")
        return found

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer of `/readyz`."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        response = httpx.get(url, trust_env=False, timeout=30)
        return response.status_code, response.json()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def client(self, username: str) -> httpx.Client:
        """Make an account and return a client that uses the API as it."""
        self.command("user", "add", username, "--no-password")
        token = self.command("user", "token", "add", username)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1/",
            headers={"Authorization": f"Token {token}"},
            timeout=60,
            trust_env=False,
        )

    def _runs(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        return self.answers()

    def answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/api/v1/metadata/"
            return httpx.get(url, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


class Service:
    """A service run alone, so that it can be killed and comes back at once."""

    def __init__(self, site: Site, name: str, **settings: str) -> None:
        self.site, self.name = site, name
        self.environment = {
            **site.environment,
            **{f"EURYDICE_{name}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self.site.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "eurydice_core", "--config", str(self.site.config)),
                    *("run", self.name),
                ],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it, and what it started, as a power switch would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None


@dataclass
class Sites:
    origin: Site
    destination: Site
    clients: list[httpx.Client] = field(default_factory=list)

    def users(self, count: int) -> list[tuple[httpx.Client, httpx.Client]]:
        """Make users, each with an account on both sides, linked by the words."""
        pairs = []
        for number in range(count):
            sender = self.origin.client(f"sender{number}")
            fetcher = self.destination.client(f"fetcher{number}")
            words = sender.get("user/association/").json()["token"]
            assert fetcher.post("user/association/", json={"token": words}).status_code == 204
            pairs.append((sender, fetcher))
            self.clients += [sender, fetcher]
        return pairs

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.origin.stop()
        self.destination.stop()


def upload(client: httpx.Client, content: Content, name: str) -> dict[str, Any]:
    response = client.post(
        "transferables/",
        content=iter(content) if content.size else b"",
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Length": str(content.size),
            "Metadata-Name": name,
        },
    )
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    return result


def download_digest(client: httpx.Client, id: str) -> str:
    digest = hashlib.sha256()
    with client.stream("GET", f"transferables/{id}/download/") as response:
        assert response.status_code == 200
        for chunk in response.iter_bytes():
            digest.update(chunk)
    return digest.hexdigest()


def upload_any(
    client: httpx.Client, chance: random.Random, largest: int, number: int
) -> tuple[str, str]:
    """Upload a file of any size, small ones more often than large; return its id and SHA-256."""
    content = Content(int(largest ** chance.random()), seed=number)
    result = upload(client, content, f"file-{number}")
    return result["id"], content.sha256.hexdigest()


def await_apis(sites: Sites) -> None:
    """Wait until the APIs of both sides, which were started alone, answer."""
    for site in (sites.origin, sites.destination):
        wait_until(site.answers, READY_SECONDS, "the API is up")


def expect_each_once(client: httpx.Client, sent: Sequence[tuple[str, str]], seconds: float) -> None:
    """Wait until all files are there, and see that each is right and none came twice."""

    def all_arrived() -> bool:
        page = client.get("transferables/", params={"state": "SUCCESS"}).json()
        return page["count"] == len(sent)

    wait_until(all_arrived, seconds, "every file arrived")
    assert client.get("transferables/").json()["count"] == len(sent), "and none twice"
    for id, digest in sent:
        assert download_digest(client, id) == digest


@pytest.fixture
def tools() -> Any:
    """The functions above, for tests that cannot import this file."""

    class Tools:
        content = Content
        service = Service
        free_port = staticmethod(free_port)
        upload_any = staticmethod(upload_any)
        await_apis = staticmethod(await_apis)
        expect_each_once = staticmethod(expect_each_once)
        wait_until = staticmethod(wait_until)
        upload = staticmethod(upload)

        @staticmethod
        def digest(content: bytes) -> str:
            return hashlib.sha256(content).hexdigest()

        download_digest = staticmethod(download_digest)

    return Tools


@pytest.fixture
def make_sites(tmp_path: Path) -> Iterator[Callable[..., Sites]]:
    """Make two sites that share a secret and a link; not started yet."""
    made: list[Sites] = []

    def make(*, origin: dict[str, str] | None = None, **more: Any) -> Sites:
        link = {
            "TRANSPORT__PORT": str(free_port(socket.SOCK_DGRAM)),
            "TRANSPORT__RATE": "1500",
            "LOG__LEVEL": "DEBUG",
        }
        # On a busy machine the second pass may lose something as well; what is sent is checked.
        quick = {"SENDER__REPEAT_AFTER": "2s", "SENDER__REPEAT": "10"}
        settings = {
            "origin": {**quick, **(origin or {})},
            "destination": more.get("destination", {}),
        }
        sites = Sites(
            *(Site(side, tmp_path / side, {**link, **settings[side]}) for side in settings)
        )
        made.append(sites)
        for site in (sites.origin, sites.destination):
            secret = ["--link-secret-file", str(sites.origin.home / "link-secret.txt")]
            site.command(
                "init", site.side, "--dir", str(site.home), *secret * (site.side != "origin")
            )
            if "STORAGE__PLUGIN" in site.settings:  # its keys are not those that init wrote
                written = site.config.read_text().splitlines(keepends=True)
                kept = [line for line in written if not line.startswith("root = ")]
                site.config.write_text("".join(kept))
            site.command("migrate")
        return sites

    yield make
    for sites in made:
        sites.stop()


@pytest.fixture
def sites(make_sites: Callable[..., Sites]) -> Sites:
    """Two sites at work."""
    sites = make_sites()
    sites.origin.start()
    sites.destination.start()
    return sites
