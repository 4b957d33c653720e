"""What can be wrong with a site is said in one line, and mending it is enough."""

from __future__ import annotations

import subprocess

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MIB = 2**20


def state(fetcher, id: str) -> str | None:
    return fetcher.get(f"transferables/{id}/").json().get("state")


def test_packets_of_another_secret_are_refused_and_said_so(make_sites, tools):
    sites = make_sites(destination={"LINK__SECRET": "not what the origin has" + "." * 32})
    sites.origin.start()
    sites.destination.start()
    sender = sites.origin.client("alice")
    sites.origin.clients = [sender]
    with sender:
        tools.upload(sender, tools.content(MIB, 1), "sealed")
        said = "check that [link] secret is the same on both sides"
        tools.wait_until(lambda: said in sites.destination.said(), 60, "it says what is wrong")
    assert "Traceback" not in sites.destination.said()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MiB; skipped where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_at_the_origin_refuses_the_upload_and_keeps_nothing_of_it(
    make_sites, tools, small_disk
):
    sites = make_sites(origin={"STORAGE__ROOT": str(small_disk / "data"), "STORAGE__MIN_FREE": "0"})
    sites.origin.start()
    sender = sites.origin.client("alice")
    with sender:
        response = sender.post(
            "transferables/",
            content=iter(tools.content(40 * MIB, 1)),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert response.status_code == 507
        assert "no room left" in response.json()["detail"]
        (row,) = sender.get("transferables/").json()["results"]
        assert row["state"] == "ERROR"
        assert sender.post(
            "transferables/",
            content=b"small",
            headers={"Content-Type": "application/octet-stream"},
        ).status_code in (201, 507)


def test_a_full_disk_at_the_destination_is_waited_for_and_nothing_is_lost(
    make_sites, tools, small_disk
):
    sites = make_sites(
        destination={"STORAGE__ROOT": str(small_disk / "data"), "STORAGE__MIN_FREE": "0"}
    )
    sites.origin.start()
    sites.destination.start()
    ((sender, fetcher),) = sites.users(1)
    content = tools.content(60 * MIB, 1)
    id = tools.upload(sender, content, "large")["id"]
    tools.wait_until(
        lambda: "nothing is lost" in sites.destination.said(), 60, "it says that the disk is full"
    )
    assert state(fetcher, id) in (None, "ONGOING")
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    tools.wait_until(lambda: state(fetcher, id) == "SUCCESS", 60, "the file arrived")
    assert tools.download_digest(fetcher, id) == content.sha256.hexdigest()
