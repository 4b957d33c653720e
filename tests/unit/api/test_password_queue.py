"""The queue for password hashes: bounded, and fair between addresses."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from eurydice_core.api.password_queue import MAX_WAITING, MAX_WAITING_AT, PasswordQueue
from eurydice_core.errors import TooManyPasswords


class Flood:
    """Requests that hold a slot until they are told to end."""

    def __init__(self, slots=1):
        self.queue = PasswordQueue(slots)
        self.served = []
        self.end = asyncio.Semaphore(0)

    async def request(self, place):
        async with self.queue.slot(place):
            self.served.append(place)
            await self.end.acquire()

    async def start(self, *places):
        tasks = [asyncio.ensure_future(self.request(place)) for place in places]
        await asyncio.sleep(0)
        return tasks

    async def finish(self, *tasks):
        for _ in tasks:
            self.end.release()
        return await asyncio.gather(*tasks, return_exceptions=True)


def test_addresses_are_served_in_turn():
    async def run():
        flood = Flood()
        tasks = await flood.start(*["attacker"] * 5, "alice", "bob")
        await flood.finish(*tasks)
        return flood.served

    expected = ["attacker", "attacker", "alice", "bob", "attacker", "attacker", "attacker"]
    assert asyncio.run(run()) == expected


def test_requests_of_one_address_are_bounded():
    async def run():
        flood = Flood()
        return await flood.finish(*await flood.start(*["attacker"] * (MAX_WAITING_AT + 3)))

    refused = [error for error in asyncio.run(run()) if error is not None]
    assert [type(error) for error in refused] == [TooManyPasswords] * 2
    assert refused[0].retry_after > 0


def test_full_queue_drops_the_newest_of_the_longest():
    async def run():
        flood = Flood()
        places = [f"attacker {number % 8}" for number in range(MAX_WAITING + 1)]
        tasks = await flood.start(*places, "alice", *["other"] * 20)
        await flood.finish(*tasks)
        return flood.served

    served = asyncio.run(run())
    assert len(served) == MAX_WAITING + 1
    assert served.index("alice") <= 9
    assert "other" in served


def test_cancelled_requests_lose_no_slot():
    async def run(seed):
        randomly = random.Random(seed)
        flood = Flood(2)
        tasks = []
        for _ in range(40):
            tasks += await flood.start(randomly.choice("abc"))
            if randomly.random() < 0.4:
                randomly.choice(tasks).cancel()
            if randomly.random() < 0.3:
                flood.end.release()
        await flood.finish(*tasks)
        with suppress(TooManyPasswords):
            async with flood.queue.slot("a"), flood.queue.slot("b"):
                return flood.queue._free, dict(flood.queue._waiting)

    for seed in range(50):
        assert asyncio.run(run(seed)) == (0, {})


def test_slot_is_released_when_a_computation_fails():
    async def run():
        queue = PasswordQueue(1)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                async with queue.slot("a"):
                    raise ZeroDivisionError

    asyncio.run(run())
