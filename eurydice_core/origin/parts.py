"""How a packet describes a transferable."""

from __future__ import annotations

from collections.abc import Sequence

from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.model.states import OutgoingState
from eurydice_core.protocol.elements import TransferablePart

__all__ = ["describe"]


def describe(
    row: OutgoingTransferable,
    profile: bytes,
    ranges: Sequence[tuple[int, int]] = (),
    *,
    ended: OutgoingState | None = None,
) -> TransferablePart:
    """Return all that is known of a transferable, with the ranges carried or how it ended."""
    return TransferablePart(
        id=row.id,
        profile=profile,
        name=row.name,
        metadata=row.user_provided_meta,
        size=row.size,
        piece_size=row.piece_size,
        sha1=row.sha1,
        sha256=row.sha256,
        ranges=ranges,
        ended=ended,
    )
