"""Waits until both sides can carry files: accounts are linked, packets cross."""

from __future__ import annotations

from typing import Final

import httpx

from eurydice_core.cli.demo.sides import DemoSide, stalled
from eurydice_core.cli.demo.waiting import Waits

__all__ = ["associate", "wait_for_link"]

ASSOCIATED: Final = (httpx.codes.CONFLICT,)
"""Answered where the request before was taken, and its answer got lost."""


def associate(origin: DemoSide, destination: DemoSide, waits: Waits) -> None:
    """Link the account of one side to that of the other, as a user would.

    Raises:
        DemoFailed: a side ended or refuses, or nothing changed for long.
    """

    def post() -> tuple[bool | None, object]:
        answer, state = destination.ask("POST", path, json={"token": words}, accept=ASSOCIATED)
        return (None if answer is None else True), state

    path = "/user/association/"
    words = waits.until(
        "the origin's association words",
        lambda: origin.ask("GET", path),
        lambda text: stalled(text, origin),
    ).json()["token"]
    waits.until("the destination to take them", post, lambda text: stalled(text, destination))


def wait_for_link(origin: DemoSide, destination: DemoSide, waits: Waits) -> None:
    """Return once a packet crossed the link.

    Raises:
        DemoFailed: a side ended, or nothing crosses.
    """

    def look() -> tuple[bool | None, object]:
        origin.check()
        answer, state = destination.ask("GET", "/status/")
        has_come = answer is not None and answer.json()["last_packet_received_at"]
        return (True if has_come else None), state

    waits.until(
        "the first packet to cross the link", look, lambda text: stalled(text, origin, destination)
    )
