"""What staff may know of accounts; blocking."""

from __future__ import annotations

from eurydice_core.db.accounts import Account
from eurydice_core.destination.association import profile_of
from eurydice_core.errors import NotAssociated
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import (
    Listed,
    TokenFacts,
    UserDetails,
    UserFacts,
    UserQuery,
)
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side
from eurydice_core.origin.quota import usage

__all__ = ["list_users", "show_user"]


def list_users(installation: Installation, query: UserQuery) -> Listed[UserFacts]:
    """Return a page of the accounts by name."""
    found = installation.accounts.page(query.text, query.start or "", query.limit + 1)
    rows = [_facts(account) for account in found[: query.limit]]
    return Listed(rows, rows[-1].username if len(found) > query.limit else None)


def show_user(installation: Installation, username: str) -> UserDetails:
    """Return one account.

    Raises:
        NotFound: there is none of this name.
    """
    account = installation.accounts.get(username)
    tokens = installation.accounts.tokens(username)
    is_origin = installation.settings.side is Side.ORIGIN
    used = None
    if is_origin:
        with installation.database.read() as session:
            used = usage(session, account.id, utc_now())
    return UserDetails(
        user=_facts(account),
        tokens=[
            TokenFacts(
                id=token.id,
                label=token.label,
                created_at=token.created_at,
                expires_at=token.expires_at,
                last_used_at=token.last_used_at,
            )
            for token in tokens
        ],
        quota_size=account.quota_size,
        quota_files=account.quota_files,
        size_used=None if used is None else used.size,
        files_used=None if used is None else used.files,
        linked=None if is_origin else _is_linked(installation, account),
    )


def _is_linked(installation: Installation, account: Account) -> bool:
    try:
        with installation.database.read() as session:
            profile_of(session, account)
    except NotAssociated:
        return False
    return True


def _facts(account: Account) -> UserFacts:
    return UserFacts(
        username=account.username,
        is_active=account.is_active,
        is_staff=account.is_staff,
        sees_metrics=account.sees_metrics,
        priority=account.priority,
        created_at=account.created_at,
        last_access=account.last_access,
    )
