"""Bytes that one part lends another."""

from __future__ import annotations

__all__ = ["Buffer"]

Buffer = bytes | bytearray | memoryview
"""Bytes that are lent for the time of a call."""
