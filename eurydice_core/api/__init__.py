"""The REST API of both sides: an ASGI application over the engine, and its server."""

from __future__ import annotations
