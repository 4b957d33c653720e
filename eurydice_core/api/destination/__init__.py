"""Routes of the destination's API."""

from __future__ import annotations
