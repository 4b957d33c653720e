"""QR codes, for carrying a line of text past a one-way link: in a terminal, or as a picture."""

from __future__ import annotations

import io
from typing import Final

import segno

__all__ = ["as_png", "as_text"]

LARGEST_SIDE: Final = 800
"""Pixels; about as much as a screen shows at once, and a camera sees sharply."""


def as_png(text: str) -> bytes:
    """Return a picture of at most `LARGEST_SIDE` pixels each way, as large as fits in it."""
    code = _code(text)
    side, _ = code.symbol_size()
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=max(1, LARGEST_SIDE // side))
    return picture.getvalue()


def as_text(text: str) -> str:
    """Return lines of half blocks, two modules above each other: light is the text's colour."""
    lines = io.StringIO()
    _code(text).terminal(lines, compact=True)
    return lines.getvalue()


def _code(text: str) -> segno.QRCode:
    # A micro code would be smaller, but few scanners know it.
    return segno.make(text, micro=False)
