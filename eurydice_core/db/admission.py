"""Tables of the origin that decide who may upload now: rates, and room that is spoken for."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from eurydice_core.db.tables import Base

__all__ = ["UploadRate", "UploadReservation"]


class UploadRate(Base):
    """How far ahead of the allowed rate a user's uploads are."""

    __tablename__ = "upload_rates"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    earned_at: Mapped[int] = mapped_column(BigInteger)
    """When a client that keeps to the rate would have begun as many, and may begin the next:
    microseconds since 1970."""


class UploadReservation(Base):
    """Room for an upload that is under way, of a user with a quota."""

    __tablename__ = "upload_reservations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    """The transferable's."""
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes that may come, of which some may be here already."""
    created_at: Mapped[datetime]
