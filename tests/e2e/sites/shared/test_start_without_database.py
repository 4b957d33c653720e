"""Both sides start though PostgreSQL is away: they wait, say why, and go on."""

from __future__ import annotations

import functools
import re

import httpx
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.scale, pytest.mark.timeout(600)]

SIDES = {"origin": "sender", "destination": "receiver"}


def is_alive(site) -> bool:
    try:
        url = f"http://127.0.0.1:{site.port}/healthz"
        return httpx.get(url, trust_env=False, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def lines_like(site, pattern: str) -> list[str]:
    return re.findall(pattern, site.said())


def test_sides_started_before_postgresql_wait_for_it(make_sites, tools, postgres_server):
    urls = {name: {"DATABASE__URL": postgres_server.database()} for name in SIDES}
    sites = make_sites(**urls)
    both = [getattr(sites, name) for name in SIDES]
    postgres_server.stop()
    try:
        for site in both:
            site.launch()
        for site in both:
            tools.wait_until(lambda site=site: is_alive(site), 180, "the API is alive")
            status, told = site.readiness()
            assert status == 503
            assert "connection to server" in told["checks"]["start"]["reason"]
            for service in ("api", "cleaner", SIDES[site.side]):
                line = rf"{service}: database .*waiting for it"
                found = functools.partial(lines_like, site, line)
                tools.wait_until(found, 180, f"{service} says so")
                assert len(found()) == 1
    finally:
        postgres_server.start()
    for site in both:
        tools.wait_until(site.answers, 180, "it goes on")
    ((sender, fetcher),) = sites.users(1)
    content = tools.content(1000, 1)
    id = tools.upload(sender, content, "small")["id"]
    tools.expect_each_once(fetcher, [(id, content.sha256.hexdigest())], 120)
    for site in both:
        tools.wait_until(lambda site=site: site.readiness()[0] == 200, 60, "ready")
        assert "Traceback" not in site.said()
