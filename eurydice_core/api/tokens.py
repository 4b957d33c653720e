"""The API token that users fetch themselves: one each, shown as often as they ask.

The database keeps only the token's digest, as of every token. It can be shown again
because it is not random: it follows from the installation's secret key, the user, and
the moment it was made. Renewing it moves that moment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from blake3 import blake3
from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account, token_digest
from eurydice_core.db.tables import ApiToken
from eurydice_core.installation import Installation

__all__ = ["LABEL", "renew_token", "show_token"]

LABEL: Final = "fetched by its user"
PURPOSE: Final = "Eurydice 2026 personal API tokens"


def show_token(installation: Installation, account: Account) -> str:
    """Return the user's own token, made now if there is none; blocking."""
    query = select(ApiToken).where(_own(account)).order_by(ApiToken.id)
    with installation.database.read() as session:
        rows = session.scalars(query).all()
    for row in rows:
        token = _token(installation, account, row.created_at)
        if token_digest(token) == row.digest:  # not so if the secret key was changed since
            return token
    with installation.database.write() as session:
        return _made(session, installation, account)


def renew_token(installation: Installation, account: Account) -> str:
    """Return a new token for the user; the old one ends. Blocking."""
    with installation.database.write() as session:
        session.execute(delete(ApiToken).where(_own(account)))
        return _made(session, installation, account)


def _own(account: Account) -> ColumnElement[bool]:
    return and_(ApiToken.user_id == account.id, ApiToken.label == LABEL)


def _made(session: Session, installation: Installation, account: Account) -> str:
    now = datetime.now(UTC)
    token = _token(installation, account, now)
    digest = token_digest(token)
    session.add(ApiToken(user_id=account.id, digest=digest, label=LABEL, created_at=now))
    return token


def _token(installation: Installation, account: Account, made_at: datetime) -> str:
    secret = installation.settings.secret_key.get_secret_value().encode()
    key = blake3(secret, derive_key_context=PURPOSE).digest()
    moment = made_at.astimezone(UTC).isoformat(timespec="microseconds")
    return blake3(account.id.bytes + moment.encode(), key=key).hexdigest()
