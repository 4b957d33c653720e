"""One name for a request: in its answer, in its problem, and in every line of the log."""

from __future__ import annotations

import pytest
from loguru import logger

from eurydice_core.model.states import Side

ME = "/api/v1/user/me/"


@pytest.fixture
def lines():
    """The records that are logged meanwhile."""
    records = []
    number = logger.add(lambda message: records.append(message.record), level=0)
    yield records
    logger.remove(number)


@pytest.fixture
def behind_proxy(make_bench, proxy_api):
    return make_bench(Side.ORIGIN, api=proxy_api)


def test_a_trusted_proxy_names_the_request(behind_proxy):
    assert behind_proxy.get(ME, headers={"X-Request-ID": "edge-1.a_b"}).headers["X-Request-Id"] == (
        "edge-1.a_b"
    )


def test_nobody_else_does(origin):
    answer = origin.get(ME, headers={"X-Request-ID": "mine"})
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize("offered", ["", "a b", "a\x1b[31m", "x" * 65, "a,b", "é"])
def test_what_could_deceive_readers_of_a_log_is_not_taken(behind_proxy, offered):
    answer = behind_proxy.get(ME, headers={"X-Request-ID": offered.encode()})
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/nowhere/"), ("PUT", ME), ("GET", "/api/v1/transferables/x/")],
)
def test_problems_carry_the_name(origin, method, path):
    answer = origin.request(method, path)
    name = answer.headers["X-Request-Id"]
    assert answer.json()["request_id"] == name
    assert answer.json()["instance"] == f"urn:eurydice:request:{name}"


def test_a_bug_is_answered_and_logged_under_the_name(origin, monkeypatch, lines):
    monkeypatch.setattr("eurydice_core.origin.catalogue.status", lambda session: 1 / 0)
    answer = origin.get("/api/v1/status/")
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    traces = [record for record in lines if record["exception"]]
    assert [record["extra"]["request_id"] for record in traces] == [answer.json()["request_id"]]


def test_what_threads_log_for_a_request_has_its_name(origin, lines, monkeypatch):
    def status(session):
        logger.info("looking")
        raise ZeroDivisionError

    monkeypatch.setattr("eurydice_core.origin.catalogue.status", status)
    name = origin.get("/api/v1/status/").headers["X-Request-Id"]
    said = [record for record in lines if record["message"] == "looking"]
    assert [record["extra"]["request_id"] for record in said] == [name]


def test_two_requests_have_two_names(origin):
    names = {origin.get(ME).headers["X-Request-Id"] for _ in range(2)}
    assert len(names) == 2
