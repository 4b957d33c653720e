"""What users say about a file in `Metadata-*` headers, on its way in and out again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from eurydice_core.errors import InvalidRequest

__all__ = ["NAME", "metadata_from_headers", "metadata_to_headers"]

NAME: Final = "Metadata-Name"
PREFIX: Final = b"metadata-"
SAFE_NAME: Final = re.compile(r"Metadata-[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def metadata_from_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the metadata among a request's headers, names in Title-Case.

    Raises:
        InvalidRequest: a value has control characters.
    """
    metadata: dict[str, str] = {}
    for raw_name, raw_value in headers:
        if not raw_name.lower().startswith(PREFIX):
            continue
        name = "-".join(part.capitalize() for part in raw_name.decode("latin-1").split("-"))
        value = _text(raw_value)
        if CONTROL.search(value):
            raise InvalidRequest(f"{name[:60]}: the value has control characters")
        metadata[name] = f"{metadata[name]}, {value}" if name in metadata else value
    return metadata


def metadata_to_headers(metadata: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return metadata as response headers, without what could not stand in one.

    What came over the link was not checked by us: a line break in a value would let its
    author write headers of our response.
    """
    return [
        (name.lower().encode("ascii"), value.encode("utf-8", "replace"))
        for name, value in metadata.items()
        if SAFE_NAME.fullmatch(name) and not CONTROL.search(value)
    ]


def _text(value: bytes) -> str:
    """Read UTF-8, and what is none as Latin-1, which anything is."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
