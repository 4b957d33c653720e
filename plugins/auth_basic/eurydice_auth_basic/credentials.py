"""The `Authorization: Basic` header, as RFC 7617 has it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

__all__ = ["Credentials", "parse_authorization"]

MAX_HEADER_CHARS = 8192
MAX_USERNAME_CHARS = 150
MAX_PASSWORD_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, as sent; the password stays out of `repr`."""

    username: str
    password: str = field(repr=False)


def parse_authorization(header: str) -> Credentials | None:
    """Return what the header says, or None if it is not well-formed Basic.

    A name ends at the first colon, so it has none, while a password may; neither has
    control characters.
    """
    scheme, _, encoded = header[: MAX_HEADER_CHARS + 1].partition(" ")
    if scheme.lower() != "basic" or len(header) > MAX_HEADER_CHARS:
        return None
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):  # UnicodeDecodeError is a ValueError
        return None
    username, colon, password = text.partition(":")
    if not colon or not _is_username(username) or not _is_password(password):
        return None
    return Credentials(username, password)


def _is_username(name: str) -> bool:
    return 0 < len(name) <= MAX_USERNAME_CHARS and name.isprintable() and name == name.strip()


def _is_password(password: str) -> bool:
    return len(password) <= MAX_PASSWORD_CHARS and not any(map(_is_control, password))


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"
