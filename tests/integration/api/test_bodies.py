"""Limits on request bodies: on every route, whoever sends them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.model.states import Side

FILES = "/api/v1/transferables/"
ENDLESS = [
    ("POST", "/admin/sign-in"),
    ("POST", "/admin/sign-out"),
    ("POST", "/nowhere"),
    ("POST", "/api/v1/user/association/"),
    ("POST", "/api/v1/user/logout/"),
    ("GET", "/api/v1/user/me/"),
    ("GET", "/api/v1/user/login/"),
    ("HEAD", FILES),
    ("DELETE", FILES),
    ("POST", "/api/v1/repair/"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
]


def exchange(bench, method, path, headers, receive):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    bench.asgi(scope, receive, send)
    return sent


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("method", "path"), ENDLESS)
def test_body_that_never_ends_is_answered_408(make_bench, side, method, path):
    bench = make_bench(side, api={"body_timeout": 0.01}, web={"plugins": ["admin"]})

    async def receive():
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent = exchange(bench, method, path, {"transfer-encoding": "chunked"}, receive)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("method", "path"), ENDLESS)
@pytest.mark.parametrize("header", ["transfer-encoding", "content-length"])
def test_body_that_is_too_long_is_answered_413(make_bench, side, method, path, header):
    bench = make_bench(side, web={"plugins": ["admin"]})
    value = {"transfer-encoding": "chunked", "content-length": str(10**9)}[header]

    async def receive():
        return {"type": "http.request", "body": b"x" * 2**16, "more_body": True}

    assert exchange(bench, method, path, {header: value}, receive)[0]["status"] == 413


def test_client_that_leaves_within_its_body_gets_no_answer(origin):
    async def receive():
        return {"type": "http.disconnect"}

    assert exchange(origin, "POST", "/api/v1/repair/", {"content-length": "5"}, receive) == []


def count(bench):
    with bench.installation.database.read() as session:
        return session.scalar(select(func.count()).select_from(OutgoingTransferable))


REFUSED = {
    "a part": ({"Content-Range": "bytes 5-9/10"}, 400),
    "gzip": ({"Content-Encoding": "gzip"}, 415),
    "two codings": ({"Content-Encoding": "identity, br"}, 415),
    "coded transfer": ({"Transfer-Encoding": "gzip, chunked"}, 501),
    "an expectation": ({"Expect": "nonsense"}, 417),
}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("path", [FILES, "/api/v1/repair/", "/api/v1/user/association/"])
@pytest.mark.parametrize("refused", REFUSED)
def test_body_that_is_not_sent_as_it_is_is_refused(make_bench, side, path, refused):
    headers, status = REFUSED[refused]
    bench = make_bench(side)
    headers = {"Content-Type": "application/octet-stream", **headers}
    response = bench.post(path, content=b"12345", headers=headers)
    assert response.status_code == status
    assert response.headers.get("accept-encoding") == ("identity" if status == 415 else None)
    assert response.headers["content-type"] == "application/problem+json"
    if side is Side.ORIGIN:
        assert count(bench) == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream; charset=binary",
        "APPLICATION/Octet-Stream",
        'application/octet-stream ;x="a;b"',
    ],
)
def test_parameters_and_case_of_the_content_type_are_ignored(origin, content_type):
    assert origin.upload(b"x", Content_Type=content_type).status_code == 201
    repair = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = origin.post("/api/v1/repair/", content=b'{"ticket": "x"}', headers=repair)
    assert answer.status_code != 415


def test_identity_is_a_content_coding_that_changes_nothing(origin):
    headers = {"Content-Encoding": "identity", "Expect": "100-Continue"}
    assert origin.upload(b"x", **headers).status_code == 201
