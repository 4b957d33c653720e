"""A service killed in the middle of a gigabyte costs nothing but time."""

from __future__ import annotations

import threading

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GIB = 2**30
VICTIMS = {"sender": "origin", "receiver": "destination"}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_gigabyte_arrives_though_a_service_is_killed_in_the_middle(sites, tools, victim):
    ((sender, fetcher),) = sites.users(1)
    content = tools.content(GIB, seed=1)
    uploaded = []
    thread = threading.Thread(
        target=lambda: uploaded.append(tools.upload(sender, content, "gigabyte"))
    )
    thread.start()

    def received() -> int:
        results = fetcher.get("transferables/").json()["results"]
        return results[0]["bytes_received"] if results else 0

    tools.wait_until(lambda: received() > GIB // 4, 120, "a quarter of the file came")
    killed = getattr(sites, VICTIMS[victim]).service(victim)
    killed.kill()
    killed.wait(10)
    thread.join(120)
    id = uploaded[0]["id"]
    assert uploaded[0]["sha256"] == content.sha256.hexdigest()

    def arrived() -> bool:
        return fetcher.get(f"transferables/{id}/").json().get("state") == "SUCCESS"

    tools.wait_until(arrived, 150, "the file arrived")
    assert tools.download_digest(fetcher, id) == content.sha256.hexdigest()
    assert "SIGKILL" in getattr(sites, VICTIMS[victim]).said()
    assert len(fetcher.get("transferables/").json()["results"]) == 1
