"""What staff may see and do of everybody's transferables at the origin."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from loguru import logger
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.db.oversight import SHOWN_PIECES, facts_of, listed, owner_id
from eurydice_core.db.scan import read_states, search, search_for
from eurydice_core.db.tables import User
from eurydice_core.errors import Conflict, NotFound
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import (
    Listed,
    Piece,
    TransferableDetails,
    TransferableFacts,
    TransferableQuery,
)
from eurydice_core.model.states import OutgoingState, RevocationReason
from eurydice_core.origin.catalogue import shown
from eurydice_core.origin.revoke import revoke

__all__ = ["list_transferables", "revoke_transferable", "show_transferable"]


Row = OutgoingTransferable


def list_transferables(database: Database, query: TransferableQuery) -> Listed[TransferableFacts]:
    """Return a page of everybody's transferables, the newest first.

    Raises:
        NotFound: there is no such user.
        InvalidRequest: there is no such state, or place.
    """
    states = read_states(query.states, OutgoingState)
    with database.read() as session:
        owner = _owner(session, query.username)
        found = search(session, search_for(Row, query, owner, states))
        names = _names(session, {row.user_id for row in found.rows})
    return listed(found, [_facts(row, names.get(row.user_id)) for row in found.rows])


def show_transferable(database: Database, id: uuid.UUID) -> TransferableDetails:
    """Return one transferable of anybody's, with its ranges.

    Raises:
        NotFound: there is none.
    """
    ranges = select(OutgoingRange).where(OutgoingRange.transferable_id == id)
    with database.read() as session:
        row = session.get(Row, id)
        if row is None:
            raise NotFound(f"no transferable {id}")
        first = ranges.order_by(OutgoingRange.byte_offset).limit(SHOWN_PIECES + 1)
        pieces = session.scalars(first).all()
        names = _names(session, {row.user_id})
    return TransferableDetails(
        transferable=_facts(row, names.get(row.user_id)),
        sha1=None if row.sha1 is None else row.sha1.hex(),
        sha256=None if row.sha256 is None else row.sha256.hex(),
        bytes_done=row.bytes_transferred,
        reason=row.revocation_reason,
        metadata=row.user_provided_meta,
        times={
            "submission_succeeded_at": row.submission_succeeded_at,
            "state_changed_at": row.state_changed_at,
        },
        pieces=[
            Piece(
                start=piece.byte_offset,
                stop=piece.byte_offset + piece.size,
                state=piece.state,
                at=piece.sent_at,
            )
            for piece in pieces[:SHOWN_PIECES]
        ],
        more_pieces=len(pieces) > SHOWN_PIECES,
    )


def revoke_transferable(installation: Installation, id: uuid.UUID, by: str) -> None:
    """Take anybody's transferable back, as its owner could; event plugins are told by whom.

    Raises:
        NotFound: there is none.
        Conflict: it was taken back, or given up, before.
    """
    with installation.database.write() as session:
        row = session.get(Row, id, with_for_update=True)
        if row is None:
            raise NotFound(f"no transferable {id}")
        if row.revocation_reason is not None:
            raise Conflict(f"transferable {id} is {row.state} already: {row.revocation_reason}")
        revoke(session, id, RevocationReason.USER_CANCELED, datetime.now(UTC), by=by)
    logger.info("transferable {} taken back by {}", id, by)


def _owner(session: Session, username: str) -> ColumnElement[bool] | None:
    if not username:
        return None
    return Row.user_id == owner_id(session, username)


def _names(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = session.execute(select(User.id, User.username).where(User.id.in_(ids)))
    return {id: username for id, username in rows}


def _facts(row: OutgoingTransferable, username: str | None) -> TransferableFacts:
    return facts_of(shown(row), username, can_end=row.revocation_reason is None)
