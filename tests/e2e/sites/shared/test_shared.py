"""Two senders and two receivers on one database and one store, killed again and again."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.service,
    pytest.mark.scale,
    pytest.mark.timeout(1800),
]

FILES = int(os.environ.get("SHARED_FILES", "60"))
"""Mixed files; 2,000 take some ten minutes."""
KILLS = int(os.environ.get("SHARED_KILLS", "4"))


def test_two_senders_and_two_receivers_deliver_each_file_once_though_killed(
    make_shared_sites, tools, tmp_path
):
    rng = random.Random(FILES)
    sites = make_shared_sites(origin={"SENDER__REPEAT": "100"})
    services, victims = [], []
    try:
        services += [tools.service(site, "api") for site in (sites.origin, sites.destination)]
        for number in range(2):
            port = str(tools.free_port(socket.SOCK_DGRAM))
            for site, name in ((sites.origin, "sender"), (sites.destination, "receiver")):
                machine = tmp_path / f"machine-{name}-{number}"
                settings = {"TRANSPORT__PORT": port, "STATE_DIR": str(machine)}
                victims.append(tools.service(site, name, **settings))
        tools.await_apis(sites)
        ((sender, fetcher),) = sites.users(1)
        done = threading.Event()

        def kill_now_and_then() -> None:
            for number in range(KILLS):
                done.wait(rng.uniform(0.5, 5))
                victim = victims[number % len(victims)]
                victim.kill()
                victim.start()

        with ThreadPoolExecutor(3) as pool:
            killing = pool.submit(kill_now_and_then)
            sent = list(
                pool.map(
                    lambda number: tools.upload_any(sender, rng, 20_000_000, number), range(FILES)
                )
            )
            killing.result()
            done.set()

        tools.expect_each_once(fetcher, sent, 600)
        assert sender.get("transferables/", params={"state": "SUCCESS"}).json()["count"] == FILES
    finally:
        for service in (*services, *victims):
            service.kill()
    links = re.findall(r"sending to (\S+) ", sites.origin.said())
    assert len(set(links)) == 2, "both senders worked"
