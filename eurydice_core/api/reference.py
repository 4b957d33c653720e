"""Serves `/api/docs/`: the reference of the API, without scripts and external resources."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from eurydice_core.api.openapi.page import STYLE, page

__all__ = ["router"]

router = APIRouter()

SCHEMA_URL: Final = "/api/v1/schema"
STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@router.get("/api/docs/", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Return the reference page of this side's API."""
    schema_url = f"{request.scope.get('root_path', '')}{SCHEMA_URL}"
    return HTMLResponse(page(request.app.openapi(), schema_url), headers=HEADERS)
