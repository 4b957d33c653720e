"""Tables of the origin: transferables, their ranges, their revocations.

Counters stand beside each transferable, kept in the same transaction as what they count,
so that lists and states never scan ranges.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from eurydice_core.db.names import folded_name
from eurydice_core.db.tables import Base, User, json_map, text_enum
from eurydice_core.model.states import OutgoingState, RangeState, RevocationReason

__all__ = [
    "OutgoingClaim",
    "OutgoingContent",
    "OutgoingRange",
    "OutgoingTransferable",
    "RevocationRow",
    "range_key",
]

# SQLite gives out row numbers only to columns it calls INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


WHOLE_SQL = "submission_succeeded_at IS NOT NULL AND size = bytes_transferred"
"""Transferables of which every byte was sent."""


def range_key(transferable_id: uuid.UUID, offset: int) -> str:
    """Return where the storage keeps a range's bytes."""
    return f"ranges/{transferable_id}/{offset}"


class OutgoingTransferable(Base):
    """A file somebody sends."""

    __tablename__ = "outgoing_transferables"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(255), default="")
    folded_name: Mapped[str] = folded_name()
    """The name as searches compare it."""
    user_provided_meta: Mapped[dict[str, str]] = json_map()
    piece_size: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int | None] = mapped_column(BigInteger)
    bytes_received: Mapped[int] = mapped_column(BigInteger, default=0)
    received_at: Mapped[datetime]
    """When the last range of the upload came: what tells a slow upload from a dead one."""
    submission_succeeded_at: Mapped[datetime | None]
    sha1: Mapped[bytes | None] = mapped_column(LargeBinary(20))
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))

    ranges_pending: Mapped[int] = mapped_column(default=0)
    ranges_transferred: Mapped[int] = mapped_column(default=0)
    ranges_canceled: Mapped[int] = mapped_column(default=0)
    ranges_error: Mapped[int] = mapped_column(default=0)
    bytes_transferred: Mapped[int] = mapped_column(BigInteger, default=0)
    last_range_finished_at: Mapped[datetime | None]
    revocation_reason: Mapped[RevocationReason | None] = mapped_column(text_enum(RevocationReason))
    state: Mapped[OutgoingState] = mapped_column(
        text_enum(OutgoingState), default=OutgoingState.PENDING
    )
    state_changed_at: Mapped[datetime]
    announce_at: Mapped[datetime | None]
    """When the destination is next told how it ended; None when it was told often enough."""
    announced: Mapped[int] = mapped_column(default=0)

    user: Mapped[User] = relationship()

    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "user_id", "sha1"),
        Index(None, "state", "state_changed_at"),
        Index(
            "ix_outgoing_transferables_submitted",
            "user_id",
            "submission_succeeded_at",
            "created_at",
            "id",
        ),
        Index(
            "ix_outgoing_transferables_finished",
            "user_id",
            "last_range_finished_at",
            "created_at",
            "id",
            postgresql_where=text(WHOLE_SQL),
            sqlite_where=text(WHOLE_SQL),
        ),
        Index(
            "ix_outgoing_transferables_uploads",
            "received_at",
            postgresql_where=text("submission_succeeded_at IS NULL"),
            sqlite_where=text("submission_succeeded_at IS NULL"),
        ),
        Index(
            "ix_outgoing_transferables_announce",
            "announce_at",
            postgresql_where=text("announce_at IS NOT NULL"),
            sqlite_where=text("announce_at IS NOT NULL"),
        ),
    )


class OutgoingRange(Base):
    """A stretch of a file: the unit of sending."""

    __tablename__ = "outgoing_ranges"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transferable_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("outgoing_transferables.id", ondelete="CASCADE")
    )
    user_id: Mapped[uuid.UUID]
    """The owner again, so that the queue is read without a join."""
    byte_offset: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    whole: Mapped[bool]
    """Whether it is all of its file."""
    stored: Mapped[bool]
    """Whether its bytes are kept: in the storage under `key`, or here."""
    freeing: Mapped[bool] = mapped_column(default=False)
    """Whether the cleaner is about to delete its bytes: a ticket cannot ask for it any more."""
    inline: Mapped[bool] = mapped_column(default=False)
    """Whether they are kept here, as the `OutgoingContent` of the transferable."""
    digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """BLAKE3 of its bytes, made as they were uploaded; None in ranges of before 0.2."""
    state: Mapped[RangeState] = mapped_column(text_enum(RangeState), default=RangeState.PENDING)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    """When it was last sent."""
    sends_left: Mapped[int] = mapped_column(default=0)
    """How often it will be sent again without anybody asking."""

    __table_args__ = (
        Index("uq_outgoing_ranges_place", "transferable_id", "byte_offset", unique=True),
        Index(
            "ix_outgoing_ranges_oldest",
            "id",
            postgresql_where=text("state = 'PENDING'"),
            sqlite_where=text("state = 'PENDING'"),
        ),
        Index(
            "ix_outgoing_ranges_pending",
            "user_id",
            "whole",
            "id",
            postgresql_where=text("state = 'PENDING'"),
            sqlite_where=text("state = 'PENDING'"),
        ),
        Index(
            "ix_outgoing_ranges_repeat",
            "sent_at",
            postgresql_where=text("sends_left > 0"),
            sqlite_where=text("sends_left > 0"),
        ),
        Index(
            "ix_outgoing_ranges_kept",
            "user_id",
            "stored",
            "size",
            postgresql_where=text("stored"),
            sqlite_where=text("stored = 1"),  # as queries say it: SQLite compares the words
        ),
        Index(
            "ix_outgoing_ranges_done",
            "state",
            "finished_at",
            postgresql_where=text("stored AND state != 'PENDING'"),
            sqlite_where=text("stored = 1 AND state != 'PENDING'"),
        ),
    )

    @property
    def key(self) -> str:
        """Where the storage keeps its bytes."""
        return range_key(self.transferable_id, self.byte_offset)


class OutgoingContent(Base):
    """All the bytes of a small file, which are safe in the transaction that queues it."""

    __tablename__ = "outgoing_contents"

    transferable_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("outgoing_transferables.id", ondelete="CASCADE"), primary_key=True
    )
    data: Mapped[bytes]


class OutgoingClaim(Base):
    """A range that a sender has on its way.

    It stands beside the queue: writing a row of that again costs an entry in most of its
    indexes, five times what this does.
    """

    __tablename__ = "outgoing_claims"

    range_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    sender: Mapped[uuid.UUID]
    """Which sender; once it is dead the claim is void."""


class RevocationRow(Base):
    """A transferable taken back; told to the destination until it was sent once."""

    __tablename__ = "revocations"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transferable_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("outgoing_transferables.id", ondelete="CASCADE"), unique=True
    )
    reason: Mapped[RevocationReason] = mapped_column(text_enum(RevocationReason))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]

    transferable: Mapped[OutgoingTransferable] = relationship()

    __table_args__ = (
        Index(
            "ix_revocations_pending",
            "id",
            postgresql_where=text("sent_at IS NULL"),
            sqlite_where=text("sent_at IS NULL"),
        ),
    )
