"""Pages about accounts and their tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from eurydice_admin.entrance import Page
from eurydice_admin.forms import read_count, read_flag, read_quota
from eurydice_admin.views import address, segment
from eurydice_core.errors import InvalidRequest
from eurydice_core.interfaces.administration import (
    Action,
    AddUser,
    ChangeUser,
    IssueToken,
    RevokeToken,
    SetPassword,
    UnlinkUser,
    UserQuery,
)

__all__ = ["add", "change", "show", "show_all", "show_new"]

DONE: Final = {
    "added": "Account created.",
    "values": "Changes saved.",
    "password": "Password set. Browsers that were signed in must sign in again.",
    "revoke-token": "Token revoked. Requests with it are refused.",
    "unlink": "Account unlinked from its origin account.",
}
Form = Mapping[str, str]


async def show_all(page: Page) -> Response:
    """List accounts by name."""
    asked = page.request.query_params
    text, start = asked.get("text", "").strip(), asked.get("start")
    listed = await page.administration.users(
        UserQuery(text=text, start=start, limit=page.settings.page_size)
    )
    return page.render(
        "users.html",
        listed=listed,
        text=text,
        is_first=not start,
        more=listed.next and address(page.request, "/users", text=text, start=listed.next),
        first=address(page.request, "/users", text=text),
    )


async def show_new(page: Page) -> Response:
    """Ask for what a new account needs."""
    return page.render("new_user.html")


async def add(page: Page) -> Response:
    """Make an account."""
    form, username = page.form, page.form.get("username", "").strip()
    await page.administration.perform(
        AddUser(
            username=username,
            password=form.get("password") or None,
            priority=read_count(form.get("priority", ""), "Priority"),
            is_staff=read_flag(form, "is_staff"),
            sees_metrics=read_flag(form, "sees_metrics"),
        )
    )
    return page.go_to(_path(username), done="added")


async def show(page: Page) -> Response:
    """Show an account, and what may be changed of it."""
    known = await page.administration.user(page.request.path_params["username"])
    done = DONE.get(page.request.query_params.get("done", ""))
    return page.render("user.html", known=known, user=known.user, done=done)


async def change(page: Page) -> Response:
    """Do one of the things that can be done to an account."""
    username, deed = page.request.path_params["username"], page.request.path_params["deed"]
    if deed not in DEEDS:
        raise HTTPException(404)
    outcome = await page.administration.perform(DEEDS[deed](username, page.form))
    if outcome.secret is not None:
        return page.render(
            "message.html",
            title=f"API token for {username}",
            text="Copy the token now: it is not shown again. Programs send it in the header"
            " Authorization: Token TOKEN.",
            secret=outcome.secret,
            back=(f"/user/{segment(username)}", f"Back to {username}"),
        )
    return page.go_to(_path(username), done=deed)


def _values(username: str, form: Form) -> Action:
    return ChangeUser(
        username=username,
        is_active=read_flag(form, "is_active"),
        is_staff=read_flag(form, "is_staff"),
        sees_metrics=read_flag(form, "sees_metrics"),
        priority=read_count(form.get("priority", ""), "Priority"),
        quota_size=read_quota(form.get("quota_size", ""), "Storage quota"),
        quota_files=read_quota(form.get("quota_files", ""), "File quota"),
    )


def _password(username: str, form: Form) -> Action:
    if not form.get("password") or form["password"] != form.get("again"):
        raise InvalidRequest("The two passwords differ: enter the same password in both fields")
    return SetPassword(username=username, password=form["password"])


def _issue_token(username: str, form: Form) -> Action:
    days = form.get("days", "").strip()
    return IssueToken(
        username=username,
        label=form.get("label", "").strip(),
        days=read_count(days, "Valid for (days)") if days else None,
    )


def _revoke_token(username: str, form: Form) -> Action:
    _require_sure(form)
    return RevokeToken(username=username, id=read_count(form.get("id", ""), "Token number"))


def _unlink(username: str, form: Form) -> Action:
    _require_sure(form)
    return UnlinkUser(username=username)


def _require_sure(form: Form) -> None:
    if not read_flag(form, "sure"):
        raise InvalidRequest("Not confirmed: tick the box next to the button, then try again")


DEEDS: Final[Mapping[str, Callable[[str, Form], Action]]] = {
    "values": _values,
    "password": _password,
    "issue-token": _issue_token,
    "revoke-token": _revoke_token,
    "unlink": _unlink,
}


def _path(username: str) -> str:
    return f"/user/{username}"
