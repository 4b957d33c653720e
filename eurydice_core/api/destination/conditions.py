"""Whether a download is wanted at all: conditional requests (RFC 9110, chapter 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

__all__ = ["Validators"]


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from another."""

    etag: str
    modified_at: datetime | None

    @property
    def headers(self) -> dict[str, str]:
        """Both as response headers."""
        headers = {"ETag": self.etag}
        if self.modified_at is not None:
            headers["Last-Modified"] = format_datetime(self._second, usegmt=True)
        return headers

    def status(self, headers: Mapping[str, str]) -> int | None:
        """Return the status that a request's conditions lead to, None for none of its own."""
        if "if-match" in headers:
            if not self._is_among(headers["if-match"]):
                return 412
        elif self._is_after(headers.get("if-unmodified-since")):
            return 412
        if "if-none-match" in headers:
            return 304 if self._is_among(headers["if-none-match"]) else None
        return 304 if self._is_after(headers.get("if-modified-since")) is False else None

    def allow_range(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a part is wanted of this version: what `If-Range` asks."""
        condition = headers.get("if-range", "").strip()
        if not condition:
            return True
        if condition.startswith(('"', "W/")):
            return condition == self.etag  # weak ones never are
        date = _date(condition)
        return date is not None and self.modified_at is not None and date == self._second

    @property
    def _second(self) -> datetime:
        return (self.modified_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)

    def _is_among(self, etags: str) -> bool:
        listed = [etag.strip().removeprefix("W/") for etag in etags.split(",")]
        return "*" in listed or self.etag in listed

    def _is_after(self, condition: str | None) -> bool | None:
        """Tell whether it was modified after a date; None where there is no such date."""
        date = None if condition is None else _date(condition)
        if date is None or self.modified_at is None:
            return None
        return self._second > date


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value.strip())
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
