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
        tools.await_apis(sites)
        ((sender, fetcher),) = sites.users(1)
        done = threading.Event()

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
                sent.append(tools.upload_any(sender, rng, 4_000_000, number))
                done.wait(0 if killing.done() else rng.uniform(0, 0.5))
            killing.result()

        tools.expect_each_once(fetcher, sent, 240)
    finally:
        for service in (*services, *victims):
            service.kill()
