"""What staff may see and do of everybody's transferables at the destination."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from loguru import logger
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.oversight import SHOWN_PIECES, facts_of, listed, owner_id
from eurydice_core.db.scan import read_states, search, search_for
from eurydice_core.db.tables import User
from eurydice_core.destination.catalogue import shown
from eurydice_core.destination.purge import purge_or_leave
from eurydice_core.destination.transitions import record_ended
from eurydice_core.errors import Conflict, NotFound
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import (
    Listed,
    Piece,
    TransferableDetails,
    TransferableFacts,
    TransferableQuery,
)
from eurydice_core.model.states import IncomingState

__all__ = ["expire_transferable", "list_transferables", "show_transferable"]

GIVEN_UP: Final = "given up by an administrator"

Row = IncomingTransferable


def list_transferables(database: Database, query: TransferableQuery) -> Listed[TransferableFacts]:
    """Return a page of everybody's transferables, the newest first.

    Raises:
        NotFound: there is no such user.
        InvalidRequest: there is no such state, or place.
    """
    states = read_states(query.states, IncomingState)
    with database.read() as session:
        owner = _owner(session, query.username)
        found = search(session, search_for(Row, query, owner, states))
        names = _names(session, {row.profile for row in found.rows})
    return listed(found, [_facts(row, names.get(row.profile)) for row in found.rows])


def show_transferable(database: Database, id: uuid.UUID) -> TransferableDetails:
    """Return one transferable of anybody's, with the stretches of it that are here.

    Raises:
        NotFound: there is none.
    """
    extents = select(ReceivedExtent).where(ReceivedExtent.transferable_id == id)
    with database.read() as session:
        row = session.get(Row, id)
        if row is None:
            raise NotFound(f"no transferable {id}")
        first = extents.order_by(ReceivedExtent.start).limit(SHOWN_PIECES + 1)
        pieces = session.scalars(first).all()
        names = _names(session, {row.profile})
    return TransferableDetails(
        transferable=_facts(row, names.get(row.profile)),
        sha1=None if row.sha1 is None else row.sha1.hex(),
        sha256=None if row.sha256 is None else row.sha256.hex(),
        bytes_done=row.bytes_received,
        reason=row.reason,
        metadata=row.user_provided_meta,
        times={"received_at": row.received_at},
        pieces=[Piece(start=each.start, stop=each.stop) for each in pieces[:SHOWN_PIECES]],
        more_pieces=len(pieces) > SHOWN_PIECES,
    )


def expire_transferable(installation: Installation, id: uuid.UUID, by: str) -> None:
    """End anybody's transferable now as time would, and free its storage.

    One that is whole is EXPIRED, one that is not is waited for no longer.

    Raises:
        NotFound: there is none.
        Conflict: nothing of it can be had any more.
    """
    with installation.database.write() as session:
        row = session.get(Row, id, with_for_update=True)
        if row is None:
            raise NotFound(f"no transferable {id}")
        if not _can_end(row):
            raise Conflict(f"transferable {id} is {row.state} already")
        before = row.state
        if row.state is IncomingState.SUCCESS:
            row.state = IncomingState.EXPIRED
        else:
            row.state, row.reason, row.repairable = IncomingState.ERROR, GIVEN_UP, False
            row.finished_at = row.finished_at or datetime.now(UTC)
        if row.state is not before:
            record_ended(session, [id], by=by)
    logger.info("transferable {} ended by {}: {}", id, by, row.state)
    purge_or_leave(installation, id)


def _owner(session: Session, username: str) -> ColumnElement[bool] | None:
    if not username:
        return None
    user_id = owner_id(session, username)
    linked = select(OriginProfile.profile).where(OriginProfile.user_id == user_id)
    return Row.profile == linked.scalar_subquery()


def _names(session: Session, profiles: Collection[bytes]) -> dict[bytes, str]:
    query = (
        select(OriginProfile.profile, User.username)
        .join(User, User.id == OriginProfile.user_id)
        .where(OriginProfile.profile.in_(profiles))
    )
    return {profile: username for profile, username in session.execute(query)}


def _can_end(row: IncomingTransferable) -> bool:
    return row.repairable or row.state in (IncomingState.SUCCESS, IncomingState.ONGOING)


def _facts(row: IncomingTransferable, username: str | None) -> TransferableFacts:
    return facts_of(shown(row), username, can_end=_can_end(row))
