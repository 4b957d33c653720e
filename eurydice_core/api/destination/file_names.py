"""File names for `Content-Disposition` (RFC 6266) that are safe wherever they are saved."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from eurydice_core.api.metadata_headers import decoded_name

__all__ = ["content_disposition"]

LONGEST: Final = 255
"""Bytes of a file name on most file systems (NAME_MAX)."""
# A path of Windows: there a backslash separates; elsewhere it is a character of the name.
WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:|\\\\|(?:.*[\\/])?\.\.\\", re.DOTALL)
# A quote or backslash ends or escapes a quoted-string, browsers decode %XX, and Windows
# refuses the rest or, as with the colon, writes to something else than that file.
UNSAFE: Final = re.compile(r'%[0-9A-Fa-f]{2}|["\\/:*?<>|]|[^\x20-\x7e]')
RESERVED: Final = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9])\s*(?:\.|$)", re.I
)
# Cc: control characters; Cs: lone surrogates, which are not UTF-8; Zl, Zp: line breaks.
NEVER_SHOWN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which others are shown: `exe.txt` may be `txt.exe`."""


def content_disposition(name: str, *, otherwise: str) -> str:
    """Return the value of `Content-Disposition` for a transferable's name.

    `filename` is ASCII and safe on every file system; `filename*` (RFC 8187) follows where
    the name's last path component is another one.

    Args:
        name: as the transferable has it; from the other side, so it may be anything.
        otherwise: the name of a file whose own name has no last path component.
    """
    component = last_component(decoded_name(name)) or otherwise
    plain = safe_ascii(component)
    disposition = f'attachment; filename="{plain}"'
    if plain == component:
        return disposition
    return f"{disposition}; filename*=UTF-8''{quote(component, safe='')}"


def last_component(name: str) -> str:
    """Return the last component of a path, without characters that nobody should see.

    It is empty where the name has none: `""`, `"."`, `"a/.."`, `"/"`.
    """
    if WINDOWS_PATH.match(name):
        name = name.replace("\\", "/")
    component = name.rsplit("/", 1)[-1].strip()
    if component in ("", ".", ".."):
        return ""
    return "".join("_" if is_hidden(char) else char for char in component)


def is_hidden(char: str) -> bool:
    """Return whether a character shows as nothing, or changes how others are shown."""
    return char in BIDI or unicodedata.category(char) in NEVER_SHOWN


def safe_ascii(component: str) -> str:
    """Return a name of printable ASCII that every file system takes as it is."""
    plain = UNSAFE.sub("_", component)[:LONGEST]
    end = len(plain.rstrip(". "))  # Windows drops what follows
    plain = plain[:end] + "_" * (len(plain) - end)
    return f"_{plain}"[:LONGEST] if RESERVED.match(plain) else plain
