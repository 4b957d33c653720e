"""The application: which address shows what."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eurydice_admin import entrance, overview, transferables, users
from eurydice_admin.entrance import for_staff
from eurydice_admin.settings import Settings
from eurydice_admin.views import STYLE, Views, show_error
from eurydice_core.errors import EurydiceError

__all__ = ["create_app"]


def create_app(settings: Settings) -> Starlette:
    """Return the pages."""
    app = Starlette(
        routes=[
            Route("/style.css", style),
            Route("/sign-in", entrance.sign_in, methods=["GET", "POST"]),
            Route("/signed-in", entrance.signed_in),
            Route("/sign-out", entrance.sign_out, methods=["POST"]),
            Route("/", for_staff(overview.show)),
            Route("/maintenance", for_staff(overview.set_maintenance), methods=["POST"]),
            Route("/users", for_staff(users.show_all)),
            Route("/new-user", for_staff(users.show_new)),
            Route("/new-user", for_staff(users.add), methods=["POST"]),
            Route("/user/{username}", for_staff(users.show)),
            Route("/user/{username}/{deed}", for_staff(users.change), methods=["POST"]),
            Route("/transferables", for_staff(transferables.show_all)),
            Route("/transferable/{id:uuid}", for_staff(transferables.show)),
            Route("/transferable/{id:uuid}/end", for_staff(transferables.confirm_end)),
            Route("/transferable/{id:uuid}/end", for_staff(transferables.end), methods=["POST"]),
        ],
        exception_handlers={EurydiceError: show_error, HTTPException: show_error},
    )
    app.router.redirect_slashes = False  # it would spell out a host, which a proxy may have hidden
    app.state.views = Views()
    app.state.settings = settings
    return app


async def style(_: Request) -> Response:
    """Return the style sheet."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=300"})
