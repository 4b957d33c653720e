"""Accounts: who may use this side, their passwords and their API tokens.

Passwords are kept as argon2id hashes, tokens as SHA-256 digests: reading the database
gives neither.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from eurydice_core.db.engine import Database
from eurydice_core.db.passwords import hash_password, matches
from eurydice_core.db.tables import ApiToken, User, UserSession
from eurydice_core.errors import Conflict, InvalidRequest, NotFound
from eurydice_core.model.usernames import folded_name, username_problem

__all__ = ["Account", "Accounts", "Token", "account_of", "token_digest"]

ACCESS_PRECISION = timedelta(minutes=1)
"""How stale `last_access` may be: writing it for every request would be most of the writing."""

# Made once, and of plain columns: most requests begin with it.
USERS, TOKENS = User.__table__, ApiToken.__table__
BY_TOKEN = (
    select(USERS, TOKENS.c.last_used_at)
    .join(TOKENS)
    .where(
        TOKENS.c.digest == bindparam("digest"),
        or_(TOKENS.c.expires_at.is_(None), TOKENS.c.expires_at >= bindparam("now")),
        USERS.c.is_active,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this side, outside any transaction."""

    id: uuid.UUID
    username: str
    profile: bytes
    priority: int
    is_active: bool
    is_staff: bool
    sees_metrics: bool
    quota_size: int | None
    """Most bytes; None for what the settings say, negative for no limit."""
    quota_files: int | None
    created_at: datetime
    last_access: datetime | None
    token_used_at: datetime | None = None
    """When the token that was just shown was used before; None for one that was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of an API token, which is all but the token itself."""

    id: int
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


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
        distinguish_case: bool = False,
    ) -> Account:
        """Make an account; without a password only a proxy or a token lets its owner in.

        With `distinguish_case`, `Bob` may be made beside `bob`.

        Raises:
            InvalidRequest: the name or the password cannot be used.
            Conflict: the name is taken, or looks like one that is.
        """
        if (problem := username_problem(username)) is not None:
            raise InvalidRequest(f"username {username[:40]!a}: {problem}")
        if not distinguish_case:
            self._refuse_alike(username)
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
        return account_of(user)

    def get(self, username: str) -> Account:
        """Return an account, active or not.

        Raises:
            NotFound: there is none of this name.
        """
        with self._database.read() as session:
            user = session.scalar(select(User).where(User.username == username))
        if user is None:
            raise NotFound(f"no user {username!r}; 'eurydice user list' names them all")
        return account_of(user)

    def find(self, username: str) -> Account | None:
        """Return an active account, None if there is none of this name."""
        return self._one(User.username == username)

    def find_ignoring_case(self, username: str) -> Account | None:
        """Return the account whose name differs only by case or width, None if there is none.

        Raises:
            Conflict: several are alike, or the one that is is not active.
        """
        alike = self._alike(username)
        if len(alike) > 1:
            raise Conflict(f"user {username[:40]!a} could be any of {alike[:3]!a}")
        if not alike:
            return None
        account = self.find(alike[0])
        if account is None:
            raise Conflict(f"user {alike[0]!a} is not active")
        return account

    def _refuse_alike(self, username: str) -> None:
        alike = [name for name in self._alike(username) if name != username]
        if alike:
            raise Conflict(
                f"user {username!r} would look like {alike[0]!r}, which exists: use another name"
            )

    def _alike(self, username: str) -> Sequence[str]:
        """Return the names that differ only by case or width.

        All names are read: no database folds them as Unicode does, and accounts are made seldom.
        """
        wanted = folded_name(username)
        with self._database.read() as session:
            return [
                name
                for name in session.scalars(select(User.username))
                if folded_name(name) == wanted
            ]

    def list(self) -> list[Account]:
        """Return all accounts by name, active or not."""
        with self._database.read() as session:
            query = select(User).order_by(User.username)
            return [account_of(user) for user in session.scalars(query)]

    def page(self, text: str, after: str, limit: int) -> Sequence[Account]:
        """Return accounts whose name contains a text, by name, from after a name on."""
        query = select(User).where(User.username > after).order_by(User.username).limit(limit)
        if text:
            query = query.where(User.username.icontains(text, autoescape=True))
        with self._database.read() as session:
            return [account_of(user) for user in session.scalars(query)]

    def change(self, username: str, **values: Any) -> Account:
        """Give an account other values for fields of `User`; return what it is now.

        One that is no longer active is signed out everywhere.

        Raises:
            NotFound: there is no such user.
        """
        account = self.get(username)
        with self._database.write() as session:
            user = session.get_one(User, account.id)
            for name, value in values.items():
                setattr(user, name, value)
            if not user.is_active:
                _end_sessions(session, account.id)
            return account_of(user)

    def set_active(self, username: str, active: bool) -> None:
        """Let a user in again, or lock them out, wherever they are signed in.

        Raises:
            NotFound: there is no such user.
        """
        self.change(username, is_active=active)

    def remove(self, username: str) -> None:
        """Forget an account, its tokens and its sessions.

        Raises:
            NotFound: there is no such user.
            Conflict: there are records of files that the user sent.
        """
        account = self.get(username)
        try:
            with self._database.write() as session:
                session.execute(delete(User).where(User.id == account.id))
        except IntegrityError as error:
            raise Conflict(
                f"there are still records of files that {username} sent: deactivate the account,"
                " and remove it once the cleaner has trimmed them"
            ) from error

    def set_password(self, username: str, password: str) -> None:
        """Replace the password; every browser that is signed in has to sign in again.

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
            _end_sessions(session, account.id)

    def check_password(self, username: str, password: str) -> bool:
        """Tell whether this is the user's password, in the same time for unknown users."""
        with self._database.read() as session:
            known = session.scalar(
                select(User.password_hash).where(User.username == username, User.is_active)
            )
        return matches(known, password)

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

    def tokens(self, username: str) -> Sequence[Token]:
        """Return a user's tokens, the oldest first.

        Raises:
            NotFound: there is no such user.
        """
        account = self.get(username)
        query = select(ApiToken).where(ApiToken.user_id == account.id).order_by(ApiToken.id)
        with self._database.read() as session:
            return [_token(row) for row in session.scalars(query)]

    def revoke_token(self, username: str, id: int) -> None:
        """End one of a user's tokens.

        Raises:
            NotFound: the user has no such token.
        """
        account = self.get(username)
        with self._database.write() as session:
            row = session.scalar(
                select(ApiToken).where(ApiToken.id == id, ApiToken.user_id == account.id)
            )
            if row is None:
                raise NotFound(
                    f"{username} has no token {id}; 'eurydice user token list {username}'"
                    " names them all"
                )
            session.delete(row)

    def by_token(self, token: str) -> Account | None:
        """Return whose token this is, None if it is nobody's, or expired."""
        known = {"digest": token_digest(token), "now": datetime.now(UTC)}
        with self._database.connect() as connection:
            found: Any = connection.execute(BY_TOKEN, known).one_or_none()
            return None if found is None else account_of(found, found.last_used_at)

    def note_access(self, account: Account, token: str | None = None) -> None:
        """Remember that the user was here, and used this token, to the minute."""
        now = datetime.now(UTC)
        stale = _is_stale(account.last_access, now)
        token_stale = token is not None and _is_stale(account.token_used_at, now)
        if not (stale or token_stale):
            return
        with self._database.write() as session:
            session.execute(update(User).where(User.id == account.id).values(last_access=now))
            if token is not None:
                digest = token_digest(token)
                session.execute(
                    update(ApiToken).where(ApiToken.digest == digest).values(last_used_at=now)
                )

    def _one(self, condition: ColumnElement[bool]) -> Account | None:
        with self._database.read() as session:
            user = session.scalar(select(User).where(condition, User.is_active))
            return None if user is None else account_of(user)


def token_digest(token: str) -> bytes:
    """Return what the database keeps of a token, or of the cookie of a session."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def account_of(user: User, token_used_at: datetime | None = None) -> Account:
    """Return a row as what outlives its transaction."""
    return Account(
        id=user.id,
        username=user.username,
        profile=user.profile,
        priority=user.priority,
        is_active=user.is_active,
        is_staff=user.is_staff,
        sees_metrics=user.sees_metrics,
        quota_size=user.quota_size,
        quota_files=user.quota_files,
        created_at=user.created_at,
        last_access=user.last_access,
        token_used_at=token_used_at,
    )


def _token(row: ApiToken) -> Token:
    return Token(
        id=row.id,
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def _is_stale(moment: datetime | None, now: datetime) -> bool:
    return moment is None or now - moment >= ACCESS_PRECISION


def _end_sessions(session: Session, user_id: uuid.UUID) -> None:
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))
