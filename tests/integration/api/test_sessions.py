"""Browsers: how they sign in, what they carry, and what they cannot be tricked into."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from sqlalchemy import func, select, update

from eurydice_core.db.sessions import MOST, Sessions
from eurydice_core.db.tables import UserSession
from eurydice_core.errors import RequestError
from eurydice_core.hookspecs import PluginSettings, WebPlugin, hookimpl
from eurydice_core.model.states import Side

ME = "/api/v1/user/me/"
LOGIN = "/api/v1/user/login/"
LOGOUT = "/api/v1/user/logout/"
FILES = "/api/v1/transferables/"
PASSWORD = "correct horse"
PROXY = {"plugins": ["auth_remoteuser"]}
ALICE = {"X-Remote-User": "alice"}


def basic(username, password):
    return {
        "Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    }


def cookies_of(response):
    """Return cookies by name, each as its value and its attributes in lower case."""
    found = {}
    for line in response.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        found[name] = value, {each.lower() for each in attributes}
    return found


@pytest.fixture
def proxied(make_bench, proxy_api):
    bench = make_bench(Side.ORIGIN, auth=PROXY, api=proxy_api)
    bench.token = ""
    return bench


@pytest.fixture
def browser(proxied):
    """A browser that signed in and comes without its proxy's header from now on."""
    return signed_in(proxied)


def signed_in(bench, headers=ALICE):
    response = bench.get(LOGIN, headers=headers)
    assert response.status_code == 204
    found = cookies_of(response)
    bench.client.cookies.clear()
    bench.session, bench.csrf = found["eurydice_sessionid"][0], found["eurydice_csrftoken"][0]
    return bench


def ask(bench, method, path, csrf=True, **headers):
    sent = {"Cookie": f"a=b; eurydice_sessionid={bench.session}; c=d"}
    if csrf:
        sent["X-CSRFToken"] = bench.csrf
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return bench.request(method, path, headers=sent)


def test_signing_in_sets_the_cookies_of_the_contract(proxied):
    response = proxied.get(LOGIN, headers=ALICE)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Authenticated-User"] == "alice"
    found = cookies_of(response)
    session, csrf = found["eurydice_sessionid"], found["eurydice_csrftoken"]
    both = {"max-age=86400", "path=/", "samesite=strict", "secure"}
    assert session[1] == {"httponly", *both}
    assert csrf[1] == both
    assert len(session[0]) == len(csrf[0]) == 64
    assert session[0] != csrf[0]


def test_without_a_slash_the_browser_is_sent_to_the_pages(proxied):
    response = proxied.get(LOGIN.rstrip("/"), headers=ALICE)
    assert (response.status_code, response.headers["location"]) == (302, "/")
    assert set(cookies_of(response)) == {"eurydice_sessionid", "eurydice_csrftoken"}


def test_nobody_signs_in_without_credentials(proxied):
    response = proxied.get(LOGIN)
    assert response.status_code == 403
    assert cookies_of(response) == {}
    assert "www-authenticate" not in response.headers
    assert "Authenticated-User" not in response.headers


def test_an_api_token_opens_no_session(origin):
    response = origin.get(LOGIN)
    assert response.status_code == 403
    assert cookies_of(response) == {}


@pytest.mark.parametrize("side", Side)
def test_a_password_opens_a_session(make_bench, side):
    bench = make_bench(side)
    bench.token = ""
    bench.installation.accounts.set_password("alice", PASSWORD)
    assert bench.get(LOGIN, headers=basic("alice", "wrong horse")).status_code == 403
    signed_in(bench, basic("alice", PASSWORD))
    assert ask(bench, "GET", ME).json() == {"username": "alice"}


def test_cookies_may_be_less_strict(make_bench, proxy_api):
    api = {"secure_cookies": False, "samesite_cookies": "lax", "session_age": "1h"}
    bench = make_bench(Side.ORIGIN, auth=PROXY, api=proxy_api | api)
    _, attributes = cookies_of(bench.get(LOGIN, headers=ALICE))["eurydice_sessionid"]
    assert attributes == {"httponly", "max-age=3600", "path=/", "samesite=lax"}
    bench.client.base_url = "https://eurydice"
    _, attributes = cookies_of(bench.get(LOGIN, headers=ALICE))["eurydice_sessionid"]
    assert "secure" in attributes


def test_a_session_lets_its_user_in_and_the_proxy_counts_for_more(browser):
    assert ask(browser, "GET", ME).json() == {"username": "alice"}
    assert ask(browser, "GET", ME, X_Remote_User="carol").json() == {"username": "carol"}
    browser.session = browser.session[::-1]
    assert ask(browser, "GET", ME).status_code == 401


def test_changes_need_the_token_that_goes_with_the_session(browser):
    path = f"{FILES}00000000-0000-0000-0000-000000000000/"
    assert ask(browser, "DELETE", path).status_code == 404
    for token, what in (("", "missing"), ("x", "incorrect"), (browser.csrf[::-1], "incorrect")):
        browser.csrf = token
        response = ask(browser, "DELETE", path)
        assert response.status_code == 403
        assert response.json()["type"] == "urn:eurydice:csrf-failed"
        assert response.json()["detail"].startswith(f"CSRF Failed: CSRF token {what}")
    assert ask(browser, "GET", ME, csrf=False).status_code == 200


def test_the_token_of_another_session_is_not_enough(browser):
    first = browser.csrf
    signed_in(browser)
    browser.csrf = first
    assert ask(browser, "DELETE", "/api/v1/user/token/").status_code == 403


def test_a_file_is_sent_by_a_session(browser):
    headers = {"Content_Type": "application/octet-stream"}
    assert ask(browser, "POST", FILES, csrf=False, **headers).status_code == 403
    assert ask(browser, "POST", FILES, **headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_sites_change_nothing_with_what_browsers_add(proxied, headers):
    response = proxied.delete("/api/v1/user/token/", headers=ALICE | headers)
    assert response.status_code == 403
    assert response.json()["type"] == "urn:eurydice:cross-site"
    assert proxied.get(ME, headers=ALICE | headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://whatever.the.proxy.says"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://eurydice"},
        {"Origin": "http://eurydice:80"},
        {"Origin": "https://portal.example.org", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://a.b.example.net", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_our_own_pages_and_trusted_ones_may(make_bench, proxy_api, headers):
    trusted = ["https://portal.example.org", "https://*.example.net"]
    api = proxy_api | {"trusted_origins": trusted}
    bench = make_bench(Side.ORIGIN, auth=PROXY, api=api)
    bench.token = ""
    assert bench.delete("/api/v1/user/token/", headers=ALICE | headers).status_code == 200


def test_the_name_that_a_trusted_proxy_forwards_is_our_own(make_bench, proxy_api):
    headers = {"Origin": "https://front.example", "X-Forwarded-Host": "front.example"}
    for api, status in ((proxy_api, 200), ({}, 403)):
        bench = make_bench(Side.ORIGIN, api=api)
        bench.token = ""
        bench.installation.accounts.set_password("alice", PASSWORD)
        sent = headers | {"X-Forwarded-Proto": "https"} if api else headers
        response = bench.delete("/api/v1/user/token/", headers=basic("alice", PASSWORD) | sent)
        assert response.status_code == status


def test_tokens_are_not_what_browsers_add(origin):
    response = origin.delete("/api/v1/user/token/", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200


def test_signing_out_ends_the_session(browser):
    assert ask(browser, "POST", LOGOUT, csrf=False).status_code == 403
    assert ask(browser, "GET", ME).status_code == 200
    response = ask(browser, "POST", LOGOUT)
    assert response.status_code == 204
    for value, attributes in cookies_of(response).values():
        assert value == ""
        assert "max-age=0" in attributes
    assert ask(browser, "GET", ME).status_code == 401
    assert browser.post(LOGOUT).status_code == 204


def test_signing_in_again_replaces_the_session(browser):
    first = browser.session
    second = cookies_of(ask(browser, "GET", LOGIN, X_Remote_User="alice"))["eurydice_sessionid"][0]
    assert ask(browser, "GET", ME).status_code == 401
    browser.session = second
    assert second != first
    assert ask(browser, "GET", ME).status_code == 200


@pytest.mark.parametrize(
    "end",
    [
        lambda accounts: accounts.set_password("alice", "another horse"),
        lambda accounts: accounts.set_active("alice", False),
        lambda accounts: accounts.remove("alice"),
    ],
    ids=["password", "inactive", "removed"],
)
def test_sessions_end_with_what_they_rest_on(browser, end):
    end(browser.installation.accounts)
    assert ask(browser, "GET", ME).status_code == 401
    with browser.installation.database.read() as session:
        assert session.scalar(select(func.count()).select_from(UserSession)) == 0


def test_sessions_expire_and_are_forgotten_when_somebody_signs_in(browser):
    with browser.installation.database.write() as session:
        session.execute(update(UserSession).values(expires_at=datetime.now(UTC)))
    assert ask(browser, "GET", ME).status_code == 401
    signed_in(browser)
    with browser.installation.database.read() as session:
        assert session.scalar(select(func.count()).select_from(UserSession)) == 1


def test_the_database_holds_no_cookie(browser):
    with browser.installation.database.read() as session:
        (row,) = session.scalars(select(UserSession))
    assert row.digest.hex() != browser.session
    assert bytes.fromhex(browser.session) != row.digest


def test_a_user_has_only_so_many_sessions(origin):
    accounts, now = origin.installation.accounts, datetime.now(UTC)
    clock = iter(now + timedelta(seconds=n) for n in range(10 * MOST))
    sessions = Sessions(origin.installation.database, 3600, now=lambda: next(clock))
    tokens = [sessions.open(accounts.get("alice")) for _ in range(MOST + 3)]
    open_ = [sessions.account(token) is not None for token in tokens]
    assert open_ == [False] * 3 + [True] * MOST


class Pages:
    """A web plugin that signs people in, and shows them what it knows of them."""

    @hookimpl
    def eurydice_web(self):
        return WebPlugin(
            name="pages",
            summary="Says who is there, for tests.",
            settings=PluginSettings,
            path="/pages",
            create=lambda settings, context: self.answer,
        )

    async def answer(self, scope, receive, send):
        door, cookies = scope["state"]["door"], []
        try:
            if scope["path"].endswith("/in"):
                given = unquote(scope["query_string"].decode()).split(":")
                cookies = await door.sign_in(scope, *given)
                text = repr(cookies is not None)
            elif scope["path"].endswith("/out"):
                cookies = await door.sign_out(scope)
                text = "out"
            else:
                text = repr(await door.visitor(scope))
        except RequestError as error:
            text = type(error).__name__
        headers = [(b"set-cookie", value.encode()) for value in cookies or ()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


@pytest.fixture
def pages(make_bench):
    bench = make_bench(Side.ORIGIN, plugins=(("pages", Pages()),), web={"plugins": ["pages"]})
    bench.token = ""
    bench.installation.accounts.set_password("alice", PASSWORD)
    bench.installation.accounts.change("alice", is_staff=True)
    return bench


def test_a_page_signs_its_visitor_in_and_out(pages):
    assert pages.get("/pages/").text == "None"
    assert pages.post("/pages/in?alice:wrong horse").text == "False"
    response = pages.post(f"/pages/in?alice:{PASSWORD}")
    assert response.text == "True"
    assert response.headers["Authenticated-User"] == "alice"
    found = cookies_of(response)
    pages.client.cookies.clear()
    pages.session, pages.csrf = found["eurydice_sessionid"][0], found["eurydice_csrftoken"][0]
    shown = f"Visitor(username='alice', is_staff=True, csrf_token='{pages.csrf}')"
    assert ask(pages, "GET", "/pages/").text == shown
    assert ask(pages, "POST", "/pages/out").text == "out"
    assert ask(pages, "GET", "/pages/").text == "None"


def test_a_page_knows_who_came_without_a_session(pages):
    assert pages.get("/pages/", headers=basic("alice", PASSWORD)).text == (
        "Visitor(username='alice', is_staff=True, csrf_token=None)"
    )


def test_a_page_is_told_of_forged_requests(pages):
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert pages.post(f"/pages/in?alice:{PASSWORD}", headers=headers).text == "CrossSite"
    forged = headers | basic("alice", PASSWORD)
    assert pages.post("/pages/", headers=forged).text == "CrossSite"
    assert pages.get("/pages/", headers=forged).text.startswith("Visitor")
