"""Services killed again and again while files keep coming: all arrive, each once."""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("KILLS", "6"))
"""How often a service is killed; 50 take about five minutes."""
FILES = 6 * KILLS


def test_every_file_arrives_once_however_often_sender_and_receiver_are_killed(make_sites, tools):
    rng = random.Random(KILLS)
    sites = make_sites(origin={"SENDER__REPEAT": "100"})
    services = [tools.service(sites.origin, "api"), tools.service(sites.destination, "api")]
    victims = [
        tools.service(sites.origin, "sender"),
        tools.service(sites.destination, "receiver"),
    ]
    try:
        for site in (sites.origin, sites.destination):
            tools.wait_until(lambda site=site: "listens on" in site.said(), 60, "the API is up")
        ((sender, fetcher),) = sites.users(1)
        done = threading.Event()

        def send(number: int) -> tuple[str, str]:
            content = tools.content(int(4_000_000 ** rng.random()), seed=number)
            result = tools.upload(sender, content, f"file-{number}")
            return result["id"], content.sha256.hexdigest()

        def kill_now_and_then() -> None:
            for _ in range(KILLS):
                victim = rng.choice(victims)
                done.wait(rng.uniform(0.2, 3))
                victim.kill()
                victim.start()

        with ThreadPoolExecutor(2) as pool:
            killing = pool.submit(kill_now_and_then)
            sent = []
            for number in range(FILES):
                sent.append(send(number))
                done.wait(0 if killing.done() else rng.uniform(0, 0.5))
            killing.result()

        def all_arrived() -> bool:
            page = fetcher.get("transferables/", params={"state": "SUCCESS"}).json()
            return page["count"] == FILES

        tools.wait_until(all_arrived, 240, "every file arrived")
        assert fetcher.get("transferables/").json()["count"] == FILES, "and none twice"
        for id, digest in sent:
            assert tools.download_digest(fetcher, id) == digest
    finally:
        for service in (*services, *victims):
            service.kill()
