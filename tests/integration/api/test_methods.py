"""Methods that every path has, and text that no request may bring."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from eurydice_core.model.states import Side

ID = "6f1c0e7a-2b5d-4c8e-9f30-1a2b3c4d5e6f"


def paths_of(bench, method="GET"):
    routes = bench.app.state.routes
    return sorted(
        route.path.replace("{id}", ID)
        for route in routes
        if isinstance(route, APIRoute) and method in route.methods
    )


@pytest.mark.parametrize("side", Side)
def test_head_is_answered_wherever_get_is(make_bench, side):
    bench = make_bench(side, auth={"plugins": ["auth_basic"]})
    changing = ("id", "date", "instance", "x-request-id", "content-length", "last-modified")
    for path in paths_of(bench):
        got, head = bench.get(path), bench.request("HEAD", path)
        assert head.status_code == got.status_code, path
        assert head.content == b"", path
        for name in set(got.headers) - set(changing):
            assert name in head.headers, (path, name)


@pytest.mark.parametrize("side", Side)
def test_options_tells_the_methods_of_every_path(make_bench, side):
    bench = make_bench(side, auth={"plugins": ["auth_basic"]})
    for path in paths_of(bench):
        answer = bench.request("OPTIONS", path)
        assert answer.status_code == 200, path
        assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["allow"].split(", ")), path
        assert answer.content == b"", path


def test_options_needs_an_account_where_the_path_does(origin):
    anonymous = {"Authorization": ""}
    assert origin.request("OPTIONS", "/api/v1/status/", headers=anonymous).status_code == 401
    answer = origin.request("OPTIONS", "/api/v1/metadata/", headers=anonymous)
    assert (answer.status_code, answer.headers["allow"]) == (200, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    "query", ["name", "state", "sha1", "page", "from", "delta", "page_size", "created_after", "x"]
)
def test_zero_byte_in_a_parameter_is_400(make_bench, side, query):
    bench = make_bench(side)
    answer = bench.get(f"/api/v1/transferables/?{query}=a%00b")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "the URL has a zero byte"


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("path", ["/api/v1/transferables/%00/", "/api/v1/%00", "/%00"])
def test_zero_byte_in_a_path_is_400(make_bench, side, path):
    assert make_bench(side).get(path).status_code == 400


def test_name_that_is_not_utf8_finds_nothing(origin):
    assert origin.get("/api/v1/transferables/?name=%ED%A0%80").json()["count"] == 0


@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b"])
def test_text_that_cannot_be_stored_is_400_in_a_body(destination, text):
    answer = destination.post(
        "/api/v1/user/association/",
        content=f'{{"token": "{text}"}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["detail"] == "the body has a zero byte, or half of a surrogate pair"
