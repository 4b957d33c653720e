"""The methods of a path: `HEAD` wherever there is `GET`, and `OPTIONS`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Scope

__all__ = ["allowed_methods", "routed_methods"]


def routed_methods(app: FastAPI, scope: Scope) -> set[str]:
    """Return the methods that routes of the API have at the path of a request."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    routes: Iterable[Route] = app.state.routes
    return {
        method
        for route in routes
        if route.path_regex.fullmatch(path)
        for method in route.methods or ()
    }


def allowed_methods(app: FastAPI, scope: Scope) -> str:
    """Return the value of `Allow` for the path of a request, empty where there is no route."""
    methods = routed_methods(app, scope)
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""
