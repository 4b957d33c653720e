"""Waits of `eurydice demo`: on a slow machine they go on, and say for what."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from eurydice_core.cli.demo.display import Display
from eurydice_core.cli.demo.ready import associate, wait_for_link
from eurydice_core.cli.demo.sides import DemoFailed, DemoSide, wait_until_it_answers
from eurydice_core.cli.demo.transfer import Transfer
from eurydice_core.cli.demo.waiting import PROGRESS_SECONDS, Waits


class Clock:
    """Time that passes only in sleep, at a pace that keeps the tests short."""

    now = 1000.0
    pace = 1.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds * self.pace


class NoMeter:
    """Stands for the memory meter, which reads all of /proc."""

    def look(self):
        pass


class FakeSide(DemoSide):
    """A side whose API is a function of the time, and whose process ends at some time."""

    def __init__(self, clock, answer, ends_at=float("inf"), side="origin"):
        self.clock, self.began, self.ends_at = clock, clock(), ends_at
        self.side, self.url, self.log = side, "http://side", Path(f"/demo/{side}/eurydice.log")
        self.requests = []

        def handle(request):
            self.requests.append(f"{request.method} {request.url.path}")
            return answer(request, self.clock() - self.began)

        self.client = httpx.Client(
            base_url="http://side/api/v1", transport=httpx.MockTransport(handle)
        )

    def check(self):
        if self.clock() - self.began > self.ends_at:
            raise DemoFailed(f"the {self.side} side ended with exit code 1", self)


def up_after(seconds, body=None):
    """Refuse connections at first, then say 503, and answer in the end."""

    def answer(_request, now):
        if now < seconds / 2:
            raise httpx.ConnectError("Connection refused")
        if now < seconds:
            return httpx.Response(503, json={"detail": "the database is away"})
        return httpx.Response(200, json=body or {})

    return answer


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def display(output):
    return Display(Console(file=output, width=80))


@pytest.fixture
def waits(clock, display):
    return Waits(display, clock=clock, sleep=clock.sleep)


def test_slow_api_is_waited_for_with_few_lines(clock, waits, output):
    side = FakeSide(clock, up_after(500))
    wait_until_it_answers(side, [side], waits)
    lines = output.getvalue().splitlines()
    assert lines[0] == "  waiting for the origin's API to answer (5 s)"
    assert len(lines) < 15
    assert all(line.startswith("  waiting for the origin's API to answer (") for line in lines)


def test_fast_api_costs_no_line(clock, waits, output):
    side = FakeSide(clock, up_after(2))
    wait_until_it_answers(side, [side], waits)
    assert output.getvalue() == ""


def test_api_that_never_answers_fails_after_ten_minutes(clock, waits):
    side = FakeSide(clock, up_after(float("inf")))
    with pytest.raises(DemoFailed) as caught:
        wait_until_it_answers(side, [side], waits)
    assert str(caught.value) == (
        "waited for the origin's API to answer, and nothing changed for 10 min 00 s"
        " (last: Connection refused): look at /demo/origin/eurydice.log"
    )
    assert PROGRESS_SECONDS <= clock() - side.began < PROGRESS_SECONDS + 5


def test_side_that_ends_is_noticed_at_once(clock, waits):
    origin = FakeSide(clock, up_after(500))
    destination = FakeSide(clock, up_after(1), ends_at=3, side="destination")
    with pytest.raises(DemoFailed, match="the destination side ended with exit code 1"):
        wait_until_it_answers(origin, [origin, destination], waits)
    assert clock() - origin.began < 5


def test_terminal_shows_a_spinner_and_leaves_no_line(clock, output):
    console = Console(file=output, force_terminal=True, width=80)
    waits = Waits(Display(console), clock=clock, sleep=clock.sleep)
    side = FakeSide(clock, up_after(60))
    wait_until_it_answers(side, [side], waits)
    text = output.getvalue()
    assert "waiting for the origin's API to answer" in text
    assert text.endswith("\x1b[2K")  # the spinner's line is erased
    assert "(5 s)\n" not in text


def test_accounts_are_linked_though_an_answer_gets_lost(clock, waits):
    lost = [httpx.ReadTimeout("timed out"), None]

    def answer(_request, _now):
        error = lost.pop(0)
        if error:
            raise error
        return httpx.Response(409, json={"detail": "already"})

    origin = FakeSide(clock, up_after(100, {"token": "words"}))
    destination = FakeSide(clock, answer, side="destination")
    associate(origin, destination, waits)
    assert destination.requests == ["POST /api/v1/user/association/"] * 2


def test_refusal_ends_the_wait(clock, waits):
    origin = FakeSide(clock, lambda *_: httpx.Response(403, json={"detail": "no"}))
    with pytest.raises(DemoFailed, match="is answered 403: no"):
        associate(origin, origin, waits)


def test_slow_link_is_waited_for(clock, waits, output):
    def answer(_request, now):
        at = "2026-01-01T00:00:00Z" if now > 400 else None
        return httpx.Response(200, json={"last_packet_received_at": at})

    origin = FakeSide(clock, up_after(0))
    wait_for_link(origin, FakeSide(clock, answer, side="destination"), waits)
    assert "  waiting for the first packet to cross the link (5 s)\n" in output.getvalue()


def test_silent_link_names_both_logs(clock, waits):
    silent = lambda *_: httpx.Response(200, json={"last_packet_received_at": None})  # noqa: E731
    origin = FakeSide(clock, silent)
    with pytest.raises(DemoFailed) as caught:
        wait_for_link(origin, FakeSide(clock, silent, side="destination"), waits)
    assert str(caught.value).endswith(
        "look at /demo/origin/eurydice.log and /demo/destination/eurydice.log"
    )


def crawling(clock, duration, side):
    """Return a side at which a file of 100 bytes grows for this long, then is whole."""

    def answer(_request, now):
        done = min(100, int(100 * now / duration))
        listed = {
            "id": "1",
            "state": "SUCCESS" if done == 100 else "ONGOING",
            "bytes_transferred": done,
            "bytes_received": done,
        }
        return httpx.Response(200, json={"results": [listed], "pages": {"next": None}})

    return FakeSide(clock, answer, side=side)


@contextmanager
def transfer(clock, waits, display, *, duration, timeout=None):
    origin, destination = (crawling(clock, duration, side) for side in ("origin", "destination"))
    with display.bars(100, "sent", "received"):
        yield Transfer(origin, destination, display, NoMeter(), waits, timeout)


def test_slow_transfer_goes_on_for_as_long_as_bytes_come(clock, waits, display):
    clock.pace = 250.0
    with transfer(clock, waits, display, duration=20_000) as moving:
        assert moving._wait_for(["1"]).received["1"]["state"] == "SUCCESS"


def test_transfer_that_stands_still_fails_with_what_was_seen_last(clock, waits, display, output):
    clock.pace = 10.0
    with (
        transfer(clock, waits, display, duration=10**9) as moving,
        pytest.raises(DemoFailed, match=r"waited for the file to arrive.*1 ONGOING at the origin"),
    ):
        moving._wait_for(["1"])
    assert "  waiting for the file to arrive (6 s)\n" in output.getvalue()


def test_timeout_that_is_asked_for_ends_a_transfer(clock, waits, display):
    with (
        transfer(clock, waits, display, duration=20_000, timeout=30.0) as moving,
        pytest.raises(DemoFailed, match="not done after 30 s"),
    ):
        moving._wait_for(["1"])
