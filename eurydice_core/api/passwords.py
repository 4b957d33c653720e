"""Password checks that stay fast, and that nobody can try for ever.

argon2 takes 50 ms on purpose, and clients of HTTP Basic send the password with every
request: one that was right a moment ago is not computed again. What is remembered is a
keyed digest under a key that lives and dies with the process; the account's password hash
is part of it, so that a new password, or an account that was switched off, counts at once.
Wrong ones are counted, and after too many none is computed for a while, right or wrong.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Final

from blake3 import blake3
from sqlalchemy import select

from eurydice_core.db.lockout import Lockout, LockoutRules
from eurydice_core.db.tables import User
from eurydice_core.errors import PasswordsLocked
from eurydice_core.installation import Installation

__all__ = ["PasswordCheck", "PasswordsFrom"]

REMEMBERED_SECONDS: Final = 60.0
REMEMBERED: Final = 1000  # checks


class PasswordCheck:
    """Whether a password is a user's."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.settings.api
        self._accounts = installation.accounts
        self._database = installation.database
        self._lockout = Lockout(
            installation.database,
            LockoutRules(
                attempts=settings.lockout_attempts,
                window=settings.lockout_window,
                duration=settings.lockout_duration,
            ),
        )
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._right: OrderedDict[bytes, float] = OrderedDict()
        """When each check that succeeded is forgotten, the oldest first."""

    def __call__(
        self, username: str, password: str, address: str = "", *, compute: bool = True
    ) -> bool | None:
        """Tell whether this is the user's password; blocking.

        Return None if that is unknown without computing a hash, and `compute` is false.

        Raises:
            PasswordsLocked: there were too many wrong ones for this name from this address.
        """
        with self._database.read() as session:
            standing = self._lockout.standing(session, username, address)
            known = session.scalar(
                select(User.password_hash).where(User.username == username, User.is_active)
            )
        if standing.seconds > 0:
            raise PasswordsLocked(standing.seconds)
        digest = self._digest(username, password, known or "")
        if known is None or not self._is_remembered(digest):
            if not compute:
                return None
            if not self._accounts.check_password(username, password):
                self._lockout.note_failure(username, address)
                return False
            self._remember(digest)
        if standing.failed:
            self._lockout.forget(username, address)
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


class PasswordsFrom:
    """The check that authenticators are given for one request: it never raises."""

    def __init__(self, check: PasswordCheck, address: str, *, compute: bool) -> None:
        """With `compute` false, answer only from remembered checks."""
        self._check = check
        self._address = address
        self._compute = compute
        self.locked: PasswordsLocked | None = None
        """Why no password of this request was looked at, if none was."""
        self.is_undecided = False
        """Whether a password's hash has to be computed for a true answer."""

    def __call__(self, username: str, password: str) -> bool:
        """Tell whether this is the user's password, and was looked at; blocking."""
        try:
            answer = self._check(username, password, self._address, compute=self._compute)
        except PasswordsLocked as error:
            self.locked = error
            return False
        self.is_undecided = self.is_undecided or answer is None
        return answer is True
