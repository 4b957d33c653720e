"""Around every request: where it comes from, a number for the log, what it ended with."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from loguru import logger
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eurydice_core.api.challenges import is_from_page, without_prompts
from eurydice_core.api.methods import routed_methods
from eurydice_core.api.peer import Peer, joined_headers, peer_of
from eurydice_core.api.problems import ResponseBroken, problem
from eurydice_core.api.proxies import ProxyTrust
from eurydice_core.api.request_id import HEADER, choose_request_id, current_request_id
from eurydice_core.api.texts import require_text_in_url
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest

__all__ = [
    "API_PREFIX",
    "Peer",
    "RequestMiddleware",
    "joined_headers",
    "request_id_of",
    "route_path",
]

API_PREFIX: Final = "/api/"


class RequestMiddleware:
    """Tells where a request comes from and logs how it went; nothing that fails passes it."""

    def __init__(self, app: ASGIApp, trust: ProxyTrust) -> None:
        self._app = app
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["api"] = scope["app"]
        state["door"] = scope["app"].state.eurydice.door
        state["peer"] = peer = peer_of(scope, self._trust)
        state["request_id"] = request_id_of(scope, peer)
        # Web plugins build addresses and cookies from the scheme.
        scope = {**self._trust.without_secret(scope), "scheme": "https" if peer.secure else "http"}
        named = current_request_id.set(state["request_id"])
        answer = _Answer(scope, send)
        with logger.contextualize(request_id=state["request_id"]):
            started = time.perf_counter()
            routed = as_get(with_slash(scope))
            try:
                require_text_in_url(scope)
                await self._app(routed, receive, answer.send)
            except InvalidRequest as error:
                await problem(error)(scope, receive, answer.send)
            except ResponseBroken:
                # Logged already. The server closes the connection, since its response is not
                # complete; had we raised it, the server would log it with a traceback.
                state["response_broken"] = True
            except Exception as error:
                logger.exception("a bug ended this request")
                if answer.status is not None:
                    raise  # too late for an answer: the server breaks the connection off
                await problem(error)(scope, receive, answer.send)
            finally:
                state["route"] = routed.get("route")  # for whoever goes around us
                _log(scope, answer.status, time.perf_counter() - started)
                current_request_id.reset(named)


class _Answer:
    """Sends the response, with the headers that every response has."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status == HTTPStatus.UNAUTHORIZED and is_from_page(self._scope):
                message["headers"] = without_prompts(message.get("headers", ()))
            headers = MutableHeaders(scope=message)
            state = self._scope["state"]
            headers[HEADER] = state["request_id"]
            headers.setdefault("X-Content-Type-Options", "nosniff")
            if route_path(self._scope).startswith(API_PREFIX):
                headers.setdefault("Cache-Control", "no-store")
            account: Account | None = state.get("account")
            if account is not None:
                name = account.username.encode()
                message["headers"].append((b"authenticated-user", name))
        elif message["type"] == "http.response.body" and self._scope["method"] == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


def _log(scope: Scope, status: int | None, seconds: float) -> None:
    state = scope["state"]
    account: Account | None = state.get("account")
    is_routine = scope["method"] in ("GET", "HEAD") and status is not None and status < 400
    logger.log(
        "DEBUG" if is_routine else "INFO",  # clients that poll would fill the log
        "{} {!r} {} in {:.0f} ms for {} at {}",
        scope["method"],
        scope["path"],
        status or "unanswered",
        seconds * 1000,
        account.username if account else "nobody",
        state["peer"].user_address or "an unknown address",
    )


def route_path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def with_slash(scope: Scope) -> Scope:
    """Let paths of the API end with a slash, as its routes do, however they were written."""
    if not route_path(scope).startswith(API_PREFIX) or scope["path"].endswith("/"):
        return scope
    return {**scope, "path": f"{scope['path']}/"}


def as_get(scope: Scope) -> Scope:
    """Let HEAD be answered as GET where a path has no answer of its own for it (RFC 9110 9.3.2)."""
    if scope["method"] == "HEAD" and "HEAD" not in routed_methods(scope["app"], scope):
        return {**scope, "method": "GET"}
    return scope


def request_id_of(scope: Scope, peer: Peer) -> str:
    """Return the id of a request; that of `X-Request-Id` counts from a proven proxy only."""
    offered = joined_headers(scope).get(HEADER.lower(), "") if peer.from_proxy else ""
    return choose_request_id(offered)
