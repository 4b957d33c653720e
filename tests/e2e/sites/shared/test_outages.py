"""What services stand on goes away for a while: they wait, say so, and go on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.timeout(600)]

MIB = 2**20
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "60"))
BYTES = {"Content-Type": "application/octet-stream"}


def readiness(site) -> tuple[int, dict]:
    response = httpx.get(f"http://127.0.0.1:{site.port}/readyz", trust_env=False, timeout=30)
    return response.status_code, response.json()


def is_received(fetcher, id: str) -> bool:
    found = fetcher.get(f"transferables/{id}/")
    return found.status_code == 200 and found.json()["state"] == "SUCCESS"


def check_transfer(tools, sender, fetcher, size: int, seed: int) -> None:
    content = tools.content(size, seed)
    sent = tools.upload(sender, content, f"file-{seed}")
    tools.wait_until(lambda: is_received(fetcher, sent["id"]), 120, "the file arrives")
    assert tools.download_digest(fetcher, sent["id"]) == content.sha256.hexdigest()


@contextmanager
def something_away(tools, sites, size, shut, back) -> Iterator[httpx.Client]:
    """Take away what both sides stand on while a file crosses; see that it and others arrive."""
    both = (sites.origin, sites.destination)
    for site in both:
        site.start()
    ((sender, fetcher),) = sites.users(1)
    check_transfer(tools, sender, fetcher, 5 * MIB, 1)
    content = tools.content(size, 2)
    sent = tools.upload(sender, content, "on its way")
    shut()
    try:
        for site in both:
            tools.wait_until(lambda site=site: readiness(site)[0] == 503, 60, "not ready")
        yield sender
    finally:
        back()
    for site in both:
        tools.wait_until(lambda site=site: readiness(site)[0] == 200, 60, "ready again")
    tools.wait_until(lambda: is_received(fetcher, sent["id"]), 120, "the file arrives")
    assert tools.download_digest(fetcher, sent["id"]) == content.sha256.hexdigest()
    check_transfer(tools, sender, fetcher, 5 * MIB, 3)


def test_postgresql_restarted_under_both_sides_loses_nothing(
    make_shared_sites, tools, postgres_server
):
    sites = make_shared_sites()
    server = postgres_server
    with something_away(tools, sites, 30 * MIB, server.stop, server.start) as sender:
        refused = sender.post("transferables/", content=b"x", headers=BYTES)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        for site in (sites.origin, sites.destination):
            tools.wait_until(
                lambda site=site: "waiting for it, nothing is lost" in site.said(), 60, "it is said"
            )


def test_connections_that_are_all_in_use_are_waited_for_and_nothing_is_lost(
    make_shared_sites, tools, postgres_server
):
    few = {"DATABASE__POOL_SIZE": "1", "DATABASE__BUSY_TIMEOUT": "500ms"}
    sites = make_shared_sites(origin=few, destination=few)

    def keep_locked() -> None:
        for site in (sites.origin, sites.destination):
            locks.enter_context(postgres_server.locked(site.settings["DATABASE__URL"]))

    with (
        ExitStack() as locks,
        something_away(tools, sites, 5 * MIB, keep_locked, locks.close) as sender,
        ThreadPoolExecutor(8) as pool,
    ):
        refused = list(pool.map(lambda _: sender.get("transferables/"), range(16)))
        assert {answer.status_code for answer in refused} == {503}
        said = "all its connections are in use; raise [database] pool_size"
        assert said in sites.origin.said()


def test_object_store_that_answers_late_makes_it_slow_and_nothing_else(
    make_shared_sites, tools, gate
):
    sites = make_shared_sites()
    for site in (sites.origin, sites.destination):
        site.start()
    ((sender, fetcher),) = sites.users(1)
    gate.late = 0.3
    check_transfer(tools, sender, fetcher, 20 * MIB, 1)
    for site in (sites.origin, sites.destination):
        status, told = readiness(site)
        assert (status, told["checks"]["storage"]["status"]) == (200, "ok"), told
    check_transfer(tools, sender, fetcher, 10_000, 2)


@pytest.mark.scale
def test_object_store_away_for_a_while_loses_nothing(make_shared_sites, tools, gate):
    quick = {"STORAGE__RETRIES": "1", "STORAGE__CONNECT_TIMEOUT": "1s"}
    sites = make_shared_sites(origin=quick, destination=quick)
    with something_away(tools, sites, 60 * MIB, gate.shut, gate.open) as sender:
        back = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < back:
            refused = sender.post("transferables/", content=bytes(MIB), headers=BYTES)
            assert refused.status_code == 503, refused.text
            assert readiness(sites.origin)[0] == 503
