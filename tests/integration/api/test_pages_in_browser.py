"""The pages in Chromium: on a telephone and a desktop, light and dark, by keyboard alone.

With TEST_PICTURES=DIRECTORY it also stores a screenshot of every page.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Route, ViewportSize, sync_playwright

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.testing.web import HOSTILE_NAME

pytestmark = pytest.mark.service

CHECKS = Path(__file__).with_name("page_checks.js").read_text()
PASSWORD = "correct horse"
STAFF = "W" * 150  # the longest name
NAMES = [
    "report.txt",
    "W" * 255,
    "a long name of words " * 11 + ".txt",
    HOSTILE_NAME.replace("\r\n", ""),
    "\u202egpj.exe",
    "عربي " * 20,
]
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
FOCUS = """() => {
  // After a key, focus that a program moves is as visible as by that key.
  const faults = [];
  for (const el of document.querySelectorAll("a[href], button, input, select, [tabindex='0']")) {
    el.focus();
    const style = getComputedStyle(el);
    const is_seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    if (document.activeElement === el && !is_seen) faults.push(`no visible focus: ${el.outerHTML}`);
  }
  return faults;
}"""

Pages = dict[str, httpx.Response]


@pytest.fixture
def chromium(debian_program):
    return debian_program("chromium", "chromium")


@contextmanager
def open_browser(chromium: Path) -> Iterator[Browser]:
    """Open a browser; meanwhile no other event loop can run in this thread, so no bench."""
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def database_url(sqlite_database):
    """Use one kind of database: the pages are the same."""
    return sqlite_database


@pytest.fixture
def make_side(make_bench):
    """Open a side with accounts and tokens of long names, and a staff member signed in."""

    def make(side):
        bench = make_bench(
            side,
            web={"plugins": ["admin"], "admin": {"page_size": 30}},
            api={"contact": f"the help desk, {'x' * 60}@example.org", "secure_cookies": False},
        )
        bench.token = ""
        accounts = bench.installation.accounts
        accounts.set_password("alice", PASSWORD)
        bench.user(STAFF, password=PASSWORD, is_staff=True)
        for number in range(35):
            bench.user(f"{'user' * 25}{number:02}")
        for label in ["", "nightly", "W" * 100]:
            accounts.issue_token("alice", label=label)
        return bench

    return make


def sign_in(bench, username):
    bench.client.cookies.clear()
    form = bench.get("/admin/sign-in")
    token = form.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    fields = {"csrf_token": token, "username": username, "password": PASSWORD}
    assert bench.post("/admin/sign-in", data=fields).status_code == 303


def submit_files(bench):
    """Upload a list's page of files and one more; return the ids of two."""
    bench.token = bench.installation.accounts.issue_token("alice")
    ids = []
    for number in range(31):
        name = quote(NAMES[number % len(NAMES)], safe="")
        headers = {"Metadata-Name*": f"UTF-8''{name}", "Metadata-Topic": "W" * 300}
        response = bench.upload(b"x" * 1000, **headers)
        assert response.status_code == 201, response.text
        ids.append(response.json()["id"])
    bench.token = ""
    return ids[1:3]


def receive_files(bench):
    """Store rows of received files in every state; return the ids of three."""
    now, states = utc_now(), list(IncomingState)
    rows = [
        IncomingTransferable(
            id=uuid.uuid4(),
            profile=b"12345678",
            created_at=now,
            received_at=now,
            finished_at=now if state.is_final else None,
            name=NAMES[number % len(NAMES)],
            size=10**12,
            bytes_received=10**11,
            state=state,
            user_provided_meta={"Metadata-" + "W" * 80: "W" * 300},
        )
        for number, state in enumerate(states * 6)
    ]
    with bench.installation.database.write() as session:
        session.merge(OriginProfile(profile=b"12345678", created_at=now))
        session.flush()
        session.add_all(rows)
        return [str(row.id) for row in rows[:3]]


def visit_all(bench, side):
    """Return the answer of every page, as the browser shall get it."""
    shown: Pages = {}

    def show(path, name=""):
        shown[name or path] = bench.get(path)

    ids = submit_files(bench) if side is Side.ORIGIN else receive_files(bench)
    show("/admin/style.css")
    show("/api/docs/")
    show("/admin/sign-in")
    shown["/wrong-password"] = bench.post("/admin/sign-in", data={"username": "x"})
    show("/admin/signed-in", "/session-not-kept")
    sign_in(bench, "alice")
    show("/admin/", "/no-access")
    bench.client.cookies.clear()
    bench.token = bench.installation.accounts.issue_token("alice")
    show("/admin/", "/no-access-through-a-proxy")
    bench.token = bench.installation.accounts.issue_token(STAFF)
    for path in ["", "users", "new-user", "user/alice", f"user/{STAFF}", "transferables"]:
        show(f"/admin/{path}")
    show(f"/admin/users?text={'W' * 300}")
    show("/admin/user/alice?done=values")
    show(f"/admin/transferables?text={'W' * 300}&state={'SUCCESS'}")
    show("/admin/no-such-page")
    show("/admin/transferables?created_after=x")
    for id in ids:
        show(f"/admin/transferable/{id}")
        show(f"/admin/transferable/{id}/end")
    shown["/token"] = bench.post("/admin/user/alice/issue-token", data={"label": "x"})
    if side is Side.ORIGIN:
        bench.post("/admin/maintenance", data={"to": "on"})
        show("/admin/", "/maintenance")
    return shown


class Shown:
    """A page of the browser that gets stored answers, and notes what it complains of."""

    def __init__(self, browser: Browser, answers: Pages) -> None:
        self._answers = answers
        self.page = browser.new_page(viewport=PHONE)
        self.page.route("**/*", self._answer)
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.complaints: list[str] = []

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix("https://eurydice")
        if path not in self._answers:
            self.complaints.append(f"asks for {path}")
            return route.abort()
        answer = self._answers[path]
        headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
        return route.fulfill(status=answer.status_code, headers=headers, body=answer.content)

    def faults(self, path: str) -> list[str]:
        self.complaints.clear()
        self.page.set_viewport_size(PHONE)
        self.page.emulate_media(color_scheme="light")
        self.page.goto(f"https://eurydice{path}")
        faults = {f"390 px: {fault}" for fault in self.page.evaluate(CHECKS)}
        self._picture(path, "phone")
        self.page.keyboard.press("Tab")
        faults |= {*self.page.evaluate(FOCUS)}
        self.page.set_viewport_size(DESKTOP)
        faults |= {f"1280 px: {fault}" for fault in self.page.evaluate(CHECKS)}
        self._picture(path, "desktop")
        self.page.emulate_media(color_scheme="dark")
        faults |= {f"dark: {fault}" for fault in self.page.evaluate(CHECKS)}
        self._picture(path, "dark")
        return [f"{path}: {fault}" for fault in sorted(faults | {*self.complaints})]

    def _picture(self, path: str, kind: str) -> None:
        if directory := os.environ.get("TEST_PICTURES"):
            name = re.sub(r"[^a-z-]+", "_", path)[:60] + hex(hash(path))[-4:]
            self.page.screenshot(path=f"{directory}/{name}-{kind}.png", full_page=True)


@pytest.mark.parametrize("side", Side)
def test_pages_fit_and_are_usable(make_side, chromium, side):
    answers = visit_all(make_side(side), side)
    assert {answer.status_code for answer in answers.values()} == {200, 400, 403, 404}
    with open_browser(chromium) as browser:
        shown = Shown(browser, answers)
        faults = [fault for path in answers if "css" not in path for fault in shown.faults(path)]
    assert not faults, "\n".join(faults)


def test_no_access_says_what_to_do(make_side):
    bench = make_side(Side.ORIGIN)
    sign_in(bench, "alice")
    response = bench.get("/admin/users")
    assert response.status_code == 403
    assert "<h1>No access</h1>" in response.text
    assert "ask the help desk, xxx" in response.text
    assert "<button>Sign out</button>" in response.text
