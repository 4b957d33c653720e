"""The ASGI application of one side, to be served by us or mounted by somebody else.

with open_installation(settings) as installation:
    app = create_app(installation)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope

from eurydice_core.api import reference, shared, sign_in
from eurydice_core.api.administration.desk import Desk
from eurydice_core.api.authentication import Authentication
from eurydice_core.api.bodies import BodyMiddleware
from eurydice_core.api.context import Api
from eurydice_core.api.destination import repair as destination_repair
from eurydice_core.api.destination import routes as destination
from eurydice_core.api.door import ApiDoor
from eurydice_core.api.middleware import API_PREFIX, RequestMiddleware, route_path
from eurydice_core.api.monitoring import routes as monitoring
from eurydice_core.api.monitoring.monitor import Monitor, watched
from eurydice_core.api.monitoring.requests import MeasureMiddleware
from eurydice_core.api.monitoring.tallies import Tallies
from eurydice_core.api.openapi.document import describe
from eurydice_core.api.options import add_options
from eurydice_core.api.origin import repair as origin_repair
from eurydice_core.api.origin import routes as origin
from eurydice_core.api.paging import PageTokens
from eurydice_core.api.problems import handle_problems
from eurydice_core.api.proxies import ProxyTrust
from eurydice_core.api.threads import Threads
from eurydice_core.hookspecs import WebPlugin
from eurydice_core.installation import Installation
from eurydice_core.model.states import Side
from eurydice_core.plugins import Kind

__all__ = ["create_app", "schema_of"]

ROUTERS: Final = {
    Side.ORIGIN: (
        monitoring.router,
        reference.router,
        shared.router,
        sign_in.router,
        origin.router,
        origin_repair.router,
    ),
    Side.DESTINATION: (
        monitoring.router,
        reference.router,
        shared.router,
        sign_in.router,
        destination.router,
        destination_repair.router,
    ),
}


def create_app(installation: Installation, tallies_dir: Path | None = None) -> FastAPI:
    """Return the API of an opened installation, and the web plugins beside it.

    Worker processes that serve together count in one directory, `tallies_dir`.

    Raises:
        EurydiceError: a plugin that the configuration names cannot be used.
    """
    side = installation.settings.side
    threads = Threads()
    tallies = Tallies(installation.settings.state_dir / "tallies", tallies_dir)
    installation = watched(installation, tallies)
    app = _with_routes(side)
    authentication = Authentication(installation, threads)
    monitor = Monitor(installation, tallies, threads)
    desk = partial(Desk, installation, threads, monitor)
    app.state.eurydice = Api(
        installation=installation,
        threads=threads,
        authentication=authentication,
        door=ApiDoor(authentication, installation.settings.api, desk),
        page_tokens=PageTokens(installation.settings.secret_key.get_secret_value()),
        monitor=monitor,
    )
    app.add_middleware(
        BodyMiddleware,
        timeout=installation.settings.api.body_timeout,
        streamed=_streamed_routes(side),
    )
    app.add_middleware(RequestMiddleware, trust=ProxyTrust(installation.settings.api))
    app.add_middleware(MeasureMiddleware, tallies=tallies)  # the last added goes around the others
    handle_problems(app)
    app.router.routes.extend(_web_routes(installation))
    return app


def schema_of(side: Side) -> dict[str, Any]:
    """Return the OpenAPI document of a side's API; no installation is needed for it."""
    return _with_routes(side).openapi()


def _with_routes(side: Side) -> FastAPI:
    app = FastAPI(
        title=f"Eurydice {side} API",
        version=version("eurydice-core"),
        openapi_url=None,  # it has a route of its own
        redirect_slashes=False,  # both ways of writing a path are answered
        lifespan=_lifespan,
    )
    for router in ROUTERS[side]:
        app.include_router(router)
    routes = [route for router in ROUTERS[side] for route in router.routes]
    app.state.routes = routes
    add_options(app, routes)
    app.openapi = cache(partial(describe, app, side, routes))  # type: ignore[method-assign]
    return app


def _streamed_routes(side: Side) -> list[tuple[str, str]]:
    """Return method and path of the routes that receive their bodies themselves."""
    return [
        (method, route.path)
        for router in ROUTERS[side]
        for route in router.routes
        if isinstance(route, APIRoute) and route.operation_id == origin.UPLOAD
        for method in route.methods or ()
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        api: Api = app.state.eurydice
        api.close()


class _WebMount(Mount):
    """A web plugin; the API's own paths are never its."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if route_path(scope).startswith(API_PREFIX):
            return Match.NONE, {}
        return super().matches(scope)


def _web_routes(installation: Installation) -> list[BaseRoute]:
    settings, plugins = installation.settings.web, installation.plugins
    mounts = []
    for name in settings.plugins:
        plugin = plugins.choose(Kind.WEB, name)
        if not isinstance(plugin, WebPlugin):  # pragma: no cover (choose went by the kind)
            raise TypeError(f"{name} is no web plugin")
        asgi = plugins.create_web(name, settings.options_of(name), installation.context)
        mounts.append(_WebMount(plugin.path.rstrip("/"), asgi))
    # What answers `/` takes everything that reaches it, so it comes last.
    mounts.sort(key=lambda mount: not mount.path)
    return [*(Route(mount.path, _with_slash) for mount in mounts if mount.path), *mounts]


async def _with_slash(request: Request) -> Response:
    """Send a browser to where the pages of a plugin begin."""
    return RedirectResponse(f"{request.scope['path']}/", 307)
