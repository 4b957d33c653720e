"""Tables of the origin that decide who may upload now: rates, and room that is spoken for."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from eurydice_core.db.tables import Base

__all__ = ["UploadRate", "UploadReservation"]


class UploadRate(Base):
    """How many uploads a user began in this period of the throttle, and in the one before."""

    __tablename__ = "upload_rates"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    period: Mapped[int] = mapped_column(BigInteger)
    """Number of the period since 1970."""
    current: Mapped[int]
    previous: Mapped[int]


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
