"""Freeing the storage of what is no longer to be had.

A state is written down first, the bytes go after, and the row says until then that they
are still stored: whoever crashes in between, the cleaner goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from loguru import logger
from sqlalchemy import select, text, update

from eurydice_core.db.among import among
from eurydice_core.db.incoming import GONE_SQL, IncomingTransferable
from eurydice_core.errors import EurydiceError
from eurydice_core.installation import Installation
from eurydice_core.model.states import IncomingState
from eurydice_core.outages import describe, is_outage

__all__ = ["GONE", "purge", "purge_batch", "purge_or_leave", "purge_whole", "purgeable"]

GONE = (
    IncomingState.ERROR,
    IncomingState.REVOKED,
    IncomingState.EXPIRED,
    IncomingState.REMOVED,
)
"""States whose data nobody can fetch any more."""


def purgeable(installation: Installation, limit: int) -> list[uuid.UUID]:
    """Return transferables whose data is to go and is still there."""
    row = IncomingTransferable
    with installation.database.read() as session:
        # Written out, not bound: a partial index serves only where its condition is seen.
        query = select(row.id).where(row.stored, ~row.repairable, text(GONE_SQL)).limit(limit)
        return list(session.scalars(query))


def purge(installation: Installation, id: uuid.UUID) -> None:
    """Remove what is stored of a transferable that is gone.

    Raises:
        StorageUnavailable: not now; the cleaner tries again.
    """
    with installation.database.read() as session:
        row = session.get(IncomingTransferable, id)
    if row is None or not row.stored or row.repairable or row.state not in GONE:
        return
    if row.assembly is not None:
        installation.storage.assemble(
            row.key, piece_size=row.piece_size, state=row.assembly
        ).abort()
    installation.storage.delete([row.key])
    with installation.database.write() as session:
        session.execute(
            update(IncomingTransferable)
            .where(IncomingTransferable.id == id)
            .values(stored=False, assembly=None)
        )


def purge_batch(installation: Installation, ids: Sequence[uuid.UUID]) -> None:
    """Remove what is stored of several transferables that are gone, in one go where it can be.

    A crash in between leaves rows that say `stored`, and the cleaner removes their data.

    Raises:
        StorageError: not now; the cleaner tries again.
    """
    table = IncomingTransferable
    with installation.database.read() as session:
        rows = session.scalars(select(table).where(among(session, table.id, ids))).all()
    gone = [row for row in rows if row.stored and not row.repairable and row.state in GONE]
    whole = [row for row in gone if row.assembly is None]
    if whole:
        purge_whole(installation, whole)
    for row in gone:
        if row.assembly is not None:
            purge(installation, row.id)


def purge_whole(installation: Installation, rows: Sequence[IncomingTransferable]) -> None:
    """Remove the data of transferables that were SUCCESS and are gone.

    The last commit is not waited for: if a power cut undoes it, the cleaner deletes again.

    Raises:
        StorageError: not now; the cleaner tries again.
    """
    table = IncomingTransferable
    installation.storage.delete([row.key for row in rows])
    with installation.database.write(durable=False) as session:
        session.execute(
            update(table)
            .where(among(session, table.id, [row.id for row in rows]))
            .values(stored=False)
            .execution_options(synchronize_session=False)
        )


def purge_or_leave(installation: Installation, id: uuid.UUID) -> bool:
    """Free the storage now, or leave it to the cleaner if that fails; return whether it did."""
    try:
        purge(installation, id)
    except Exception as error:
        is_bug = not (isinstance(error, EurydiceError) or is_outage(error))
        logger.opt(exception=is_bug).warning(
            "transferable {}: its data goes later: {}", id, describe(error)
        )
        return False
    return True
