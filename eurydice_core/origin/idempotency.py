"""Uploads that may be repeated without being taken twice.

A user's key is claimed before the upload is read, and belongs to it from the moment it is
queued, in the same transaction. An upload that fails lets go of its key.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, update
from sqlalchemy.orm import Session

from eurydice_core.db.idempotency import IdempotencyKey as Row
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.upsert import insert
from eurydice_core.errors import Conflict, Gone, KeyReused
from eurydice_core.model.states import OutgoingState
from eurydice_core.model.transferable import Outgoing
from eurydice_core.origin.catalogue import shown

__all__ = ["Key", "claim", "confirm", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A user's key, and the request that it came with."""

    user_id: uuid.UUID
    digest: bytes
    """Of the key itself."""
    request: bytes
    """Of what the request announces."""


def claim(
    session: Session, key: Key, transferable_id: uuid.UUID, now: datetime, lease: timedelta
) -> Outgoing | None:
    """Take a key for an upload that begins; return the transferable it stands for already.

    Raises:
        KeyReused: it stands for an upload that announced something else.
        Conflict: that upload still goes on.
        Gone: what it made was removed meanwhile.
    """
    if _insert(session, key, transferable_id, now + lease):
        return None
    row = session.get_one(Row, (key.user_id, key.digest), with_for_update=True)
    made = session.get(OutgoingTransferable, row.transferable_id)
    if _is_free(row, made, now):
        row.request, row.transferable_id = key.request, transferable_id
        row.done, row.expires_at = False, now + lease
        return None
    if row.request != key.request:
        raise KeyReused
    if not row.done:
        raise Conflict("an upload with this Idempotency-Key is still going on")
    if made is None:
        raise Gone("what was uploaded with this Idempotency-Key is no longer recorded")
    return shown(made)


def confirm(session: Session, key: Key, transferable_id: uuid.UUID, expires_at: datetime) -> None:
    """Let a key stand for an upload that succeeded.

    Raises:
        Conflict: the upload took so long that another one has the key now.
    """
    kept = session.execute(
        update(Row)
        .where(_own(key, transferable_id))
        .values(done=True, expires_at=expires_at)
        .returning(Row.transferable_id)
        .execution_options(synchronize_session=False)
    ).first()
    if kept is None:
        raise Conflict("another upload with this Idempotency-Key was begun meanwhile")


def release(session: Session, key: Key, transferable_id: uuid.UUID) -> None:
    """Let go of the key of an upload that failed: it may be tried again."""
    session.execute(
        delete(Row).where(_own(key, transferable_id)).execution_options(synchronize_session=False)
    )


def _insert(session: Session, key: Key, transferable_id: uuid.UUID, expires_at: datetime) -> bool:
    added = session.execute(
        insert(session, Row)
        .values(
            user_id=key.user_id,
            digest=key.digest,
            request=key.request,
            transferable_id=transferable_id,
            done=False,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
        .returning(Row.transferable_id)
    ).first()
    return added is not None


def _is_free(row: Row, made: OutgoingTransferable | None, now: datetime) -> bool:
    """Return whether the upload that had the key has failed, or is long over.

    One that failed after it was queued has lost its bytes: sending the file again heals that.
    """
    if made is not None and made.state is OutgoingState.ERROR:
        return True
    if row.done:
        return row.expires_at < now
    if made is None:  # its first range is not here yet, or its process was killed
        return row.expires_at < now
    return made.state.is_final


def _own(key: Key, transferable_id: uuid.UUID) -> ColumnElement[bool]:
    return and_(
        Row.user_id == key.user_id,
        Row.digest == key.digest,
        Row.transferable_id == transferable_id,
    )
