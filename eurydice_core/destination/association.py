"""Linking an account of this side to an account of the origin."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account
from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import OriginProfile
from eurydice_core.destination.records import ensure_profiles
from eurydice_core.errors import Conflict, NotAssociated, NotFound
from eurydice_core.installation import Installation
from eurydice_core.protocol.association import read_words

__all__ = ["associate", "dissociate", "profile_of"]


def associate(installation: Installation, account: Account, words: str) -> None:
    """Link the account to the origin account whose words these are.

    What that origin account sent before appears at once.

    Raises:
        AssociationTokenInvalid: what is wrong with the words.
        Conflict: one of the two accounts is linked already.
    """
    now = datetime.now(UTC)
    profile = read_words(words, now, installation.association_key)
    taken = Conflict("this account or that origin account is associated already")
    try:
        with installation.database.write() as session:
            ensure_profiles(session, [profile], now)
            row = session.get_one(OriginProfile, profile, with_for_update=True)
            if row.user_id is not None:
                raise taken
            row.user_id = account.id
    except IntegrityError as error:  # the account is linked to another profile
        raise taken from error


def dissociate(database: Database, account: Account) -> None:
    """Undo the link of an account, so that it, and the origin account, may be linked anew.

    Raises:
        NotFound: it has none.
    """
    row = OriginProfile
    with database.write() as session:
        done = session.scalar(
            update(row).where(row.user_id == account.id).values(user_id=None).returning(row.profile)
        )
    if done is None:
        raise NotFound(f"{account.username} is linked to no origin account")


def profile_of(session: Session, account: Account) -> bytes:
    """Return the origin profile that the account is linked to.

    Raises:
        NotAssociated: there is none yet.
    """
    profile = session.scalar(
        select(OriginProfile.profile).where(OriginProfile.user_id == account.id)
    )
    if profile is None:
        raise NotAssociated
    return profile
