"""The ways to say who you are, and which operation takes which."""

from __future__ import annotations

from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from eurydice_core.api.context import current_account

__all__ = ["SCHEMES", "needs_account", "security_of"]

SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "tokenAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "An API token, always accepted: `Authorization: Token TOKEN`.",
    },
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same API token, in the form that most clients send.",
    },
    "basicAuth": {
        "type": "http",
        "scheme": "basic",
        "description": "Username and password, if the plugin `auth_basic` is enabled.",
    },
    "cookieAuth": {
        "type": "apiKey",
        "in": "cookie",
        "name": "eurydice_sessionid",
        "description": "A session, opened by `login`. Requests that change something also need the"
        " header `X-CSRFToken` with the value of the cookie `eurydice_csrftoken`.",
    },
    "remoteUserAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Remote-User",
        "description": "Set by your reverse proxy, if the plugin `auth_remoteuser` is enabled;"
        " ignored from any other client.",
    },
}
ANYBODY_KNOWN: Final[list[dict[str, list[str]]]] = [{name: []} for name in SCHEMES]
BEGINS_SESSION: Final[list[dict[str, list[str]]]] = [{"basicAuth": []}, {"remoteUserAuth": []}]
SPECIAL: Final[dict[str, list[dict[str, list[str]]]]] = {
    "login": BEGINS_SESSION,
    "logout": [{}, {"cookieAuth": []}],
    "metrics": [{}, {"tokenAuth": []}, {"bearerAuth": []}, {"basicAuth": []}],
}
"""By operation; an empty way in means that one may come without."""


def security_of(route: APIRoute) -> list[dict[str, list[str]]]:
    """Return the ways in that a route takes, any one of them; none if it is for everybody."""
    if route.operation_id in SPECIAL:
        return SPECIAL[route.operation_id]
    return ANYBODY_KNOWN if needs_account(route) else []


def needs_account(route: APIRoute) -> bool:
    """Return whether a route refuses strangers."""
    return _asks_for_account(route.dependant)


def _asks_for_account(dependant: Dependant) -> bool:
    return dependant.call is current_account or any(map(_asks_for_account, dependant.dependencies))
