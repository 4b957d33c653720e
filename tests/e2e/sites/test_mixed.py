"""Many files of several users, with each scheduler."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FILES = 100
LARGEST = 50_000_000


def sizes() -> list[int]:
    """Most small, some large, as files are; both ends are there."""
    rng = random.Random(7)
    return [0, 1, LARGEST, *(int(LARGEST ** rng.random()) for _ in range(FILES - 3))]


@pytest.mark.parametrize("scheduler", ["scheduler_fifo", "scheduler_rotating"])
def test_a_hundred_files_of_three_users_arrive_intact(make_sites, tools, scheduler):
    sites = make_sites(origin={"SCHEDULER__PLUGIN": scheduler})
    sites.origin.start()
    sites.destination.start()
    pairs = sites.users(3)

    def send(number_and_size: tuple[int, int]) -> tuple[int, str, str]:
        number, size = number_and_size
        content = tools.content(size, seed=number)
        result = tools.upload(pairs[number % 3][0], content, f"file-{number}")
        return number % 3, result["id"], content.sha256.hexdigest()

    with ThreadPoolExecutor(3) as pool:
        sent = list(pool.map(send, enumerate(sizes())))

    def all_arrived() -> bool:
        counts = [
            fetcher.get("transferables/", params={"state": "SUCCESS"}).json()["count"]
            for _, fetcher in pairs
        ]
        return sum(counts) == FILES

    tools.wait_until(all_arrived, 120, "every file arrived")
    for user, id, digest in sent:
        assert tools.download_digest(pairs[user][1], id) == digest
