"""Sessions: browsers that signed in. Reading the database gives no cookie that works."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, or_, select

from eurydice_core.db.accounts import Account, account_of, token_digest
from eurydice_core.db.engine import Database
from eurydice_core.db.tables import User, UserSession
from eurydice_core.model.clock import Clock, utc_now

__all__ = ["Sessions"]

MOST = 50
"""Sessions of one user; beyond it the oldest ends."""


class Sessions:
    """The sessions of one side, each of the same length."""

    def __init__(self, database: Database, age: float, *, now: Clock = utc_now) -> None:
        self._database = database
        self._age = timedelta(seconds=age)
        self._now = now

    def open(self, account: Account, replaced: str | None = None) -> str:
        """Return the secret of a new session; the one that the browser had ends."""
        token, now = secrets.token_hex(32), self._now()
        newest = (
            select(UserSession.digest)
            .where(UserSession.user_id == account.id)
            .order_by(UserSession.created_at.desc())
            .limit(MOST - 1)
        )
        with self._database.write() as session:
            session.execute(
                delete(UserSession)
                .where(
                    or_(
                        UserSession.expires_at <= now,
                        UserSession.digest == token_digest(replaced or ""),
                        (UserSession.user_id == account.id) & UserSession.digest.not_in(newest),
                    )
                )
                .execution_options(synchronize_session=False)
            )
            session.add(
                UserSession(
                    digest=token_digest(token),
                    user_id=account.id,
                    created_at=now,
                    expires_at=now + self._age,
                )
            )
        return token

    def account(self, token: str) -> Account | None:
        """Return who signed in, None if the session ended or never was."""
        query = (
            select(User)
            .join(UserSession, UserSession.user_id == User.id)
            .where(
                UserSession.digest == token_digest(token),
                UserSession.expires_at > self._now(),
                User.is_active,
            )
        )
        with self._database.read() as session:
            user = session.scalar(query)
            return None if user is None else account_of(user)

    def close(self, token: str) -> None:
        """End a session, if it is one."""
        with self._database.write() as session:
            session.execute(delete(UserSession).where(UserSession.digest == token_digest(token)))
