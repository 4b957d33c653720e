"""Routes of the origin's API."""

from __future__ import annotations
