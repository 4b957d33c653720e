"""The sides, and the states things pass through."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["IncomingState", "OutgoingState", "RangeState", "RevocationReason", "Side"]


class Side(StrEnum):
    """Which end of the one-way link an installation is."""

    ORIGIN = "origin"
    """Takes files from users and sends them."""
    DESTINATION = "destination"
    """Receives files and hands them to users."""


class OutgoingState(StrEnum):
    """A transferable as the origin knows it."""

    PENDING = "PENDING"
    """Nothing of it was sent yet."""
    ONGOING = "ONGOING"
    """Some of it was sent."""
    ERROR = "ERROR"
    CANCELED = "CANCELED"
    SUCCESS = "SUCCESS"
    """The link took all of it. Whether it arrived, the origin can never know."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the transferable."""
        return self not in (OutgoingState.PENDING, OutgoingState.ONGOING)


class IncomingState(StrEnum):
    """A transferable as the destination knows it."""

    ONGOING = "ONGOING"
    SUCCESS = "SUCCESS"
    """All bytes are here and their digest is right."""
    ERROR = "ERROR"
    REVOKED = "REVOKED"
    """The origin took it back, or could not finish it."""
    EXPIRED = "EXPIRED"
    """It was kept for as long as the configuration says."""
    REMOVED = "REMOVED"
    """Its user deleted it."""

    @property
    def is_final(self) -> bool:
        """Whether no more data is expected."""
        return self is not IncomingState.ONGOING


class RangeState(StrEnum):
    """A range in the origin's queue."""

    PENDING = "PENDING"
    TRANSFERRED = "TRANSFERRED"
    CANCELED = "CANCELED"
    ERROR = "ERROR"


class RevocationReason(StrEnum):
    """Why the origin took a transferable back."""

    USER_CANCELED = "USER_CANCELED"
    UPLOAD_SIZE_MISMATCH = "UPLOAD_SIZE_MISMATCH"
    OBJECT_STORAGE_FULL = "OBJECT_STORAGE_FULL"
    UNEXPECTED_EXCEPTION = "UNEXPECTED_EXCEPTION"
    UPLOAD_INTERRUPTION = "UPLOAD_INTERRUPTION"
    DATA_DAMAGED = "DATA_DAMAGED"
    """The origin's storage lost or changed bytes of the file before they were sent."""
