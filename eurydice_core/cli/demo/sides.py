"""The two sides: real ones, each with its own processes, database, storage and account."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from eurydice_core.cli.demo.configuration import Configuration
from eurydice_core.cli.demo.waiting import Waits
from eurydice_core.config import load_settings
from eurydice_core.config.legacy import COMBINED, LEGACY
from eurydice_core.config.schema import ENVIRONMENT_PREFIX
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.schema import migrate
from eurydice_core.errors import ServiceError
from eurydice_core.installation import open_database
from eurydice_core.private_files import PRIVATE
from eurydice_core.supervisor import STOP_SECONDS, Child, Program, how_it_ended

__all__ = ["DemoFailed", "DemoSide", "NotNow", "running", "stalled"]

USER: Final = "alice"
REQUEST_SECONDS: Final = 600.0
"""Longest silence of an API while it takes or sends a file."""
ASK_SECONDS: Final = 60.0
"""Longest wait for one answer that is asked for again if there is none."""
NOT_NOW: Final = (
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
)
TAIL_LINES: Final = 15
LOG_NAME: Final = "eurydice.log"


class DemoFailed(ServiceError):
    """The demo did not do what it shows; the logs of these sides may say why."""

    def __init__(self, reason: str, *sides: DemoSide) -> None:
        super().__init__(reason)
        # Taken now: what the services write while they stop says nothing about it.
        self.log_tails = {side.log: side.log_tail() for side in sides}


class NotNow(DemoFailed):
    """An API answered that it cannot do a request at the moment."""


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

    def api_state(self) -> tuple[bool | None, object]:
        """Return True once the API answers, and what it does until then."""
        try:
            code = self.client.get("/user/me/", timeout=ASK_SECONDS).status_code
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__
        return (True if code == httpx.codes.OK else None), f"HTTP {code}"

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

    def request(
        self, method: str, path: str, *, accept: Container[int] = (), **options: Any
    ) -> httpx.Response:
        """Send a request to the API; return its answer if it is no error, or accepted.

        Raises:
            NotNow: it is busy, or its database is away.
            DemoFailed: it refuses.
            httpx.TransportError: it does not answer.
        """
        response = self.client.request(method, path, **options)
        if response.is_error and response.status_code not in accept:
            kind = NotNow if response.status_code in NOT_NOW else DemoFailed
            raise kind(
                f"{method} {self.url}{response.url.path} is answered"
                f" {response.status_code}: {detail_of(response)}",
                self,
            )
        return response

    def ask(self, method: str, path: str, **options: Any) -> tuple[httpx.Response | None, object]:
        """Return the API's answer, None if there is none now, and why not.

        Raises:
            DemoFailed: its supervisor ended, or the API refuses.
        """
        self.check()
        try:
            return self.request(method, path, timeout=ASK_SECONDS, **options), None
        except (NotNow, httpx.TransportError) as error:
            return None, str(error) or type(error).__name__

    def transferables(self) -> Iterator[dict[str, Any]]:
        """Yield everything in the account's list."""
        query: dict[str, str] = {"page_size": "100"}
        while True:
            answer = self.request("GET", "/transferables/", params=query, timeout=ASK_SECONDS)
            page = answer.json()
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
def running(waits: Waits, *sides: DemoSide) -> Iterator[None]:
    """Run the sides; end both together."""
    try:
        for side in sides:
            side.start()
        for side in sides:
            wait_until_it_answers(side, sides, waits)
        yield
    finally:
        for side in sides:
            side.terminate()
        for side in sides:
            side.close()


def wait_until_it_answers(side: DemoSide, sides: Sequence[DemoSide], waits: Waits) -> None:
    """Return once the API of a side answers, for as long as all sides run.

    Raises:
        DemoFailed: a side ended, or nothing changed for long.
    """

    def look() -> tuple[bool | None, object]:
        for each in sides:
            each.check()
        return side.api_state()

    waits.until(f"the {side.side}'s API to answer", look, lambda text: stalled(text, side))


def stalled(text: str, *sides: DemoSide) -> DemoFailed:
    """Return the failure of a wait, with the logs to look at."""
    return DemoFailed(f"{text}: look at {' and '.join(str(side.log) for side in sides)}", *sides)


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
