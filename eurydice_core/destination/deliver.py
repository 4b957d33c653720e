"""What users do with a file that came: have it removed; and what is done if it vanished."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from loguru import logger
from sqlalchemy import select, update

from eurydice_core.db.incoming import IncomingTransferable
from eurydice_core.destination.purge import purge_batch, purge_whole
from eurydice_core.destination.transitions import record_ended
from eurydice_core.errors import Conflict, EurydiceError, NotFound
from eurydice_core.installation import Installation
from eurydice_core.model.states import IncomingState

__all__ = ["mark_lost", "remove", "remove_all"]

BATCH: Final = 500
FREE_SECONDS: Final = 1.0
"""Seconds for which a request to delete everything frees the storage itself."""


def remove(installation: Installation, profile: bytes, id: uuid.UUID) -> None:
    """Delete a received file; its record stays, as REMOVED.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Conflict: it is not there to be deleted.
    """
    with installation.database.write() as session:
        row = session.get(IncomingTransferable, id, with_for_update=True)
        if row is None or row.profile != profile:
            raise NotFound(f"no transferable {id}")
        if row.state is not IncomingState.SUCCESS:
            raise Conflict(f"the transferable is {row.state}; only a SUCCESS can be deleted")
        row.state = IncomingState.REMOVED
        record_ended(session, [id])
    try:
        purge_whole(installation, [row])
    except EurydiceError as error:
        logger.warning("transferable {}: the cleaner frees its storage: {}", id, error)


def remove_all(installation: Installation, profile: bytes) -> int:
    """Delete every received file of a user; return how many there were."""
    row = IncomingTransferable
    with installation.database.write() as session:
        ids = session.scalars(
            update(row)
            .where(row.profile == profile, row.state == IncomingState.SUCCESS)
            .values(state=IncomingState.REMOVED)
            .returning(row.id)
            .execution_options(synchronize_session=False)
        ).all()
    _free(installation, ids)
    return len(ids)


def _free(installation: Installation, ids: Sequence[uuid.UUID]) -> None:
    """Free the storage of removed files for some seconds; the cleaner frees the rest."""
    deadline = time.monotonic() + FREE_SECONDS
    for begin in range(0, len(ids), BATCH):
        if time.monotonic() > deadline:
            logger.info("the cleaner frees the storage of {} removed files", len(ids) - begin)
            return
        try:
            purge_batch(installation, ids[begin : begin + BATCH])
        except EurydiceError as error:
            logger.warning("the cleaner frees the storage of {} files: {}", len(ids) - begin, error)
            return


def mark_lost(installation: Installation, id: uuid.UUID) -> None:
    """Note that a received file's data is no longer in the storage."""
    logger.error("transferable {}: its data is gone from the storage", id)
    row = IncomingTransferable
    with installation.database.write() as session:
        lost = select(row.id).where(row.id == id, row.state == IncomingState.SUCCESS)
        changed = session.scalars(
            update(row)
            .where(row.id.in_(lost.scalar_subquery()))
            .values(
                state=IncomingState.ERROR,
                reason="its data is gone from the storage",
                finished_at=datetime.now(UTC),
                stored=False,
            )
            .returning(row.id)
            .execution_options(synchronize_session=False)
        )
        record_ended(session, changed.all())
