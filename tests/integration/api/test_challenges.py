"""Challenges of a 401: plain clients are asked for a password, scripts of pages are not."""

from __future__ import annotations

import pytest

from eurydice_core.hookspecs import PluginSettings, WebPlugin, hookimpl
from eurydice_core.model.states import Side

ROUTES = [
    ("GET", "/api/v1/user/me/"),
    ("GET", "/api/v1/user/me"),
    ("GET", "/api/v1/transferables/"),
    ("POST", "/api/v1/transferables/"),
    ("DELETE", "/api/v1/transferables/00000000-0000-0000-0000-000000000000/"),
    ("GET", "/api/v1/user/token/"),
    ("GET", "/api/v1/metrics/"),
    ("GET", "/metrics"),
    ("GET", "/pages/"),
    ("GET", "/pages/lists"),
]
FROM_PAGES = [
    {"X-Requested-With": "XMLHttpRequest"},
    {"Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Mode": "same-origin"},
    {"Sec-Fetch-Mode": "no-cors"},
    {"X-CSRFToken": "a" * 64},
    {"Accept": "application/json, text/plain, */*", "Cookie": "a=b; eurydice_sessionid=expired"},
]
FROM_USERS = [
    {},
    {"Accept": "*/*"},
    {"Accept": "application/json"},
    {"Sec-Fetch-Mode": "navigate", "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
    {"Accept": "text/html, application/json", "Cookie": "eurydice_sessionid=expired"},
]


class Pages:
    """A web plugin that answers 401 with challenges of its own."""

    @hookimpl
    def eurydice_web(self):
        return WebPlugin(
            name="pages",
            summary="Asks for passwords, for tests.",
            settings=PluginSettings,
            path="/pages",
            create=lambda settings, context: self.answer,
        )

    async def answer(self, scope, receive, send):
        headers = [(b"WWW-Authenticate", b'Basic realm="pages"')]
        if scope["path"].endswith("/lists"):
            headers = [(b"www-authenticate", b'Digest realm="pages", Basic realm="pages"')]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})


@pytest.fixture(params=[["auth_basic"], ["auth_remoteuser", "auth_basic"]], ids=["basic", "both"])
def bench(make_bench, proxy_api, request):
    bench = make_bench(
        Side.ORIGIN,
        client_address="127.0.0.1",
        plugins=(("pages", Pages()),),
        web={"plugins": ["pages", "admin"]},
        auth={"plugins": request.param},
        api=proxy_api,
    )
    bench.token = ""
    return bench


def test_script_of_a_page_is_asked_for_no_password(bench):
    for headers in FROM_PAGES:
        for method, path in ROUTES:
            response = bench.request(method, path, headers=headers)
            assert response.status_code == 401, path
            assert response.headers.get_list("www-authenticate") == ["Bearer"], (path, headers)


def test_plain_client_is_asked_for_a_password(bench):
    for headers in FROM_USERS:
        for method, path in ROUTES:
            response = bench.request(method, path, headers=headers)
            assert response.status_code == 401, path
            assert "Basic realm=" in " ".join(response.headers.get_list("www-authenticate")), path


@pytest.mark.parametrize("headers", [*FROM_PAGES, *FROM_USERS])
def test_pages_without_a_401_have_no_challenge(bench, headers):
    for path in ("/admin/", "/admin/users", "/api/docs/", "/api/v1/user/login/", "/healthz"):
        response = bench.get(path, headers=headers)
        assert response.status_code != 401
        assert "www-authenticate" not in response.headers
