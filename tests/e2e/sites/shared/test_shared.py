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
        for site in (sites.origin, sites.destination):
            tools.wait_until(lambda site=site: "listens on" in site.said(), 60, "the API is up")
        ((sender, fetcher),) = sites.users(1)
        done = threading.Event()

        def send(number: int) -> tuple[str, str]:
            content = tools.content(int(20_000_000 ** rng.random()), seed=number)
            result = tools.upload(sender, content, f"file-{number}")
            return result["id"], content.sha256.hexdigest()

        def kill_now_and_then() -> None:
            for number in range(KILLS):
                done.wait(rng.uniform(0.5, 5))
                victim = victims[number % len(victims)]
                victim.kill()
                victim.start()

        with ThreadPoolExecutor(3) as pool:
            killing = pool.submit(kill_now_and_then)
            sent = list(pool.map(send, range(FILES)))
            killing.result()
            done.set()

        def all_arrived() -> bool:
            page = fetcher.get("transferables/", params={"state": "SUCCESS"}).json()
            return page["count"] == FILES

        tools.wait_until(all_arrived, 600, "every file arrived")
        assert fetcher.get("transferables/").json()["count"] == FILES, "and none twice"
        for id, digest in sent:
            assert tools.download_digest(fetcher, id) == digest
        assert sender.get("transferables/", params={"state": "SUCCESS"}).json()["count"] == FILES
    finally:
        for service in (*services, *victims):
            service.kill()
    links = re.findall(r"sending to (\S+) ", sites.origin.said())
    assert len(set(links)) == 2, "both senders worked"
