"""Pages of a list that stay what they were while the list changes.

The first request opens a view: the newest item of that moment is its head, and whatever
comes later stays out of it. Page tokens carry the view along, signed, so that the server
remembers nothing and nobody can make one up.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from blake3 import blake3
from sqlalchemy import Connection
from starlette.datastructures import QueryParams

from eurydice_core.config import ApiSettings
from eurydice_core.db.paging import Ends, Keyset, Matches, Position
from eurydice_core.errors import Gone, InvalidRequest, NotFound

__all__ = ["Page", "PageRequest", "PageTokens", "View", "fetch_page", "read_page_request"]

PURPOSE: Final = "Eurydice 2026 page tokens"
VERSION: Final = 1
HEADER: Final = struct.Struct(">BbIQq8s")  # version, step, page, count, paginated_at, query
PLACE: Final = struct.Struct(">q16s")  # microseconds, id
MAC_SIZE: Final = 16  # bytes
QUERY_SIZE: Final = 8  # bytes
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DELTA: Final = re.compile(r"[+-]?[0-9]{1,9}")
NAVIGATION: Final = ("page", "from", "delta")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A list as it was when its first page was asked for, and one page of it."""

    head: Position
    oldest: Position
    count: int
    paginated_at: datetime
    query: bytes
    """Digest of whose list it is, the filters and the page size."""
    page: int
    """Number of the page, from 1."""
    first: Position
    last: Position


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for."""

    size: int
    query: bytes
    view: View | None
    """None to open a new view."""
    step: int
    """How many pages away from the view's."""
    by_delta: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, and the way to others."""

    rows: Sequence[Any]
    view: View | None
    offset: int
    count: int
    new_items: bool
    paginated_at: datetime
    steps: frozenset[int]
    """Which of the pages before (-1), this one (0) and after (1) there are."""


class PageTokens:
    """Signs views, and reads them back."""

    def __init__(self, secret: str) -> None:
        self._key = blake3(secret.encode(), derive_key_context=PURPOSE).digest()

    def write(self, view: View, step: int) -> str:
        """Return the token of the page that many steps from a view's."""
        content = HEADER.pack(
            VERSION, step, view.page, view.count, _number(view.paginated_at), view.query
        ) + b"".join(
            PLACE.pack(_number(place.created_at), place.id.bytes)
            for place in (view.head, view.oldest, view.first, view.last)
        )
        return base64.urlsafe_b64encode(content + self._mac(content)).rstrip(b"=").decode()

    def read(self, token: str) -> tuple[View, int]:
        """Return the view, and the step from its page.

        Raises:
            InvalidRequest: we did not write this token.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest("not a page token of this list") from None
        content, mac = data[:-MAC_SIZE], data[-MAC_SIZE:]
        if len(content) != HEADER.size + 4 * PLACE.size or content[0] != VERSION:
            raise InvalidRequest("not a page token of this list")
        if not hmac.compare_digest(mac, self._mac(content)):
            raise InvalidRequest("not a page token of this list")
        _, step, page, count, paginated_at, query = HEADER.unpack_from(content)
        places = [
            Position(_time(number), uuid.UUID(bytes=id))
            for number, id in PLACE.iter_unpack(content[HEADER.size :])
        ]
        view = View(
            head=places[0],
            oldest=places[1],
            first=places[2],
            last=places[3],
            count=count,
            paginated_at=_time(paginated_at),
            query=query,
            page=page,
        )
        return view, step

    def _mac(self, content: bytes) -> bytes:
        return blake3(content, key=self._key).digest(MAC_SIZE)


def read_page_request(
    query: QueryParams, owner: uuid.UUID, settings: ApiSettings, tokens: PageTokens
) -> PageRequest:
    """Return which page the parameters of a request ask for.

    Raises:
        InvalidRequest: they contradict each other, or what the token was made for.
    """
    size = _page_size(query.get("page_size", ""), settings)
    digest = _query_digest(query, owner)
    page, start, delta = (query.get(name) for name in NAVIGATION)
    if page is None and start is None and delta is None:
        return PageRequest(size, digest, None, 0, False)
    if (page is None) == (start is None):
        raise InvalidRequest("give either 'page' or 'from'; 'delta' goes with one of them")
    if delta is not None and not DELTA.fullmatch(delta):
        raise InvalidRequest("'delta' must be a whole number of pages, such as 2 or -1")
    view, step = tokens.read(page if page is not None else start or "")
    if view.query != digest:
        raise InvalidRequest("filters and page_size must stay as they were on the first page")
    step += int(delta or 0)
    if view.page + step < 1:
        raise InvalidRequest("there is no page before the first one")
    return PageRequest(size, digest, view, step, delta is not None)


def fetch_page(connection: Connection, keyset: Keyset, wanted: PageRequest) -> Page:
    """Return a page of a list.

    Raises:
        NotFound: the list has no such page.
        Gone: the page was there, and everything on it was removed.
    """
    listing = keyset.narrowed(connection)
    ends = listing.ends(connection)
    view = wanted.view
    if view is None:
        if ends is None:
            return _empty()
        view = _opened(connection, listing, ends, wanted.query)
    elif ends is not None and ends.oldest != view.oldest:  # something was removed at the end
        view = replace(view, oldest=ends.oldest, count=listing.count(connection, ends, view.head))
    rows = _rows(connection, listing, view, wanted)
    if not rows:
        if wanted.by_delta:
            raise NotFound("the list has no such page")
        raise Gone("everything on this page was removed meanwhile: start again from the first")
    places: list[Position] = [_place(rows[0]), _place(rows[-1])]
    shown = replace(view, page=view.page + wanted.step, first=places[0], last=places[1])
    has_next = shown.page * wanted.size < shown.count
    return Page(
        rows=rows,
        view=shown,
        offset=(shown.page - 1) * wanted.size,
        count=shown.count,
        new_items=ends is not None and _is_newer(ends.newest, shown.head),
        paginated_at=shown.paginated_at,
        steps=frozenset([0, *([-1] if shown.page > 1 else []), *([1] if has_next else [])]),
    )


def _empty() -> Page:
    return Page(
        rows=[],
        view=None,
        offset=0,
        count=0,
        new_items=False,
        paginated_at=datetime.now(UTC),
        steps=frozenset(),
    )


def _opened(connection: Connection, keyset: Keyset | Matches, ends: Ends, query: bytes) -> View:
    return View(
        head=ends.newest,
        oldest=ends.oldest,
        first=ends.newest,
        last=ends.newest,
        count=keyset.count(connection, ends, ends.newest),
        paginated_at=datetime.now(UTC),
        query=query,
        page=1,
    )


def _rows(
    connection: Connection, keyset: Keyset | Matches, view: View, wanted: PageRequest
) -> Sequence[Any]:
    size, step = wanted.size, wanted.step
    if step == 0:
        return keyset.at(connection, view.first, skip=0, limit=size)
    if step > 0:
        return keyset.after(connection, view.last, skip=(step - 1) * size, limit=size)
    skip = (-step - 1) * size
    return keyset.before(connection, view.first, head=view.head, skip=skip, limit=size)


def _place(row: Any) -> Position:
    return Position(row.created_at, row.id)


def _is_newer(one: Position, other: Position) -> bool:
    return one.created_at > other.created_at or (
        one.created_at == other.created_at and one.id < other.id
    )


def _page_size(value: str, settings: ApiSettings) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
        return settings.page_size
    return min(int(value), settings.max_page_size)


def _query_digest(query: QueryParams, owner: uuid.UUID) -> bytes:
    items = sorted(item for item in query.multi_items() if item[0] not in NAVIGATION)
    return blake3(json.dumps([str(owner), items]).encode()).digest(QUERY_SIZE)


def _number(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _time(number: int) -> datetime:
    return EPOCH + number * MICROSECOND
