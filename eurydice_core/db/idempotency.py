"""Requests that their users may repeat: each key stands for one upload, whatever came of it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from eurydice_core.db.tables import Base

__all__ = ["IdempotencyKey"]


class IdempotencyKey(Base):
    """A user's key, and the upload that it stands for."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Of the key: users may choose long ones."""
    request: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Digest of what the first request announced, so that another one is told apart."""
    transferable_id: Mapped[uuid.UUID]
    """What the upload makes; there may be no such transferable yet, or no more."""
    done: Mapped[bool]
    """Whether the upload succeeded; until then the key is held for it, no longer than needed."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
