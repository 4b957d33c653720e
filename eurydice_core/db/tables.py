"""Tables of both sides: what they share. Each side's own are in `outgoing` and `incoming`."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

__all__ = [
    "ApiToken",
    "Base",
    "Fact",
    "SignInFailures",
    "User",
    "UserSession",
    "UtcDateTime",
    "json_map",
    "text_enum",
]


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware point in time; kept as UTC where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn it into UTC, refusing naive times."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Read what SQLite keeps as text in one step: lists have thousands of these."""
        if dialect.name == "sqlite":
            return _from_text
        return super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of every table; constraint names are fixed so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: UtcDateTime,
        uuid.UUID: Uuid,
    }


def _values(states: type[StrEnum]) -> list[str]:
    return [state.value for state in states]


def text_enum(states: type[StrEnum]) -> Enum:
    """Return the type of a column that holds one of these, as text that is readable in SQL."""
    return Enum(states, native_enum=False, values_callable=_values, length=20)


def json_map() -> Any:
    """Return a column of small JSON objects."""
    return mapped_column(JSON, default=dict)


class User(Base):
    """An account of this side."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """argon2id; None for accounts that only a proxy or a token lets in."""
    profile: Mapped[bytes] = mapped_column(
        LargeBinary(8), unique=True, default=lambda: secrets.token_bytes(8)
    )
    """Names the user to the other side, which has accounts of its own. Random."""
    priority: Mapped[int] = mapped_column(default=0)
    """Weight for the scheduler, 0 and up."""
    is_active: Mapped[bool] = mapped_column(default=True)
    is_staff: Mapped[bool] = mapped_column(default=False)
    """May administer this side."""
    sees_metrics: Mapped[bool] = mapped_column(default=False)
    quota_size: Mapped[int | None] = mapped_column(BigInteger)
    """Most bytes kept for this user; None for what the settings say, -1 for no limit."""
    quota_files: Mapped[int | None]
    """Most files in a day, in the same way."""
    created_at: Mapped[datetime]
    last_access: Mapped[datetime | None]

    tokens: Mapped[list[ApiToken]] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )


class ApiToken(Base):
    """A secret that stands for a user; only its digest is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """SHA-256 of the token. The token is 32 random bytes, so a slow hash would add nothing."""
    label: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="tokens")


class UserSession(Base):
    """A browser that signed in; only the digest of its cookie is kept."""

    __tablename__ = "sessions"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of the cookie, which is 32 random bytes."""
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailures(Base):
    """How often a password was wrong, for a user name and an address that may not even exist."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Digest of what is counted."""
    failures: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    """When this is forgotten: the end of the window, or of the lockout."""


class Fact(Base):
    """One thing this side knows of itself, such as `maintenance` or `last_packet_sent_at`."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
