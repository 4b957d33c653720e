"""Tables of the destination: whose files come, the files, and which bytes of them are here."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from eurydice_core.db.names import folded_name
from eurydice_core.db.tables import Base, User, json_map, text_enum
from eurydice_core.model.states import IncomingState

__all__ = ["GONE_SQL", "IncomingTransferable", "OriginProfile", "ReceivedExtent", "file_key"]


GONE_SQL = "state NOT IN ('ONGOING', 'SUCCESS')"
"""States whose data nobody can fetch any more."""


def file_key(transferable_id: uuid.UUID) -> str:
    """Return where the storage keeps a transferable's bytes."""
    return f"files/{transferable_id}"


class OriginProfile(Base):
    """An origin user as the destination knows it; linked to an account by association."""

    __tablename__ = "origin_profiles"

    profile: Mapped[bytes] = mapped_column(LargeBinary(8), primary_key=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), unique=True
    )
    created_at: Mapped[datetime]

    user: Mapped[User | None] = relationship()


class IncomingTransferable(Base):
    """A file that came, or comes, or should have come."""

    __tablename__ = "incoming_transferables"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    """The same as at the origin."""
    profile: Mapped[bytes] = mapped_column(
        ForeignKey("origin_profiles.profile", ondelete="RESTRICT")
    )
    created_at: Mapped[datetime]
    received_at: Mapped[datetime]
    """When the last of its data came."""
    name: Mapped[str] = mapped_column(String(255), default="")
    folded_name: Mapped[str] = folded_name()
    """The name as searches compare it."""
    user_provided_meta: Mapped[dict[str, str]] = json_map()
    piece_size: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha1: Mapped[bytes | None] = mapped_column(LargeBinary(20))
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    bytes_received: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[IncomingState] = mapped_column(
        text_enum(IncomingState), default=IncomingState.ONGOING
    )
    reason: Mapped[str | None] = mapped_column(String(200))
    """Why it ended as it did, for people."""
    finished_at: Mapped[datetime | None]
    repairable: Mapped[bool] = mapped_column(default=False)
    """An ERROR only because bytes are missing: what is here is kept, in case they come."""
    assembly: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The storage's own note for going on after a crash."""
    stored: Mapped[bool] = mapped_column(default=False)
    """Whether the storage holds something of it, whole or in the making."""

    origin_profile: Mapped[OriginProfile] = relationship()

    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "profile", "sha1"),
        Index(None, "state", "finished_at"),
        Index("ix_incoming_transferables_finished", "profile", "finished_at", "created_at", "id"),
        Index(
            "ix_incoming_transferables_purge",
            "id",
            postgresql_where=text(f"stored AND NOT repairable AND {GONE_SQL}"),
            sqlite_where=text(f"stored = 1 AND repairable = 0 AND {GONE_SQL}"),
        ),
        Index(
            "ix_incoming_transferables_repair",
            "finished_at",
            "id",
            postgresql_where=text("repairable"),
            sqlite_where=text("repairable = 1"),  # as queries say it: SQLite compares the words
        ),
    )

    @property
    def key(self) -> str:
        """Where the storage keeps its bytes."""
        return file_key(self.id)


class ReceivedExtent(Base):
    """A stretch of bytes that is here; stretches that touch are merged into one."""

    __tablename__ = "received_extents"

    transferable_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("incoming_transferables.id", ondelete="CASCADE"), primary_key=True
    )
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    stop: Mapped[int] = mapped_column(BigInteger)
