"""Answers `OPTIONS` at every path of the API with the methods that it has (RFC 9110 9.3.7)."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from eurydice_core.api.context import CurrentAccount, current_account
from eurydice_core.api.methods import allowed_methods

__all__ = ["add_options"]


def add_options(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Answer `OPTIONS` at every path, to whom the other methods of the path answer."""
    public: dict[str, bool] = {}
    for route in routes:
        if isinstance(route, APIRoute):
            is_public = not _needs_account(route.dependant)
            public[route.path] = public.get(route.path, False) or is_public
    for path, is_public in public.items():
        answer = _options if is_public else _options_of_account
        app.add_api_route(path, answer, methods=["OPTIONS"], include_in_schema=False)


async def _options(request: Request) -> Response:
    return Response(headers={"Allow": allowed_methods(request.app, request.scope)})


async def _options_of_account(request: Request, account: CurrentAccount) -> Response:
    return await _options(request)


def _needs_account(dependant: Dependant) -> bool:
    return dependant.call is current_account or any(map(_needs_account, dependant.dependencies))
