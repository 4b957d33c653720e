"""Passwords: kept as argon2id hashes, and checked in the same time whether they exist or not."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from eurydice_core.errors import InvalidRequest

__all__ = ["hash_password", "matches"]

MIN_PASSWORD = 8  # characters
MAX_PASSWORD = 1024  # characters; longer ones would only cost time


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password (RFC 9106).

    Raises:
        InvalidRequest: it is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"the password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher().hash(password)


def matches(known: str | None, password: str) -> bool:
    """Tell whether this is the password of a hash; where there is no hash, as slowly."""
    try:
        right = _hasher().verify(known or _nobody(), password[:MAX_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
    return right and known is not None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return a hash no password has, so that unknown users cost the same time as known ones."""
    return _hasher().hash(secrets.token_hex(32))
