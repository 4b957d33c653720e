"""What both sides' answers are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from eurydice_core.api.paging import Page, PageTokens

__all__ = ["PROBLEMS", "ListQuery", "Pages", "Problem", "Schema", "Timestamp", "TransferableList"]

Timestamp = Annotated[datetime, PlainSerializer(datetime.isoformat, when_used="unless-none")]
"""ISO 8601 with its offset spelled out, as every client can read it."""


class Schema(BaseModel):
    """Base of every answer; made from the engine's own objects."""

    model_config = ConfigDict(from_attributes=True, frozen=True, use_attribute_docstrings=True)


T = TypeVar("T")


class Problem(Schema):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    """Names this very request."""
    request_id: str
    """The same as `X-Request-Id`: what to look for in the log."""


class Pages(Schema):
    """Tokens of the pages around this one; null where there is none."""

    previous: str | None
    current: str | None
    next: str | None


class TransferableList(Schema, Generic[T]):
    """One page of a list."""

    offset: int
    count: int
    """Items in the whole list, as it was when its first page was asked for."""
    new_items: bool
    """Whether newer items came since; ask for the first page again to see them."""
    pages: Pages
    paginated_at: Timestamp
    results: list[T]

    @classmethod
    def of(cls, page: Page, tokens: PageTokens, results: list[T]) -> TransferableList[T]:
        """Return the answer for a page."""

        def token(step: int) -> str | None:
            available = page.view is not None and step in page.steps
            return tokens.write(page.view, step) if page.view and available else None

        return cls(
            offset=page.offset,
            count=page.count,
            new_items=page.new_items,
            pages=Pages(previous=token(-1), current=token(0), next=token(1)),
            paginated_at=page.paginated_at,
            results=results,
        )


class ListQuery(BaseModel):
    """The parameters of every list."""

    page: str | None = Field(default=None, description="A token from `pages`.")
    from_: str | None = Field(
        default=None, alias="from", description="A token from `pages` to count `delta` from."
    )
    delta: str | None = Field(default=None, description="How many pages away from the token's.")
    page_size: str | None = Field(default=None, description="Items on a page.")
    created_after: str | None = Field(default=None, description="ISO 8601, inclusive.")
    created_before: str | None = Field(default=None, description="ISO 8601, inclusive.")
    state: list[str] = Field(default=[], description="One of the states; may be repeated.")
    name: str = Field(default="", description="Part of the name, in any case.")
    sha1: str | None = Field(default=None, description="SHA-1 of the content, in hexadecimal.")


def _described(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {"description": description, "content": content}


PROBLEMS: Final[dict[int, dict[str, Any]]] = {
    400: _described("The request makes no sense as it is."),
    401: _described("No valid credentials came with the request."),
    403: _described("This account may not do that, or is not associated yet."),
    404: _described("There is no such thing, or it is somebody else's."),
    408: _described("The client sent nothing, or next to nothing, for too long."),
    409: _described("The state of the transferable does not allow it."),
    410: _described("It was there and is no more."),
    412: _described("The file is not the version that the request is for."),
    413: _described("The file is larger than this installation takes, or than your quota leaves."),
    415: _described("The body is of a kind that is not taken here."),
    416: _described("The file does not reach as far as the range that is asked for."),
    417: _described("`Expect` asks for something other than `100-continue`."),
    422: _described("The Idempotency-Key stands for another upload."),
    429: _described("You do this too often; `Retry-After` says when to try again."),
    500: _described("Something went wrong here; the log tells what, under the `X-Request-Id`."),
    501: _described("`Transfer-Encoding` is something other than `chunked`."),
    503: _described("A service behind the API does not answer; try again."),
    507: _described("There is no room left for files."),
}
