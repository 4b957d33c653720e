"""Carries files over HTTP: in at the origin, out at the destination, and looks at every byte."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from eurydice_core.cli.demo.content import File
from eurydice_core.cli.demo.display import Display
from eurydice_core.cli.demo.memory import MemoryMeter
from eurydice_core.cli.demo.sides import DemoFailed, DemoSide
from eurydice_core.model.states import IncomingState, OutgoingState

__all__ = ["BARS", "Carried", "Stage", "Transfer", "associate", "wait_for_link"]

BARS: Final = ("upload", "sent", "received", "download")
LOOK_EVERY: Final = 0.2  # seconds
LINK_SECONDS: Final = 60.0
STALL_SECONDS: Final = 20.0
"""Without a new byte for so long, what is incomplete stays so: everything was sent again."""
EXPECTED: Final = (IncomingState.ONGOING, IncomingState.SUCCESS)


@dataclass(frozen=True, slots=True)
class Stage:
    """How long a part of the way took."""

    name: str
    bytes: int
    seconds: float

    @property
    def speed(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that was handed to the origin."""

    file: File
    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Both lists at one moment, by id."""

    sent: dict[str, dict[str, Any]]
    received: dict[str, dict[str, Any]]


def associate(origin: DemoSide, destination: DemoSide) -> None:
    """Link the account of one side to that of the other, as a user would."""
    words = origin.request("GET", "/user/association/").json()["token"]
    destination.request("POST", "/user/association/", json={"token": words})


def wait_for_link(origin: DemoSide, destination: DemoSide) -> None:
    """Return once something crossed the link.

    Raises:
        DemoFailed: nothing does.
    """
    deadline = time.monotonic() + LINK_SECONDS
    while not destination.request("GET", "/status/").json()["last_packet_received_at"]:
        origin.check()
        destination.check()
        if time.monotonic() > deadline:
            raise DemoFailed("nothing crosses the link, not even a heartbeat", origin, destination)
        time.sleep(LOOK_EVERY)


class Transfer:
    """Carries files from one side to the other, and compares what comes out."""

    def __init__(
        self,
        origin: DemoSide,
        destination: DemoSide,
        display: Display,
        memory: MemoryMeter,
        timeout: float,
    ) -> None:
        self._origin = origin
        self._destination = destination
        self._display = display
        self._memory = memory
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._began_at = datetime.now(UTC)
        self._received = 0
        self._moved_at = time.monotonic()

    def carry(self, files: Sequence[File]) -> tuple[list[Carried], list[Stage]]:
        """Carry the files; return what was carried, and how long each part of it took.

        Raises:
            DemoFailed: something did not arrive as it was sent.
            ConfigurationError: a file cannot be read.
        """
        size = sum(file.size for file in files)
        self._began_at, began = datetime.now(UTC), time.monotonic()
        with self._watching():
            carried = [self._upload(file) for file in files]
        uploaded = time.monotonic() - began
        seen = self._wait_for([each.id for each in carried])
        began = time.monotonic()
        for each in carried:
            self._download(each, seen.received[each.id])
        downloaded = time.monotonic() - began
        self._memory.look()
        return carried, [
            Stage("upload", size, uploaded),
            Stage("sent", size, self._since_begin(seen.sent)),
            Stage("received", size, self._since_begin(seen.received)),
            Stage("download", size, downloaded),
        ]

    def _watching(self) -> Watching:
        return Watching(self._look)

    def _look(self) -> Seen:
        """Ask both sides how far they are, and show it."""
        self._memory.look()
        seen = Seen(
            {each["id"]: each for each in self._origin.transferables()},
            {each["id"]: each for each in self._destination.transferables()},
        )
        self._display.show("sent", sum(e["bytes_transferred"] for e in seen.sent.values()))
        received = sum(e["bytes_received"] for e in seen.received.values())
        if received != self._received:
            self._received, self._moved_at = received, time.monotonic()
        self._display.show("received", received)
        return seen

    def _upload(self, file: File) -> Carried:
        hasher = hashlib.sha256()

        def body() -> Iterator[bytes]:
            for chunk in file.chunks():
                self._check(self._origin)
                hasher.update(chunk)
                yield chunk
                self._display.advance("upload", len(chunk))

        try:
            response = self._origin.request(
                "POST",
                "/transferables/",
                content=body(),
                headers=[
                    (b"Content-Type", b"application/octet-stream"),
                    (b"Content-Length", str(file.size).encode()),
                    (b"Metadata-Name", file.name.encode()),
                ],
            )
        except httpx.HTTPError as error:
            raise DemoFailed(f"upload of {file.name}: {error}", self._origin) from error
        return Carried(file, response.json()["id"], hasher.hexdigest())

    def _wait_for(self, ids: Sequence[str]) -> Seen:
        """Return both lists once all is there."""
        while True:
            self._check(self._origin, self._destination)
            try:
                seen = self._look()
            except httpx.TransportError:  # a service that died is being started again
                seen = Seen({}, {})
            if all(self._has_arrived(id, seen) for id in ids):
                return seen
            time.sleep(LOOK_EVERY)

    def _has_arrived(self, id: str, seen: Seen) -> bool:
        sent = seen.sent.get(id, {}).get("state", OutgoingState.PENDING)
        received = seen.received.get(id, {}).get("state", IncomingState.ONGOING)
        if sent in (OutgoingState.ERROR, OutgoingState.CANCELED):
            raise DemoFailed(f"transferable {id} is {sent} at the origin", self._origin)
        if received not in EXPECTED and time.monotonic() - self._moved_at > STALL_SECONDS:
            raise DemoFailed(f"transferable {id} is {received} at the destination", *self._sides)
        return (sent, received) == (OutgoingState.SUCCESS, IncomingState.SUCCESS)

    def _download(self, carried: Carried, received: dict[str, Any]) -> None:
        """Fetch a file and compare it."""
        hasher, size = hashlib.sha256(), 0
        path = f"/transferables/{carried.id}/download/"
        try:
            with self._destination.client.stream("GET", path, follow_redirects=True) as response:
                response.raise_for_status()
                for chunk in response.iter_raw():
                    self._check(self._destination)
                    hasher.update(chunk)
                    size += len(chunk)
                    self._display.advance("download", len(chunk))
        except httpx.HTTPError as error:
            what = f"download of {carried.file.name}: {error}"
            raise DemoFailed(what, self._destination) from error
        if size != carried.file.size:
            self._differs(carried, f"has {size} bytes instead of {carried.file.size}")
        if hasher.hexdigest() != carried.sha256:
            self._differs(carried, f"has the digest {hasher.hexdigest()}, not {carried.sha256}")
        if received["name"] != carried.file.name:
            self._differs(carried, f"is called {received['name']!r}")

    def _differs(self, carried: Carried, how: str) -> None:
        raise DemoFailed(f"{carried.file.name} arrived, but {how}", *self._sides)

    @property
    def _sides(self) -> tuple[DemoSide, DemoSide]:
        return self._origin, self._destination

    def _check(self, *sides: DemoSide) -> None:
        """Return if the sides run and there is time left."""
        for side in sides:
            side.check()
        if time.monotonic() > self._deadline:
            raise DemoFailed(f"not done after {self._timeout:.0f} s", *self._sides)

    def _since_begin(self, seen: dict[str, dict[str, Any]]) -> float:
        """Return how long after the beginning the last one was finished, by the sides' clocks."""
        finished = [each["finished_at"] for each in seen.values() if each["finished_at"]]
        last = max(map(datetime.fromisoformat, finished), default=self._began_at)
        return max(0.0, (last - self._began_at).total_seconds())


class Watching:
    """Looks again and again, beside whatever is done meanwhile."""

    def __init__(self, look: Any) -> None:
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            try:
                self._look()
            except (httpx.HTTPError, DemoFailed):
                continue  # whoever waits for the end looks again, and says what is wrong
