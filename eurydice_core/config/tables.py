"""The tables of the core's own settings."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr, model_validator

from eurydice_core.config.choices import Table, split_list
from eurydice_core.model.quantities import SHORT, RateLimit, Seconds, Size

__all__ = [
    "LARGEST_INLINE",
    "LARGEST_RANGE",
    "SMALLEST_RANGE",
    "ApiSettings",
    "AssociationSettings",
    "CleanerSettings",
    "DatabaseSettings",
    "LinkSettings",
    "LogSettings",
    "ReceiverSettings",
    "SenderSettings",
    "UploadSettings",
]

PASSWORD = re.compile(r"((?<=://)[^/:@]*:(?=.*@)|[?&]password=)([^@&]|@(?=.*@))*")

MIB = 2**20
TIB = 2**40
MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

MIN_SECRET = 32  # characters
MAX_SOCKET_PATH = 107  # bytes: sun_path of unix(7), without its final NUL

SMALLEST_RANGE = 5 * MIB  # the least that S3 takes as a part of a larger object
LARGEST_RANGE = 30 * MIB
LARGEST_INLINE = MIB


def upper(value: object) -> object:
    """Take a word in any case."""
    return value.upper() if isinstance(value, str) else value


def capitalized(value: object) -> object:
    """Take a word in any case, and the way that some settings spell "None"."""
    return value.capitalize() if isinstance(value, str) else value


class DatabaseSettings(Table):
    """Where this side keeps its records; each side has a database of its own."""

    url: SecretStr = Field(
        min_length=1,
        description="`sqlite:////absolute/path.db` or `postgresql+psycopg://user:password@host/name`"
        " of a database that only this side uses. In a path or a password, `%` is written `%25`,"
        " and `?` is `%3F`.",
    )
    pool_size: int = Field(
        default=10, ge=1, le=1000, description="Connections that one process may hold."
    )
    busy_timeout: Seconds = Field(
        default=30.0, ge=0, description="How long to wait for a locked database or a connection."
    )

    @property
    def masked_url(self) -> str:
        """The URL as people may see it: without its password."""
        return PASSWORD.sub(r"\1***", self.url.get_secret_value())


class LinkSettings(Table):
    """What both sides share."""

    secret: SecretStr = Field(
        min_length=32,
        description="The same on both sides: seals packets and association words.",
    )


class ApiSettings(Table):
    """The HTTP service."""

    socket: Path | None = Field(
        default=None,
        description="Unix socket to listen on, in place of `host` and `port`: an absolute path in a"
        " directory that exists. What may open it is the reverse proxy, whose headers are"
        " believed.",
    )
    socket_group: str | None = Field(
        default=None,
        min_length=1,
        description="Group that may open the socket besides the service's own user: mode 0660 in"
        " place of 0600.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 for any.")
    workers: int = Field(default=1, ge=1, le=256, description="Server processes.")
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-*`,"
        " `X-Request-Id` and identity headers are believed, if `proxy_secret` comes with them.",
    )
    proxy_secret: SecretStr | None = Field(
        default=None,
        min_length=MIN_SECRET,
        description="Shared with the reverse proxy, which adds it to every request; nothing is"
        " believed of a proxy without it. Needed with `trusted_proxies`; on a Unix socket it may"
        " be left out.",
    )
    proxy_secret_header: str = Field(
        default="X-Eurydice-Proxy-Secret",
        pattern=r"^[A-Za-z0-9-]{1,100}$",
        description="Header in which the proxy sends it.",
    )
    body_timeout: Seconds = Field(
        default=30.0,
        gt=0,
        le=DAY,
        description="How long the body of a request may take, from the request's headers to its"
        " end; uploads have `[upload] idle_timeout` and `min_rate` instead.",
    )
    contact: str = Field(default="", description="Whom to ask for help, shown to users.")
    badge_content: str = Field(default="", description="Text of the banner on the web pages.")
    badge_color: str = Field(default="#01426a", description="Colour of that banner, as in CSS.")
    page_size: int = Field(default=50, ge=1, description="Items on a page of a list.")
    max_page_size: int = Field(
        default=100, ge=1, description="Most items on a page that a user may ask for."
    )
    metrics_window: Seconds = Field(
        default=HOUR, gt=0, description="How far back the metrics count successes and errors."
    )
    metrics_from: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(split_list)] = Field(
        default=("127.0.0.0/8", "::1/128"),
        validate_default=True,
        description="Addresses or networks that may read `/metrics`, and the reasons of `/readyz`,"
        " without saying who they are; everybody else needs an account with the metrics"
        " permission.",
    )
    metrics_users: int = Field(
        default=50,
        ge=0,
        le=1000,
        description="How many users `/metrics` names, those with the most waiting; the others are"
        " added up. 0 names nobody.",
    )
    low_space: Size = Field(
        default=2**30,
        ge=0,
        description="Less free space than this, in `state_dir` or the storage, is reported by"
        " `/readyz`.",
    )
    session_age: Seconds = Field(
        default=DAY, gt=0, description="How long a browser stays signed in."
    )
    secure_cookies: bool = Field(
        default=True,
        description="Browsers send the session's cookies over HTTPS only; if false, only those"
        " that were set over HTTPS.",
    )
    samesite_cookies: Annotated[Literal["Strict", "Lax", "None"], BeforeValidator(capitalized)] = (
        Field(default="Strict", description="From which sites browsers send those cookies.")
    )
    trusted_origins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Other sites, such as `https://portal.example.org`, whose pages may change"
        " something here on behalf of whoever looks at them.",
    )
    lockout_attempts: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Wrong passwords for one user name from one address, within"
        " `lockout_window`, after which none is looked at for `lockout_duration`; ten times as"
        " many for all names together.",
    )
    lockout_window: Seconds = Field(
        default=10 * MINUTE, gt=0, le=30 * DAY, description="How far apart those may be."
    )
    lockout_duration: Seconds = Field(
        default=5 * MINUTE, gt=0, le=30 * DAY, description="How long passwords are then refused."
    )

    @model_validator(mode="after")
    def _page_fits(self) -> ApiSettings:
        if self.page_size > self.max_page_size:
            raise ValueError(
                f"page_size must be at most max_page_size ({self.max_page_size}),"
                f" is {self.page_size}"
            )
        return self

    @model_validator(mode="after")
    def _socket_is_usable(self) -> ApiSettings:
        if self.socket_group is not None and self.socket is None:
            raise ValueError("socket_group needs socket, the path of the Unix socket")
        if self.socket is not None and not self.socket.is_absolute():
            raise ValueError(f"socket must be an absolute path, is {SHORT.repr(str(self.socket))}")
        if self.socket is not None and len(os.fsencode(self.socket)) > MAX_SOCKET_PATH:
            raise ValueError(
                f"socket must have at most {MAX_SOCKET_PATH} bytes: use a shorter path"
            )
        return self

    @model_validator(mode="after")
    def _proxy_proves_itself(self) -> ApiSettings:
        secret = None if self.proxy_secret is None else self.proxy_secret.get_secret_value()
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise ValueError("proxy_secret must be printable ASCII: it is sent in a header")
        if secret is not None and secret != secret.strip():
            raise ValueError("proxy_secret must not begin or end with a space")
        if self.trusted_proxies and secret is None:
            raise ValueError(
                "trusted_proxies needs proxy_secret: an address alone proves no proxy. Set"
                " proxy_secret and let the proxy send it in"
                f" {self.proxy_secret_header}, or use socket (docs/how-to/deploy.md)"
            )
        return self

    @property
    def has_proxy(self) -> bool:
        """Whether headers of a reverse proxy can ever be believed."""
        return self.socket is not None or bool(self.trusted_proxies)


class UploadSettings(Table):
    """Files on their way in (origin)."""

    range_size: Size = Field(
        default=8 * MIB,
        ge=SMALLEST_RANGE,
        le=LARGEST_RANGE,
        description="Files are cut into ranges of this size; at most `[sender] packet_size`.",
    )
    max_size: Size = Field(default=50 * TIB, ge=0, description="Largest file that is taken.")
    idle_timeout: Seconds = Field(
        default=MINUTE, gt=0, description="An upload that sends nothing for this long has ended."
    )
    min_rate: Size = Field(
        default=100,
        ge=0,
        description="An upload that brings fewer bytes a second, over `min_rate_window`, has"
        " ended as well; 0 for no such limit.",
    )
    min_rate_window: Seconds = Field(
        default=MINUTE, gt=0, description="How long an upload may be slower than that."
    )
    inline_size: Size = Field(
        default=64 * 1024,
        ge=0,
        le=LARGEST_INLINE,
        description="Files up to this size are kept in the database, which is faster, in place of"
        " the storage; 0 for none.",
    )
    idempotency_age: Seconds = Field(
        default=DAY,
        gt=0,
        description="How long an `Idempotency-Key` stands for the upload it came with first.",
    )
    throttle_rate: RateLimit = Field(
        default=None,
        description="How many uploads a user may begin, such as `30/second`; also per minute, hour"
        " or day. One limit for all processes.",
    )
    quota_size: Size | None = Field(
        default=None,
        ge=0,
        description="Most bytes that are kept here for one user, from the upload until"
        " `[sender] retain_after_send` is over; 'eurydice user change' gives a user another limit.",
    )
    quota_files: int | None = Field(
        default=None,
        ge=0,
        description="Most files that a user may begin to upload in 24 hours; a user may have"
        " another limit. Only what `[cleaner] trim_after` left in the records counts.",
    )


class AssociationSettings(Table):
    """Linking a user's two accounts."""

    expires_after: Seconds = Field(
        default=30 * MINUTE, gt=0, description="How long association words are good for."
    )


class SenderSettings(Table):
    """The process that fills the link (origin)."""

    packet_size: Size = Field(
        default=32 * MIB, ge=5 * MIB, le=64 * MIB, description="Room for data in a packet."
    )
    poll_every: Seconds = Field(
        default=0.1, gt=0, description="How often to look for something to send."
    )
    heartbeat_every: Seconds = Field(
        default=2 * MINUTE,
        gt=0,
        description="An idle link carries a sign of life this often; less than the other side's"
        " `[receiver] expect_packet_every`.",
    )
    max_ranges_per_packet: int = Field(
        default=10_000,
        ge=1,
        le=20_000,
        description="Most ranges, that is small files, in one packet.",
    )
    repeat: int = Field(
        default=2,
        ge=1,
        le=100,
        description="How often everything is sent: 2 sends it once more while the link is idle, so"
        " that what a stopped receiver or a disturbed link lost arrives without anybody asking.",
    )
    repeat_after: Seconds = Field(
        default=MINUTE, ge=0, description="How long after it was sent something is sent again."
    )
    retain_after_send: Seconds = Field(
        default=DAY,
        ge=0,
        description="How long data that was sent is kept, so that what got lost can be repaired.",
    )
    history_duration: Seconds = Field(
        default=5 * HOUR,
        ge=0,
        description="How long the destination is told, less and less often, how a transfer ended;"
        " less than the other side's `[cleaner] trim_after`.",
    )
    history_entries_per_packet: int = Field(
        default=500, ge=1, le=10_000, description="Most of those entries in one packet."
    )


class ReceiverSettings(Table):
    """The process that listens to the link (destination)."""

    expect_packet_every: Seconds = Field(
        default=5 * MINUTE, gt=0, description="Silence longer than this is reported."
    )
    poll_every: Seconds = Field(
        default=0.1, gt=0, description="How often to look whether to stop while nothing comes."
    )
    buffer_packets: int = Field(
        default=100, ge=1, description="Most packets that wait in memory to be taken in."
    )
    buffer_size: Size = Field(
        default=64 * MIB,
        ge=0,
        description="Most bytes of packets that wait in memory; one packet always may.",
    )
    spool_size: Size = Field(
        default=10 * 2**30,
        ge=0,
        description="Packets that wait on disk, below `state_dir`, while taking them in is slower"
        " than the link; beyond it the newest is dropped, counted and told in the log.",
    )
    quarantine_size: Size = Field(
        default=2**30,
        ge=0,
        description="Most bytes of packets, below `state_dir`, that could not be ingested and"
        " wait for `eurydice quarantine replay`.",
    )
    quarantine_packets: int = Field(default=1000, ge=0, description="Most packets of these.")


class CleanerSettings(Table):
    """The process that removes what was kept long enough."""

    run_every: Seconds = Field(default=MINUTE, gt=0, description="How often it looks.")
    expire_after: Seconds = Field(
        default=7 * DAY, gt=0, description="How long received files are kept (destination)."
    )
    trim_after: Seconds = Field(
        default=7 * DAY, gt=0, description="How long the record of a finished transfer is kept."
    )
    upload_timeout: Seconds = Field(
        default=HOUR,
        gt=0,
        description="An upload without progress for this long is given up (origin).",
    )
    repair_within: Seconds = Field(
        default=2 * DAY,
        ge=0,
        description="How long what came of an incomplete file is kept for a repair (destination);"
        " no less than the other side's `[sender] retain_after_send`.",
    )


class LogSettings(Table):
    """What is written about the work."""

    level: Annotated[
        Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)
    ] = Field(default="INFO", description="Least severity that is written.")
    format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or one JSON object a line."
    )
    file: Path | None = Field(
        default=None, description="Write there, as JSON lines, besides the standard error."
    )
    group: str | None = Field(
        default=None,
        description="Group that may read that file, such as that of a log collector: it is made"
        " with mode 0640 in place of 0600.",
    )
