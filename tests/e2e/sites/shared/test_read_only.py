"""A database that turns read-only, as at a fail-over to a standby: nothing is lost."""

from __future__ import annotations

import contextlib
import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.timeout(600)]

FILES = 200
BEFORE = 60  # files that are acknowledged when it begins
LARGEST = 300_000
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@contextlib.contextmanager
def read_only(url):
    """Turn a database read-only and end its connections; new ones may write again afterwards."""
    parsed = make_url(url).set(drivername="postgresql")
    name = parsed.database
    admin = parsed.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        connection.execute(TERMINATE, [name])
        try:
            yield
        finally:
            # The connections made meanwhile stay read-only: the services must drop them.
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


def upload_until_taken(tools, client, number, refused):
    """Repeat an upload until it is acknowledged; return its id and digest."""
    content = tools.content(random.Random(number).randrange(LARGEST), number)
    headers = {"Content-Type": "application/octet-stream", "Metadata-Name": f"file-{number}"}
    deadline = time.monotonic() + 240
    while True:
        body = b"".join(content)
        answer = client.post("transferables/", content=body, headers=headers)
        if answer.status_code == 201:
            return answer.json()["id"], tools.digest(body)
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        refused.append(number)
        assert time.monotonic() < deadline
        time.sleep(0.5)


def readiness(site):
    return httpx.get(f"http://127.0.0.1:{site.port}/readyz", trust_env=False, timeout=30).json()


def expect_all(tools, client, sent):
    """Wait until what was acknowledged is there, and see that it is right.

    There may be more: an upload whose answer was 503 may have been recorded all the same.
    """

    def missing():
        answers = {id: client.get(f"transferables/{id}/") for id, _ in sent}
        return [
            id
            for id, answer in answers.items()
            if answer.status_code != 200 or answer.json()["state"] != "SUCCESS"
        ]

    tools.wait_until(lambda: not missing(), 180, "every acknowledged file arrived")
    for id, digest in sent:
        assert tools.download_digest(client, id) == digest


@pytest.mark.parametrize("side", ["origin", pytest.param("destination", marks=pytest.mark.scale)])
@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.scale)])
def test_read_only_database_amid_200_files_loses_nothing(
    side, seconds, make_sites, tools, postgres_server
):
    urls = {name: postgres_server.database() for name in ("origin", "destination")}
    sites = make_sites(**{name: {"DATABASE__URL": url} for name, url in urls.items()})
    site = getattr(sites, side)
    sites.origin.start()
    sites.destination.start()
    ((sender, fetcher),) = sites.users(1)
    refused = []
    with ThreadPoolExecutor(4) as pool:

        def upload(numbers):
            jobs = [pool.submit(upload_until_taken, tools, sender, n, refused) for n in numbers]
            return jobs

        sent = [job.result() for job in upload(range(BEFORE))]
        with read_only(urls[side]):
            later = upload(range(BEFORE, FILES))
            end = time.monotonic() + seconds
            tools.wait_until(
                lambda: readiness(site)["checks"]["database"]["status"] == "failing",
                60,
                "/readyz says that it cannot write",
            )
            time.sleep(max(0.0, end - time.monotonic()))
        sent += [job.result() for job in later]
    assert bool(refused) == (side == "origin")
    expect_all(tools, fetcher, sent)
    for each in (sites.origin, sites.destination):
        tools.wait_until(
            lambda each=each: readiness(each)["checks"]["database"]["status"] == "ok",
            60,
            "/readyz is well again",
        )
    assert "Traceback" not in site.said()
