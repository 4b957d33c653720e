"""What users say about a file in `Metadata-*` headers, on its way in and out again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from eurydice_core.errors import InvalidRequest

__all__ = ["NAME", "decoded_name", "metadata_from_headers", "metadata_to_headers", "name_in"]

NAME: Final = "Metadata-Name"
PREFIX: Final = b"metadata-"
MOST: Final = 64 * 1024
"""Bytes of metadata; it travels in the packet's description of the file."""
SAFE_NAME: Final = re.compile(r"Metadata-[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
EXTENDED: Final = re.compile(  # ext-value of RFC 8187
    r"(UTF-8|ISO-8859-1)'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)",
    re.IGNORECASE,
)
# Whoever encodes a name leaves these alone (RFC 3986): a name that has one of them as an
# escape, or a percent sign that is none, was not encoded.
ENCODED: Final = re.compile(r"(?:[\x20-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")
NEVER_ENCODED: Final = re.compile(r"%(?:2D|2E|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", re.I)


def metadata_from_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the metadata among a request's headers, names in Title-Case.

    A header whose name ends with `*` has its value encoded as RFC 8187 has it, and takes
    the place of the one without.

    Raises:
        InvalidRequest: a value cannot be kept.
    """
    metadata: dict[str, str] = {}
    extended: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in headers:
        if not raw_name.lower().startswith(PREFIX):
            continue
        size += len(raw_name) + len(raw_value)
        name = "-".join(part.capitalize() for part in raw_name.decode("latin-1").split("-"))
        value = _text(raw_value)
        if name.endswith("*"):
            extended[name[:-1]] = _checked(name, _decoded_extended(name, value))
            continue
        value = _checked(name, value)
        metadata[name] = f"{metadata[name]}, {value}" if name in metadata else value
    if size > MOST:
        raise InvalidRequest(f"the Metadata- headers have {size} bytes; {MOST} is the most")
    return {**metadata, **extended}


def name_in(metadata: Mapping[str, str]) -> str:
    """Return the name of a file whose sender wrote this metadata.

    Clients percent-encode names, because headers are ASCII to many of them, and browsers
    do. The name is decoded, unless a percent sign is left in it: the web pages of the
    existing system decode once more, and show nothing for `100% sure.txt`. Such a name
    stays as it was sent, `100%25%20sure.txt`; `decoded_name` returns the one it stands for.

    Raises:
        InvalidRequest: it has control characters.
    """
    value = metadata.get(NAME, "")
    if extended := EXTENDED.fullmatch(value):
        return _checked(NAME, _decoded(extended))
    name = _checked(NAME, _percent_decoded(value))
    return value if "%" in name else name


def decoded_name(name: str) -> str:
    """Return the name that a transferable's name stands for: see `name_in`."""
    decoded = _percent_decoded(name)
    return decoded if "%" in decoded else name


def _percent_decoded(value: str) -> str:
    """Return a percent-encoded name decoded; one that is not encoded as it is."""
    if "%" not in value or not ENCODED.fullmatch(value) or NEVER_ENCODED.search(value):
        return value
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return value


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


def _checked(name: str, value: str) -> str:
    if CONTROL.search(value):
        raise InvalidRequest(f"{name[:60]}: the value has control characters")
    return value


def _decoded_extended(name: str, value: str) -> str:
    extended = EXTENDED.fullmatch(value)
    if extended is None:
        raise InvalidRequest(f"{name[:60]}: write the value as in RFC 8187: UTF-8''na%C3%AFve")
    return _decoded(extended)


def _decoded(extended: re.Match[str]) -> str:
    try:
        return unquote_to_bytes(extended[2]).decode(extended[1])
    except UnicodeDecodeError:
        raise InvalidRequest("a Metadata- header says UTF-8, and has something else") from None
