"""How errors leave the API: one table of statuses, one shape of body (RFC 9457)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from loguru import logger
from starlette.exceptions import HTTPException

from eurydice_core.api.methods import allowed_methods
from eurydice_core.api.request_id import current_request_id
from eurydice_core.errors import (
    AssociationTokenInvalid,
    Conflict,
    DatabaseUnavailable,
    EurydiceError,
    Gone,
    InvalidRequest,
    KeyReused,
    NotAssociated,
    NotFound,
    QuotaExceeded,
    RequestError,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    TooManyRequests,
)

__all__ = [
    "BodyTooLarge",
    "ExpectationFailed",
    "FieldInvalid",
    "Forbidden",
    "NotAuthenticated",
    "PreconditionFailed",
    "RangeNotSatisfiable",
    "ResponseBroken",
    "TooSlow",
    "TransferCodingUnknown",
    "UnsupportedContentCoding",
    "UnsupportedMediaType",
    "UploadInterrupted",
    "handle_problems",
    "problem",
    "status_of",
]

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 5  # seconds


class NotAuthenticated(RequestError):
    """Nobody knows who is asking."""

    def __init__(self, challenges: Sequence[str]) -> None:
        super().__init__("say who you are: no valid credentials came with the request")
        self.challenges = challenges


class Forbidden(RequestError):
    """This user may not do that."""


class PreconditionFailed(RequestError):
    """The request's own conditions do not hold."""

    def __init__(self) -> None:
        super().__init__("the file is not the version that the request is for")


class RangeNotSatisfiable(RequestError):
    """The file does not reach as far as what is asked for."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes, and none of those that are asked for")
        self.size = size


class UnsupportedMediaType(RequestError):
    """The body is of a kind that is not taken here."""


class UnsupportedContentCoding(RequestError):
    """The body is compressed, or coded in another way."""

    def __init__(self) -> None:
        super().__init__("Content-Encoding: send the body as it is, not compressed")


class TransferCodingUnknown(RequestError):
    """The body comes in a transfer coding other than `chunked`."""

    def __init__(self, codings: str) -> None:
        super().__init__(f"Transfer-Encoding {codings[:100]!r}: only 'chunked' is supported")


class ExpectationFailed(RequestError):
    """`Expect` asks for something that this server does not do."""

    def __init__(self, expectation: str) -> None:
        super().__init__(f"Expect {expectation[:100]!r}: only '100-continue' is supported")


class BodyTooLarge(RequestError):
    """The body of a request other than an upload is too long."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes, the most that is taken here")


class FieldInvalid(InvalidRequest):
    """A field, or a query parameter, cannot be what it is."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UploadInterrupted(InvalidRequest):
    """The client went away before the upload was whole."""

    def __init__(self) -> None:
        super().__init__("the client went away before the upload was whole")


class ResponseBroken(Exception):
    """A response cannot be completed after its headers were sent; the reason is logged.

    No `EurydiceError`, which would become an answer: the server closes the connection, so
    that the client sees fewer bytes than `Content-Length`.
    """


class TooSlow(RequestError):
    """The client sent nothing, or next to nothing, for too long."""


STATUS: Final[Mapping[type[BaseException], int]] = {
    InvalidRequest: 400,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotAssociated: 403,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    BodyTooLarge: 413,
    KeyReused: 422,
    QuotaExceeded: 413,
    UnsupportedMediaType: 415,
    UnsupportedContentCoding: 415,
    RangeNotSatisfiable: 416,
    ExpectationFailed: 417,
    TooManyRequests: 429,
    RequestError: 400,
    DatabaseUnavailable: 503,
    StorageUnavailable: 503,
    StorageFull: 507,
    TransferCodingUnknown: 501,
    BaseException: 500,
}
# What is wrong inside is for the log, not for whoever asks.
INTERNAL: Final = {
    500: "something went wrong on our side; the log tells what, under the request's X-Request-Id",
    503: "a service behind the API does not answer now; try again in a moment",
    507: "there is no room left for files; try again later",
}


def status_of(error: BaseException) -> int:
    """Return the status of an error: its own class's, or its nearest ancestor's."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(error: BaseException) -> Response:
    """Return the response that an error becomes."""
    status = status_of(error)
    headers = {} if (seconds := _retry_after(error)) is None else {"Retry-After": str(seconds)}
    detail = INTERNAL[status] if status in INTERNAL else str(error)
    response = problem_response(status, kind_of(error), detail, fields_of(error), headers)
    if isinstance(error, RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, UnsupportedContentCoding):
        response.headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    if isinstance(error, NotAuthenticated):
        for challenge in error.challenges:
            response.headers.append("WWW-Authenticate", challenge)
    return response


def _retry_after(error: BaseException) -> int | None:
    if isinstance(error, TooManyRequests):
        return error.retry_after
    return RETRY_AFTER if status_of(error) == 503 else None


def fields_of(error: BaseException) -> dict[str, Any]:
    """Return what the body says of single fields, in the shape that clients know."""
    if isinstance(error, AssociationTokenInvalid):
        return {"token": str(error)}
    if isinstance(error, FieldInvalid):
        return {error.field: [error.message]}
    return {}


def kind_of(error: BaseException) -> str:
    """Return the name of a problem, from its class: `SizeMismatch` is `size-mismatch`."""
    if isinstance(error, DatabaseUnavailable):
        name = DatabaseUnavailable.__name__  # the reason is not the user's business
    else:
        name = type(error).__name__ if isinstance(error, EurydiceError) else "InternalError"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def problem_response(
    status: int,
    kind: str,
    detail: str,
    fields: Mapping[str, Any],
    headers: Mapping[str, str] | None,
) -> Response:
    """Return a problem; fields of our own never hide the standard's."""
    body = {
        **fields,
        "type": f"urn:eurydice:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    request_id = current_request_id.get()
    if request_id is not None:
        body |= {"instance": f"urn:eurydice:request:{request_id}", "request_id": request_id}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(content, status, headers, MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Have an application answer errors with problems."""
    app.add_exception_handler(EurydiceError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_error(_request: Request, error: Exception) -> Response:
    if status_of(error) >= 500:
        logger.error("{}: {}", type(error).__name__, error)
    return problem(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the routing itself refuses: an unknown path, or another method."""
    if not isinstance(error, HTTPException):  # pragma: no cover (registered for nothing else)
        raise error
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The router names the methods of one route; several may share a path.
        allowed = allowed_methods(request.app, request.scope)
        headers["Allow"] = allowed or headers.get("Allow", "")
    return problem_response(error.status_code, "", str(error.detail), {}, headers)
