"""Alembic's place: how it runs, and the revisions of each side."""

from __future__ import annotations
