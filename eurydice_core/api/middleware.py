"""Around every request: where it comes from, a number for the log, what it ended with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from loguru import logger
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eurydice_core.api.methods import routed_methods
from eurydice_core.api.problems import problem
from eurydice_core.api.request_id import HEADER, choose_request_id, current_request_id
from eurydice_core.api.texts import require_text_in_url
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest

__all__ = [
    "API_PREFIX",
    "Network",
    "Peer",
    "RequestMiddleware",
    "is_within",
    "joined_headers",
    "peer_of",
    "request_id_of",
    "route_path",
]

Network = IPv4Network | IPv6Network

API_PREFIX: Final = "/api/"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from."""

    address: str
    """Of the TCP connection: the user's, or a reverse proxy's; empty on a Unix socket."""
    user_address: str
    """The user's, as far as trusted proxies tell."""
    secure: bool
    """Whether the user's connection is encrypted."""
    host: str = ""
    """What the user calls this side, as in `Host`."""


class RequestMiddleware:
    """Tells where a request comes from and logs how it went; nothing that fails passes it."""

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["api"] = scope["app"]
        state["door"] = scope["app"].state.eurydice.door
        state["peer"] = peer_of(scope, self._trusted)
        state["request_id"] = request_id_of(scope, self._trusted)
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
        state["peer"].user_address or "a local socket",
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


def joined_headers(scope: Scope) -> dict[str, str]:
    """Return headers by name in lower case; one that came twice is joined with ", "."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def peer_of(scope: Scope, trusted: Sequence[Network]) -> Peer:
    """Return where a request comes from; `X-Forwarded-*` counts from trusted proxies only."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    secure = scope.get("scheme") == "https"
    headers = joined_headers(scope)
    host = headers.get("host", "")
    if not is_within(address, trusted):
        return Peer(address, address, secure, host)
    # What each proxy appends is what it heard itself: only what trusted ones appended is true.
    protocols = _listed(headers, "x-forwarded-proto")
    hosts = _listed(headers, "x-forwarded-host")
    return Peer(
        address,
        _user_address(_listed(headers, "x-forwarded-for"), address, trusted),
        protocols[-1].lower() == "https" if protocols else secure,
        hosts[-1] if hosts else host,
    )


def _user_address(forwarded: Sequence[str], address: str, trusted: Sequence[Network]) -> str:
    """Return the last address before the trusted proxies; what is no address tells nothing."""
    for hop in reversed(forwarded):
        hop_address = _without_port(hop)
        if hop_address is None:
            break
        address = hop_address
        if not is_within(address, trusted):
            break
    return address


def _without_port(hop: str) -> str | None:
    """Return the address of `192.0.2.1:4711`, `[2001:db8::1]:4711`, or either without a port."""
    host = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ip_address(host[:45]))
    except ValueError:
        return None


def request_id_of(scope: Scope, trusted: Sequence[Network]) -> str:
    """Return the name of a request; that of `X-Request-Id` counts from trusted proxies only."""
    client = scope.get("client")
    if not client or not is_within(str(client[0]), trusted):
        return choose_request_id("")
    return choose_request_id(joined_headers(scope).get(HEADER.lower(), ""))


def _listed(headers: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in headers.get(name, "").split(",") if item.strip()]


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address is of one of these; what is none belongs nowhere."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
