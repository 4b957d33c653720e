"""Password checks that stay fast: one that was right a moment ago is not computed again.

argon2 takes 50 ms on purpose, and clients of HTTP Basic send the password with every
request. What is remembered is a keyed digest under a key that lives and dies with the
process; the account's password hash is part of it, so that a new password, or an account
that was switched off, counts at once.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Final

from blake3 import blake3
from sqlalchemy import select

from eurydice_core.db.tables import User
from eurydice_core.installation import Installation

__all__ = ["PasswordCheck"]

REMEMBERED_SECONDS: Final = 60.0
REMEMBERED: Final = 1000  # checks


class PasswordCheck:
    """Whether a password is a user's."""

    def __init__(self, installation: Installation) -> None:
        self._accounts = installation.accounts
        self._database = installation.database
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._right: OrderedDict[bytes, float] = OrderedDict()
        """When each check that succeeded is forgotten, the oldest first."""

    def __call__(self, username: str, password: str) -> bool:
        """Tell whether this is the user's password; blocking."""
        with self._database.read() as session:
            known = session.scalar(
                select(User.password_hash).where(User.username == username, User.is_active)
            )
        digest = self._digest(username, password, known or "")
        if known is not None and self._is_remembered(digest):
            return True
        if not self._accounts.check_password(username, password):
            return False
        self._remember(digest)
        return True

    def _digest(self, *parts: str) -> bytes:
        hasher = blake3(key=self._key)
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            hasher.update(len(data).to_bytes(8, "big") + data)
        return hasher.digest()

    def _is_remembered(self, digest: bytes) -> bool:
        with self._lock:
            return self._right.get(digest, 0.0) > time.monotonic()

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            self._right.pop(digest, None)
            self._right[digest] = time.monotonic() + REMEMBERED_SECONDS
            while len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
