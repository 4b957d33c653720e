"""Carries files over HTTP: in at the origin, out at the destination, and looks at every byte."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from eurydice_core.cli.demo.content import File
from eurydice_core.cli.demo.display import Display
from eurydice_core.cli.demo.memory import MemoryMeter
from eurydice_core.cli.demo.sides import DemoFailed, DemoSide, NotNow, stalled
from eurydice_core.cli.demo.waiting import Waits
from eurydice_core.model.quantities import format_size
from eurydice_core.model.states import IncomingState, OutgoingState, Side

__all__ = ["BARS", "Carried", "Stage", "Transfer"]

BARS: Final = ("upload", "sent", "received", "download")
LOOK_EVERY: Final = 0.2  # seconds
REPEAT_SECONDS: Final = 120.0
"""Without a new byte for this long, an incomplete file stays so: everything was sent again."""
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


class Transfer:
    """Carries files from one side to the other, and compares what comes out."""

    def __init__(
        self,
        origin: DemoSide,
        destination: DemoSide,
        display: Display,
        memory: MemoryMeter,
        waits: Waits,
        timeout: float | None = None,
    ) -> None:
        self._origin = origin
        self._destination = destination
        self._display = display
        self._memory = memory
        self._waits = waits
        self._timeout = timeout
        self._deadline = None if timeout is None else waits.clock() + timeout
        self._began_at = datetime.now(UTC)
        self._uploaded = 0
        self._received = 0
        self._moved_at = waits.clock()

    def carry(self, files: Sequence[File]) -> tuple[list[Carried], list[Stage]]:
        """Carry the files; return what was carried, and how long each part of it took.

        Raises:
            DemoFailed: something did not arrive as it was sent.
            ConfigurationError: a file cannot be read.
        """
        size = sum(file.size for file in files)
        self._began_at, began = datetime.now(UTC), time.monotonic()
        with self._watching(len(files)):
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

    @contextmanager
    def _watching(self, count: int) -> Iterator[None]:
        """Look at both sides, beside the upload, and say if it does not go on."""
        what = "the origin to take " + ("the file" if count == 1 else f"{count} files")
        with self._waits.patience(what) as patience:

            def look() -> None:
                try:
                    self._look()
                finally:
                    patience.see((self._uploaded, self._received))

            with Watching(look):
                yield

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
            self._received, self._moved_at = received, self._waits.clock()
        self._display.show("received", received)
        return seen

    def _upload(self, file: File) -> Carried:
        hasher = hashlib.sha256()

        def body() -> Iterator[bytes]:
            for chunk in file.chunks():
                self._check(self._origin)
                hasher.update(chunk)
                yield chunk
                self._uploaded += len(chunk)
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

        def look() -> tuple[Seen | None, object]:
            self._check(*self._sides)
            try:
                seen = self._look()
            except (NotNow, httpx.TransportError) as error:  # it may be started again
                return None, str(error) or type(error).__name__
            has_all = [self._has_arrived(id, seen) for id in ids]
            return (seen if all(has_all) else None), progress_of(seen)

        what = "the file to arrive" if len(ids) == 1 else f"{len(ids)} files to arrive"
        return self._waits.until(what, look, lambda text: stalled(text, *self._sides))

    def _has_arrived(self, id: str, seen: Seen) -> bool:
        sent = seen.sent.get(id, {}).get("state", OutgoingState.PENDING)
        received = seen.received.get(id, {}).get("state", IncomingState.ONGOING)
        if sent in (OutgoingState.ERROR, OutgoingState.CANCELED):
            raise DemoFailed(f"transferable {id} is {sent} at the origin", self._origin)
        is_still = self._waits.clock() - self._moved_at > REPEAT_SECONDS
        if received not in EXPECTED and is_still:
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
        if self._deadline is not None and self._waits.clock() > self._deadline:
            raise DemoFailed(f"not done after {self._timeout:.0f} s", *self._sides)

    def _since_begin(self, seen: dict[str, dict[str, Any]]) -> float:
        """Return how long after the beginning the last one was finished, by the sides' clocks."""
        finished = [each["finished_at"] for each in seen.values() if each["finished_at"]]
        last = max(map(datetime.fromisoformat, finished), default=self._began_at)
        return max(0.0, (last - self._began_at).total_seconds())


def progress_of(seen: Seen) -> str:
    """Return how far both sides are: it changes with every byte and state."""
    sent = sum(each["bytes_transferred"] for each in seen.sent.values())
    received = sum(each["bytes_received"] for each in seen.received.values())
    states = Counter(
        f"{each['state']} at the {side}"
        for side, listed in ((Side.ORIGIN, seen.sent), (Side.DESTINATION, seen.received))
        for each in listed.values()
    )
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{format_size(sent)} sent, {format_size(received)} received, {told or 'no file'}"


class Watching:
    """Looks again and again, beside whatever is done meanwhile."""

    def __init__(self, look: Callable[[], None]) -> None:
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
