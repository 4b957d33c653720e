"""Accounts: who may use this side, their passwords and their API tokens.

Passwords are kept as argon2id hashes, tokens as SHA-256 digests: reading the database
gives neither.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from eurydice_core.db.engine import Database
from eurydice_core.db.tables import ApiToken, User
from eurydice_core.errors import Conflict, InvalidRequest, NotFound

__all__ = ["Account", "Accounts"]

USERNAME = re.compile(r"[\w.@+-]{1,150}")
MIN_PASSWORD = 8  # characters
MAX_PASSWORD = 1024  # characters; longer ones would only cost time
ACCESS_PRECISION = timedelta(minutes=1)
"""How stale `last_access` may be: writing it for every request would be most of the writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this side, outside any transaction."""

    id: uuid.UUID
    username: str
    profile: bytes
    priority: int
    is_staff: bool
    sees_metrics: bool
    last_access: datetime | None


class Accounts:
    """The accounts of one side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        username: str,
        password: str | None = None,
        *,
        priority: int = 0,
        is_staff: bool = False,
        sees_metrics: bool = False,
    ) -> Account:
        """Make an account; without a password only a proxy or a token lets its owner in.

        Raises:
            InvalidRequest: the name or the password cannot be used.
            Conflict: the name is taken.
        """
        if not USERNAME.fullmatch(username):
            raise InvalidRequest(
                f"username {username[:40]!r}: use 1 to 150 letters, digits and . @ + - _"
            )
        user = User(
            username=username,
            password_hash=None if password is None else hash_password(password),
            priority=priority,
            is_staff=is_staff,
            sees_metrics=sees_metrics,
            created_at=datetime.now(UTC),
        )
        try:
            with self._database.write() as session:
                session.add(user)
        except IntegrityError as error:
            raise Conflict(f"user {username!r} exists already") from error
        return _account(user)

    def get(self, username: str) -> Account:
        """Return an active account.

        Raises:
            NotFound: there is none of this name.
        """
        account = self._one(User.username == username)
        if account is None:
            raise NotFound(f"no user {username!r}; 'eurydice user list' names them all")
        return account

    def find(self, username: str) -> Account | None:
        """Return an active account, None if there is none of this name."""
        return self._one(User.username == username)

    def list(self) -> list[Account]:
        """Return all active accounts by name."""
        with self._database.read() as session:
            query = select(User).where(User.is_active).order_by(User.username)
            return [_account(user) for user in session.scalars(query)]

    def set_password(self, username: str, password: str) -> None:
        """Replace the password.

        Raises:
            InvalidRequest: the password cannot be used.
            NotFound: there is no such user.
        """
        account = self.get(username)
        with self._database.write() as session:
            session.execute(
                update(User)
                .where(User.id == account.id)
                .values(password_hash=hash_password(password))
            )

    def check_password(self, username: str, password: str) -> bool:
        """Tell whether this is the user's password, in the same time for unknown users."""
        with self._database.read() as session:
            known = session.scalar(
                select(User.password_hash).where(User.username == username, User.is_active)
            )
        try:
            matches = _hasher().verify(known or _nobody(), password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False
        return matches and known is not None

    def issue_token(
        self, username: str, *, label: str = "", lifetime: timedelta | None = None
    ) -> str:
        """Make an API token and return it; it cannot be shown again.

        Raises:
            NotFound: there is no such user.
        """
        account = self.get(username)
        token = secrets.token_hex(32)
        now = datetime.now(UTC)
        with self._database.write() as session:
            session.add(
                ApiToken(
                    user_id=account.id,
                    digest=token_digest(token),
                    label=label[:100],
                    created_at=now,
                    expires_at=None if lifetime is None else now + lifetime,
                )
            )
        return token

    def by_token(self, token: str) -> Account | None:
        """Return whose token this is, None if it is nobody's, or expired."""
        now = datetime.now(UTC)
        return self._one(
            User.id.in_(
                select(ApiToken.user_id).where(
                    ApiToken.digest == token_digest(token),
                    or_(ApiToken.expires_at.is_(None), ApiToken.expires_at >= now),
                )
            )
        )

    def note_access(self, account: Account, token: str | None = None) -> None:
        """Remember that the user was here, to the minute."""
        now = datetime.now(UTC)
        if account.last_access is not None and now - account.last_access < ACCESS_PRECISION:
            return
        with self._database.write() as session:
            session.execute(update(User).where(User.id == account.id).values(last_access=now))
            if token is not None:
                digest = token_digest(token)
                session.execute(
                    update(ApiToken).where(ApiToken.digest == digest).values(last_used_at=now)
                )

    def _one(self, condition: object) -> Account | None:
        with self._database.read() as session:
            user = session.scalar(select(User).where(condition, User.is_active))  # type: ignore[arg-type]
            return None if user is None else _account(user)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password (RFC 9106).

    Raises:
        InvalidRequest: it is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"the password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher().hash(password)


def token_digest(token: str) -> bytes:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return a hash no password has, so that unknown users cost the same time as known ones."""
    return _hasher().hash(secrets.token_hex(32))


def _account(user: User) -> Account:
    return Account(
        id=user.id,
        username=user.username,
        profile=user.profile,
        priority=user.priority,
        is_staff=user.is_staff,
        sees_metrics=user.sees_metrics,
        last_access=user.last_access,
    )
