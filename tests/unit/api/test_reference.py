from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from eurydice_core.api.app import ROUTERS
from eurydice_core.api.destination import routes as destination
from eurydice_core.api.origin import routes as origin
from eurydice_core.api.problems import STATUS

PAGE = (Path(__file__).parents[3] / "docs/reference/api.md").read_text()
ROUTES = [
    route
    for routers in ROUTERS.values()
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute)
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.methods} {route.path}")
def test_every_route_is_documented(route):
    assert route.path.rstrip("/") in PAGE


@pytest.mark.parametrize("status", sorted(set(STATUS.values())))
def test_every_status_is_documented(status):
    assert f"| {status} |" in PAGE


@pytest.mark.parametrize("side", [origin, destination])
def test_every_query_parameter_is_documented(side):
    app = FastAPI()
    app.include_router(side.router)
    operation = app.openapi()["paths"]["/api/v1/transferables/"]["get"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    for name in names:
        assert f"`{name}`" in PAGE or f"`{name.replace('_before', '_after')}`" in PAGE
    assert {"page", "from", "delta", "page_size", "state", "name", "sha1"} <= names
