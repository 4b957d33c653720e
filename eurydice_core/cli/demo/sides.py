"""The two sides: real ones, each with its own processes, database, storage and account."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from eurydice_core.cli.demo.configuration import Configuration
from eurydice_core.config import load_settings
from eurydice_core.config.legacy import COMBINED, LEGACY
from eurydice_core.config.schema import ENVIRONMENT_PREFIX
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.schema import migrate
from eurydice_core.errors import ServiceError
from eurydice_core.installation import open_database
from eurydice_core.private_files import PRIVATE
from eurydice_core.supervisor import STOP_SECONDS, Child, Program, how_it_ended

__all__ = ["DemoFailed", "DemoSide", "running"]

USER: Final = "alice"
REQUEST_SECONDS: Final = 120.0
START_SECONDS: Final = 120.0
LOOK_EVERY: Final = 0.1  # seconds
TAIL_LINES: Final = 15
LOG_NAME: Final = "eurydice.log"


class DemoFailed(ServiceError):
    """The demo did not do what it shows; the logs of these sides may say why."""

    def __init__(self, reason: str, *sides: DemoSide) -> None:
        super().__init__(reason)
        # Taken now: what the services write while they stop says nothing about it.
        self.log_tails = {side.log: side.log_tail() for side in sides}


class DemoSide:
    """One side that runs, and an account on it."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.side = configuration.side
        self.url = configuration.url
        self.log = configuration.directory / LOG_NAME
        self.user = USER
        self.password = secrets.token_urlsafe(12)
        self.token = self._make_account()
        self.client = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Token {self.token}"},
            timeout=REQUEST_SECONDS,
            trust_env=False,  # no proxy stands between us and ourselves
        )
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The number of its supervisor."""
        return self._child.pid if self._child else 0

    def _make_account(self) -> str:
        settings = load_settings(self.configuration.file, {}).settings
        with open_database(settings) as database:
            migrate(database, self.side)
            accounts = Accounts(database)
            accounts.add(self.user, self.password)
            return accounts.issue_token(self.user, label="demo")

    def start(self) -> None:
        """Start its services, as an operator would."""
        command = [sys.executable, "-m", "eurydice_core"]
        command += ["--config", str(self.configuration.file), "run"]
        with PRIVATE.open_file(self.log, "wb") as output:
            program = Program(f"the {self.side} side", command)
            self._child = Child(program, environ=plain_environment(), output=output)

    def wait_until_it_answers(self) -> None:
        """Return once the API does.

        Raises:
            DemoFailed: it does not.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"the API of the {self.side} does not answer", self)
            time.sleep(LOOK_EVERY)

    def _answers(self) -> bool:
        try:
            return self.client.get("/user/me/").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def check(self) -> None:
        """Return if its supervisor runs.

        Raises:
            DemoFailed: it ended.
        """
        code = self._child.exit_code() if self._child else None
        if self._child is None or code is None:
            return
        report = self._child.reported()
        raise DemoFailed(report or f"the {self.side} side {how_it_ended(code, report)}", self)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the API for something.

        Raises:
            DemoFailed: it refuses.
            httpx.TransportError: it does not answer.
        """
        response = self.client.request(method, path, **options)
        if response.is_error:
            raise DemoFailed(
                f"{method} {self.url}{response.url.path} is answered"
                f" {response.status_code}: {detail_of(response)}",
                self,
            )
        return response

    def transferables(self) -> Iterator[dict[str, Any]]:
        """Yield everything in the account's list."""
        query: dict[str, str] = {"page_size": "100"}
        while True:
            page = self.request("GET", "/transferables/", params=query).json()
            yield from page["results"]
            if not page["pages"]["next"]:
                return
            query = {"page": page["pages"]["next"], "page_size": "100"}

    def log_tail(self) -> list[str]:
        """Return the last lines of its log."""
        try:
            return self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        except OSError:
            return []

    def terminate(self) -> None:
        """Tell its services to stop."""
        if self._child is not None:
            self._child.terminate()

    def close(self) -> None:
        """Wait for its services, and let go of everything."""
        self.client.close()
        if self._child is not None:
            self._child.close(STOP_SECONDS + 5)


@contextmanager
def running(*sides: DemoSide) -> Iterator[None]:
    """Run the sides; end both together."""
    try:
        for side in sides:
            side.start()
        for side in sides:
            side.wait_until_it_answers()
        yield
    finally:
        for side in sides:
            side.terminate()
        for side in sides:
            side.close()


def detail_of(response: httpx.Response) -> str:
    """Return what an answer says is wrong."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def plain_environment() -> dict[str, str]:
    """Return our environment without any setting in it: the demo has files of its own."""
    names = {entry.name for entry in LEGACY}
    for combined, _, _ in COMBINED:
        names.update(combined.split(", "))
    names.add("EURYDICE_CONFIG")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in names and not name.startswith(ENVIRONMENT_PREFIX)
    }
