"""Who may come in: staff only, and what they send must come from these pages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from eurydice_admin.forms import read_form, require_token
from eurydice_admin.settings import Settings
from eurydice_admin.views import address, render
from eurydice_core.interfaces.administration import Administration
from eurydice_core.interfaces.web import Door, Visitor

__all__ = ["Page", "for_staff", "sign_in", "sign_out", "signed_in"]

FORM_COOKIE: Final = "eurydice_admin_form"
"""What the sign-in form must repeat: there is no session yet that could vouch for it."""
INSIDE: Final = re.compile(r"/(?!/)[A-Za-z0-9._~/?&=%+@:-]{0,500}")
REFUSED: Final = (
    "Wrong username or password, or passwords are not accepted over this connection. Check both,"
    " and use an https:// address."
)
NOT_KEPT: Final = (
    "Your browser did not keep the session. Allow cookies, and use an https:// address: the"
    " session's cookie needs HTTPS unless [api] secure_cookies is false."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One request of a member of staff."""

    request: Request
    visitor: Visitor
    administration: Administration
    form: Mapping[str, str] = field(default_factory=dict)
    """What was sent, if something is to change; it is from a page of ours."""

    @property
    def settings(self) -> Settings:
        """What is set of these pages."""
        settings: Settings = self.request.app.state.settings
        return settings

    @property
    def is_origin(self) -> bool:
        """Whether this is the side that sends."""
        return self.administration.side == "origin"

    def render(self, name: str, status: int = 200, **facts: Any) -> Response:
        """Return the response that shows something."""
        return render(self.request, name, status, **facts)

    def go_to(self, path: str, **query: object) -> Response:
        """Send the browser on, so that reloading a page repeats nothing."""
        return RedirectResponse(address(self.request, path, **query), 303)


Handler = Callable[[Page], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def for_staff(handler: Handler) -> Endpoint:
    """Let staff in, send strangers to the entrance, and tell everybody else."""

    async def endpoint(request: Request) -> Response:
        visitor = await door_of(request).visitor(request.scope)
        if visitor is None:
            return RedirectResponse(address(request, "/sign-in", next=wanted(request)), 303)
        if visitor.administration is None:
            return render(request, "no_access.html", 403, visitor=visitor, contact=contact(request))
        form: Mapping[str, str] = {}
        if request.method == "POST":
            form = await read_form(request)
            require_token(form, visitor.csrf_token)
        page = Page(
            request=request,
            visitor=visitor,
            administration=visitor.administration,
            form=form,
        )
        request.state.page = page
        return await handler(page)

    return endpoint


async def sign_in(request: Request) -> Response:
    """Ask for a name and a password, and take them."""
    if request.method != "POST":
        return _form(request, request.query_params.get("next", ""))
    form = await read_form(request)
    require_token(form, request.cookies.get(FORM_COOKIE) or secrets.token_hex())
    inside = form.get("next", "")
    cookies = await door_of(request).sign_in(
        request.scope, form.get("username", ""), form.get("password", "")
    )
    if cookies is None:
        return _form(request, inside, REFUSED, 403)
    response = RedirectResponse(address(request, "/signed-in", next=_inside(inside)), 303)
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response


async def signed_in(request: Request) -> Response:
    """Send who has signed in to where they wanted; tell whose browser kept no session."""
    inside = _inside(request.query_params.get("next", ""))
    if await door_of(request).visitor(request.scope) is None:
        return _form(request, inside, NOT_KEPT, 403)
    return RedirectResponse(address(request, inside), 303)


async def sign_out(request: Request) -> Response:
    """End the session, of whoever has one."""
    visitor = await door_of(request).visitor(request.scope)
    form = await read_form(request)
    if visitor is not None:
        require_token(form, visitor.csrf_token)
    response = RedirectResponse(address(request, "/sign-in"), 303)
    for cookie in await door_of(request).sign_out(request.scope):
        response.headers.append("Set-Cookie", cookie)
    return response


def door_of(request: Request) -> Door:
    """Return what knows who is asking."""
    door: Door = request.scope["state"]["door"]
    return door


def contact(request: Request) -> str:
    """Return the person or address to ask for help, for the end of "Ask ..."."""
    return door_of(request).contact or "the administrator of this installation"


def wanted(request: Request) -> str:
    """Return which page was asked for, to come back to it."""
    if request.method != "GET":
        return ""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return _inside(f"{path}?{request.url.query}" if request.url.query else path)


def _form(request: Request, inside: str, error: str | None = None, status: int = 200) -> Response:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_hex(16)
    response = render(
        request,
        "sign_in.html",
        status,
        next=_inside(inside),
        token=token,
        error=error,
        contact=contact(request),
    )
    path = f"{request.scope.get('root_path', '')}/sign-in"
    secure = request.url.scheme == "https"
    response.set_cookie(
        FORM_COOKIE, token, path=path, secure=secure, httponly=True, samesite="strict"
    )
    return response


def _inside(path: str) -> str:
    """Return a path of these pages, whatever somebody made of it."""
    return path if INSIDE.fullmatch(path) else "/"
