"""What holds for every answer, and what is mounted beside the API."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from loguru import logger

from eurydice_core.errors import ConfigurationError, DatabaseUnavailable
from eurydice_core.hookspecs import PluginSettings, WebPlugin, hookimpl
from eurydice_core.model.states import Side


class Page(HTMLParser):
    """What is in a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.links = set(), set(), set()
        self.text = self.style = self.within = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.within = tag
        for name, value in attrs:
            {"id": self.ids, "href": self.links}.get(name, set()).add(value)

    def handle_data(self, data):
        if self.within == "style":
            self.style += data
        self.text += data

    def handle_endtag(self, tag):
        self.within = ""


@pytest.mark.parametrize("side", Side)
def test_every_route_refuses_strangers_with_a_problem(make_bench, side):
    bench = make_bench(side)
    bench.token = ""
    schema = bench.get("/api/v1/schema").json()
    open_to_all = {
        "/api/v1/user/login/",
        "/api/v1/user/logout/",
        "/api/v1/metadata/",
        "/metrics",
        "/healthz",
        "/readyz",
    }
    refused = 0
    for path, operations in schema["paths"].items():
        for method in operations:
            if path in open_to_all:
                continue
            response = bench.request(method.upper(), path.replace("{id}", "x"))
            assert response.status_code == 401
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == 401
            refused += 1
    assert refused == (11 if side is Side.ORIGIN else 12)


@pytest.mark.parametrize(
    ("side", "operations"),
    [
        (
            Side.ORIGIN,
            {
                "list-transferables",
                "create-transferable",
                "check-transferable",
                "revoke-transferable",
                "repair-transferable",
                "associate-users",
                "check-rolling-metrics",
                "get-status",
                "user-me",
                "user-token-get",
                "user-token-delete",
                "login",
                "logout",
                "metadata",
            },
        ),
        (
            Side.DESTINATION,
            {
                "list-transferables",
                "delete-all-transferables",
                "check-transferable",
                "delete-transferable",
                "download-transferable",
                "get-repair-ticket",
                "associate-users",
                "check-rolling-metrics",
                "get-status",
                "user-me",
                "user-token-get",
                "user-token-delete",
                "login",
                "logout",
                "metadata",
            },
        ),
    ],
)
def test_the_schema_describes_every_operation(make_bench, side, operations):
    bench = make_bench(side)
    bench.token = ""
    response = bench.get("/api/v1/schema")
    assert response.headers["content-type"] == "application/json"
    schema = response.json()
    assert schema["info"]["title"] == f"Eurydice {side} API"
    found = {o["operationId"] for path in schema["paths"].values() for o in path.values()}
    assert found == operations | {"metrics", "healthz", "readyz"}


@pytest.mark.parametrize("side", Side)
def test_a_page_describes_every_operation_and_needs_nothing_from_elsewhere(make_bench, side):
    bench = make_bench(side)
    bench.token = ""
    schema = bench.get("/api/v1/schema").json()
    response = bench.get("/api/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in page.text
            assert operation["operationId"] in page.ids
            assert operation["description"] in page.text
    assert {f"schema-{name}" for name in schema["components"]["schemas"]} <= page.ids
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert inner <= page.ids
    assert page.links - {f"#{id}" for id in inner} == {"/api/v1/schema"}
    assert page.elements.isdisjoint({"script", "img", "link", "iframe", "form", "object"})
    policy = response.headers["content-security-policy"]
    style = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{style}';")


def test_the_page_tells_of_what_an_embedder_added_and_shows_it_as_it_is_written(origin):
    @origin.app.get("/extra/{id}", name="<script>")
    def extra(id: int) -> None:
        """Say <b>more</b> & more."""

    page = Page(origin.get("/api/docs/").text)
    assert "GET /extra/{id}" in page.text
    assert "Say <b>more</b> & more." in page.text
    assert "script" not in page.elements


def test_metadata_is_for_everybody(make_bench):
    bench = make_bench(Side.ORIGIN, api={"contact": "Orpheus", "badge_content": "LOW"})
    bench.token = ""
    assert bench.get("/api/v1/metadata/").json() == {
        "contact": "Orpheus",
        "badge_content": "LOW",
        "badge_color": "#01426a",
        "encryption_enabled": False,
    }


def test_every_answer_has_a_number_and_the_log_knows_it(origin):
    one, two = origin.get("/api/v1/user/me/"), origin.get("/nothing")
    numbers = {response.headers["x-request-id"] for response in (one, two)}
    assert len(numbers) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", number) for number in numbers)
    assert one.headers["x-content-type-options"] == "nosniff"
    assert one.headers["cache-control"] == "no-store"


def test_clients_that_poll_do_not_fill_the_log(origin):
    written = []
    sink = logger.add(lambda message: written.append(message.record), level="DEBUG")
    try:
        for path in ("/api/v1/transferables/", "/nothing"):
            origin.get(path)
        origin.upload(b"12345")
    finally:
        logger.remove(sink)
    told = [(each["level"].name, each["message"]) for each in written if " ms " in each["message"]]
    assert [level for level, _ in told] == ["DEBUG", "INFO", "INFO"]
    assert "GET '/api/v1/transferables/' 200 in " in told[0][1]
    assert "GET '/nothing' 404 in " in told[1][1]
    assert "POST '/api/v1/transferables/' 201 in " in told[2][1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/api/v1/nothing", 404), ("PUT", "/api/v1/status", 405)],
)
def test_what_no_route_answers_is_a_problem_too(origin, method, path, status):
    response = origin.request(method, path)
    assert response.status_code == response.json()["status"] == status
    assert response.headers["content-type"] == "application/problem+json"


def test_a_bug_is_a_problem_and_tells_nobody_what_it_is(origin, monkeypatch):
    def broken(*_args):
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("eurydice_core.origin.catalogue.status", broken)
    response = origin.get("/api/v1/status/")
    assert response.status_code == 500
    assert "hunter2" not in response.text


def test_a_database_that_is_away_is_an_outage(origin, monkeypatch):
    def away(*_args):
        raise DatabaseUnavailable("database at db.internal: no answer")

    monkeypatch.setattr("eurydice_core.origin.catalogue.status", away)
    response = origin.get("/api/v1/status/")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "db.internal" not in response.text


class Pages:
    """A web plugin that says which one it is, and what it was given."""

    def __init__(self, name, path):
        self.name, self.path = name, path

    @hookimpl
    def eurydice_web(self):
        return WebPlugin(
            name=self.name,
            summary="Pages, for tests.",
            settings=PluginSettings,
            create=lambda settings, context: self,
            path=self.path,
        )

    async def __call__(self, scope, receive, send):
        body = f"{self.name} {scope['state']['api'].title}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def test_web_plugins_answer_below_their_paths(make_bench):
    plugins = (("home", Pages("home", "/")), ("desk", Pages("desk", "/desk")))
    bench = make_bench(Side.ORIGIN, plugins=plugins, web={"plugins": ["home", "desk"]})
    assert bench.get("/desk/x").text == "desk Eurydice origin API"
    assert bench.get("/desk/").text == "desk Eurydice origin API"
    assert bench.get("/").text == "home Eurydice origin API"
    assert bench.get("/anything/else").text == "home Eurydice origin API"
    assert bench.get("/api/v1/nothing").status_code == 404
    assert bench.request("PUT", "/api/v1/status/").status_code == 405
    assert bench.get("/api/v1/user/me").json() == {"username": "alice"}


def test_a_web_plugin_that_is_misconfigured_is_said_at_once(make_bench):
    plugins = (("home", Pages("home", "/")),)
    with pytest.raises(ConfigurationError, match="colour"):
        make_bench(
            Side.ORIGIN, plugins=plugins, web={"plugins": ["home"], "home": {"colour": "red"}}
        )


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/v1/transferables/", {"POST"}),
        ("/api/v1/transferables/6f1c0e7a-2b5d-4c8e-9f30-1a2b3c4d5e6f", {"DELETE"}),
        ("/readyz", set()),
    ],
)
def test_a_method_that_is_not_taken_is_told_which_are(origin, path, more):
    answer = origin.request("PATCH", path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"} | more
