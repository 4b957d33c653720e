"""What every web plugin must do, as tests to inherit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
import pytest

from eurydice_core.interfaces.administration import Administration
from eurydice_core.interfaces.web import ASGIApp, Door, Receive, Scope, Send, Visitor
from eurydice_core.model.states import Side
from eurydice_core.testing.fakes.web import MemoryAdministration, StaticDoor
from eurydice_core.testing.kit import ConformanceKit

__all__ = ["HOSTILE_NAME", "Browser", "Form", "WebConformance"]

ROOT: Final = "/somewhere/mounted"
CSRF: Final = "the token of this session"
HOSTILE_NAME: Final = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e{{7*7}}\r\n"
HOSTILE_QUERIES: Final = [
    "?text=%00&start=%ff%fe",
    "?" + "a" * 5000,
    "?start=<script>&next=//evil.example",
    "?page=-1&limit=999999999999999999999",
    "?created_after=not-a-day&state=ODD",
    "?" + "&".join(f"x{number}=1" for number in range(500)),
]
FETCHED: Final = {"src", "href", "action", "formaction", "srcset", "poster", "data"}


@dataclass
class Form:
    """A form of a page."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Document(HTMLParser):
    """What of a page matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes |= given.keys()
        self.addresses += [value for name, value in given.items() if name in FETCHED]
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        if tag in ("input", "button", "select", "textarea") and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")


class Browser:
    """Looks at the pages of an application as one visitor, below a path of its own."""

    def __init__(self, app: ASGIApp, visitor: Visitor | None, door: Door | None = None) -> None:
        self._app = app
        self.door = door or StaticDoor(visitor)

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """Return the answer to one request; nothing is followed."""
        return asyncio.run(self._request(method, path, options))

    def get(self, path: str) -> httpx.Response:
        """Look at a page."""
        return self.request("GET", path)

    def send(self, form: Form, fields: dict[str, str]) -> httpx.Response:
        """Send a form with these fields."""
        path = urlsplit(urljoin(f"http://test{ROOT}/", form.action)).path
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(fields)
        return self.request("POST", path.removeprefix(ROOT), content=content, headers=headers)

    async def _request(self, method: str, path: str, options: dict[str, object]) -> httpx.Response:
        transport = httpx.ASGITransport(self._mounted, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, ROOT + path, **options)  # type: ignore[arg-type]

    async def _mounted(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = {**scope.get("state", {}), "door": self.door, "api": None}
        await self._app({**scope, "root_path": ROOT, "state": state}, receive, send)


class WebConformance(ConformanceKit):
    """Strangers and other sites get nowhere, names stay names, and nothing comes from elsewhere.

    A subclass gives the fixture `app`, what the plugin's `create` returns. Pages are found
    by following links from `/`; those of staff as the fakes' one user and one file have them.
    """

    start: str = "/"
    """Where the pages begin."""
    side: Side = Side.ORIGIN

    @pytest.fixture
    def administration(self) -> MemoryAdministration:
        """What staff administer; their names are hostile."""
        return MemoryAdministration(self.side, HOSTILE_NAME, "al.ice@example+1")

    @pytest.fixture
    def staff(self, app: ASGIApp, administration: Administration) -> Browser:
        visitor = Visitor(
            username="root", is_staff=True, csrf_token=CSRF, administration=administration
        )
        return Browser(app, visitor)

    def test_pages_are_found(self, staff: Browser) -> None:
        assert self.pages(staff)

    def test_strangers_and_users_break_nothing_and_see_nothing_of_staffs(
        self, app: ASGIApp, staff: Browser, administration: MemoryAdministration
    ) -> None:
        user = Visitor(username="user", is_staff=False, csrf_token=CSRF)
        for path in self.pages(staff):
            for browser in (Browser(app, None), Browser(app, user)):
                response = browser.get(path)
                assert response.status_code < 500, path
                assert administration.account.username not in response.text, path

    def test_what_strangers_and_users_send_does_nothing(
        self, app: ASGIApp, staff: Browser, administration: MemoryAdministration
    ) -> None:
        user = Visitor(username="user", is_staff=False, csrf_token=CSRF)
        for form in self.forms(staff):
            for browser in (Browser(app, None), Browser(app, user)):
                assert browser.send(form, form.fields).status_code < 500, form.action
        assert administration.done == []

    def test_forms_without_the_token_of_the_session_are_refused(
        self, staff: Browser, administration: MemoryAdministration
    ) -> None:
        for form in self.forms(staff):
            for token in (None, "", CSRF[::-1], "\u20ac"):
                fields = {name: value for name, value in form.fields.items() if value != CSRF}
                if token is not None:
                    fields |= {name: token for name in form.fields.keys() - fields.keys()}
                assert staff.send(form, fields).status_code == 403, form.action
        assert administration.done == []

    def test_names_are_shown_and_never_obeyed(self, staff: Browser) -> None:
        for path, response in self.pages(staff).items():
            document = Document(response.text)
            assert "<script>alert" not in response.text, path
            assert "onerror" not in document.attributes, path
            assert "{{7*7}}" in response.text or "alert" not in response.text, path

    def test_nothing_comes_from_elsewhere(self, staff: Browser) -> None:
        for path, response in self.pages(staff).items():
            for address in Document(response.text).addresses:
                parts = urlsplit(urljoin(f"http://test{ROOT}{path}", address))
                assert parts.netloc == "test", f"{path} points to {address}"

    def test_links_lead_to_pages(self, staff: Browser) -> None:
        for path, response in self.pages(staff).items():
            assert response.status_code == 200, path

    def test_pages_cannot_be_framed(self, staff: Browser) -> None:
        for path, response in self.pages(staff).items():
            policy = response.headers.get("content-security-policy", "")
            framing = response.headers.get("x-frame-options", "").upper()
            assert "frame-ancestors" in policy or framing in ("DENY", "SAMEORIGIN"), path

    @pytest.mark.parametrize("query", HOSTILE_QUERIES, ids=lambda query: ascii(query[:20]))
    def test_hostile_queries_are_no_error(self, staff: Browser, query: str) -> None:
        for path in self.pages(staff):
            assert staff.get(path.partition("?")[0] + query).status_code < 500, path

    def test_hostile_forms_are_no_error(self, staff: Browser) -> None:
        bodies: Sequence[tuple[str, bytes]] = [
            ("application/x-www-form-urlencoded", b"\xff\xfe=%zz&&&=" + b"a" * 200_000),
            ("application/x-www-form-urlencoded", b"x=1&" * 2000),
            ("application/json", b'{"csrf_token": 1}'),
            ("multipart/form-data; boundary=x", b"--x\r\n"),
            ("", b""),
        ]
        for form in self.forms(staff):
            path = urlsplit(urljoin(f"http://test{ROOT}/", form.action)).path.removeprefix(ROOT)
            for kind, content in bodies:
                headers = {"Content-Type": kind}
                response = staff.request("POST", path, content=content, headers=headers)
                assert 400 <= response.status_code < 500, form.action

    def test_unknown_paths_are_not_found(self, staff: Browser) -> None:
        for path in ("/no-such-page", "/%2e%2e/%2e%2e/etc/passwd", "/\u20ac"):
            assert staff.get(path).status_code == 404

    def pages(self, browser: Browser) -> dict[str, httpx.Response]:
        """Return every page that links lead to from the first one."""
        found: dict[str, httpx.Response] = {}
        waiting = [self.start]
        while waiting and len(found) < 100:
            path = waiting.pop()
            if path in found:
                continue
            response = found[path] = browser.get(path)
            for link in Document(response.text).links:
                parts = urlsplit(urljoin(f"http://test{ROOT}{path}", link))
                if parts.netloc == "test" and parts.path.startswith(f"{ROOT}/"):
                    query = f"?{parts.query}" if parts.query else ""
                    waiting.append(parts.path.removeprefix(ROOT) + query)
        return found

    def forms(self, browser: Browser) -> list[Form]:
        """Return every form that changes something, of every page."""
        return [
            form
            for response in self.pages(browser).values()
            for form in Document(response.text).forms
            if form.method == "post"
        ]
