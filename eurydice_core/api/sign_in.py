"""Routes for browsers, which carry a session instead of credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request, Response

from eurydice_core.api.context import CurrentApi
from eurydice_core.api.cookies import session_token
from eurydice_core.api.middleware import joined_headers
from eurydice_core.api.problems import Forbidden
from eurydice_core.api.schemas import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/api/v1")

ACCOUNT: Final = "Account management"
COOKIES: Final = {
    "Set-Cookie": {
        "schema": {"type": "string"},
        "description": "`eurydice_sessionid` and `eurydice_csrftoken`.",
    }
}


@router.get(
    "/user/login/",
    operation_id="login",
    tags=[ACCOUNT],
    status_code=204,
    responses={
        204: {"headers": COOKIES},
        302: {"description": "The same, for the path without a slash: on to the web pages."},
        403: PROBLEMS[403],
        429: PROBLEMS[429],
    },
)
async def login(request: Request, api: CurrentApi) -> Response:
    """Begin a session, with what an authenticator accepts; an API token begins none."""
    token = await api.authentication.sign_in(request.scope)
    if token is None:
        raise Forbidden("nobody signed in: no credentials that open a session came with this")
    response = Response(status_code=204)
    if not request.scope.get("raw_path", b"/").endswith(b"/"):  # a browser on its way to a page
        home = f"{request.scope.get('root_path', '')}/"
        response = Response(status_code=302, headers={"Location": home})
    return with_cookies(response, api.door.cookies(request.scope, token))


@router.post(
    "/user/logout/",
    operation_id="logout",
    tags=[ACCOUNT],
    status_code=204,
    responses={204: {"headers": COOKIES}, 403: PROBLEMS[403]},
)
async def logout(request: Request, api: CurrentApi) -> Response:
    """End the session; without one, nothing happens."""
    token = session_token(joined_headers(request.scope))
    if token is not None:
        api.authentication.require_csrf(request.scope, token)
    return with_cookies(Response(status_code=204), await api.door.sign_out(request.scope))


def with_cookies(response: Response, cookies: Sequence[str]) -> Response:
    """Return a response that sets these."""
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response
