"""Both sides at PgBouncer in transaction mode, with few server connections."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.service,
    pytest.mark.scale,
    pytest.mark.timeout(600),
]

FILES = 50
LARGEST = 20 * 2**20


def test_sites_at_pgbouncer_lose_nothing_when_killed(
    make_sites, tools, postgres_server, through_pgbouncer
):
    urls = {
        side: {"DATABASE__URL": through_pgbouncer(postgres_server.database(), pool_size=4)}
        for side in ("origin", "destination")
    }
    sites = make_sites(**urls)
    for site in (sites.origin, sites.destination):
        site.start()
    ((sender, fetcher),) = sites.users(1)
    chance = random.Random(1)

    def upload(numbers):
        with ThreadPoolExecutor(4) as pool:
            jobs = [
                pool.submit(tools.upload_any, sender, chance, LARGEST, number) for number in numbers
            ]
            return [job.result() for job in jobs]

    sent = upload(range(FILES // 2))
    sites.origin.service("sender").kill()
    sites.destination.service("receiver").kill()
    sent += upload(range(FILES // 2, FILES))
    tools.expect_each_once(fetcher, sent, 240)
    for site in (sites.origin, sites.destination):
        assert "prepared statement" not in site.said()
        assert "Traceback" not in site.said()
    assert "the sender polls its queue" in sites.origin.said()
