"""What one installation is told: frozen, checked, and passed down by whoever read it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from eurydice_core.model.quantities import Seconds, Size
from eurydice_core.model.states import Side

__all__ = [
    "ApiSettings",
    "AssociationSettings",
    "CleanerSettings",
    "DatabaseSettings",
    "LinkSettings",
    "LogSettings",
    "PluginChoice",
    "PluginList",
    "ReceiverSettings",
    "SenderSettings",
    "Settings",
    "UploadSettings",
]

PASSWORD = re.compile(r"((?<=://)[^/:@]*:(?=.*@)|[?&]password=)([^@&]|@(?=.*@))*")

MIB = 2**20
TIB = 2**40
MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

SMALLEST_RANGE = 5 * MIB  # the least that S3 takes as a part of a larger object
LARGEST_RANGE = 30 * MIB


def split_list(value: object) -> object:
    """Take `a,b` or a JSON list for a list, which is how the environment spells one."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def upper(value: object) -> object:
    """Take a word in any case."""
    return value.upper() if isinstance(value, str) else value


class Table(BaseModel):
    """Base of every table: unknown keys are refused, values never change, errors hide them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )


class DatabaseSettings(Table):
    """Where this side keeps its records; each side has a database of its own."""

    url: SecretStr = Field(
        min_length=1,
        description="`sqlite:////absolute/path.db` or `postgresql+psycopg://user:password@host/name`"
        " of a database that only this side uses.",
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


class PluginChoice(Table):
    """One plugin, and its own keys, which it checks itself."""

    plugin: str = Field(min_length=1, description="Name of the plugin.")
    options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Every other key of the table."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        options = {key: data[key] for key in data if key not in ("plugin", "options")}
        given = data.get("options", {})
        if not isinstance(given, Mapping):
            return data
        gathered: dict[str, Any] = {"options": {**given, **options}}
        return gathered | ({"plugin": data["plugin"]} if "plugin" in data else {})


class StorageChoice(PluginChoice):
    """Where transferred bytes rest."""

    plugin: str = Field(default="storage_fs", min_length=1, description="Name of the plugin.")


class SchedulerChoice(PluginChoice):
    """What goes next onto the link (origin)."""

    plugin: str = Field(
        default="scheduler_rotating", min_length=1, description="Name of the plugin."
    )


class TransportChoice(PluginChoice):
    """How packets cross; the same plugin on both sides."""

    plugin: str = Field(default="transport_udp", min_length=1, description="Name of the plugin.")


class PluginList(Table):
    """Plugins in order, each with a table of its own below this one."""

    plugins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(), description="Names of the plugins, in order."
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, repr=False, description="One table a plugin, named as the plugin."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        tables = {key: data[key] for key in data if isinstance(data[key], Mapping)}
        given = tables.pop("options", {})
        rest = {key: data[key] for key in data if key not in tables and key != "options"}
        return {**rest, "options": {**given, **tables}}

    @model_validator(mode="after")
    def _refuse_doubles(self) -> PluginList:
        if len(set(self.plugins)) < len(self.plugins):
            raise ValueError(f"names a plugin twice: {', '.join(self.plugins)}")
        return self

    @model_validator(mode="after")
    def _refuse_strays(self) -> PluginList:
        for name in self.options:
            if name not in self.plugins:
                raise ValueError(f"has a table for {name!r}, which its 'plugins' does not name")
        return self

    def options_of(self, name: str) -> dict[str, Any]:
        """Return the keys of one plugin's table; a plugin without a table has none."""
        return self.options.get(name, {})


class AuthenticatorList(PluginList):
    """How users prove who they are; API tokens always work beside these."""

    plugins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=("auth_basic",), description="Names of the plugins, asked in this order."
    )


class WebList(PluginList):
    """What is served beside the API, such as web pages."""


class EventList(PluginList):
    """Who is told what happens, such as an audit trail."""


class ApiSettings(Table):
    """The HTTP service."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 for any.")
    workers: int = Field(default=1, ge=1, le=256, description="Server processes.")
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-*` headers are"
        " believed.",
    )
    contact: str = Field(default="", description="Whom to ask for help, shown to users.")
    badge_content: str = Field(default="", description="Text of the banner on the web pages.")
    badge_color: str = Field(default="#01426a", description="Colour of that banner, as in CSS.")
    page_size: int = Field(default=50, ge=1, description="Items on a page of a list.")
    max_page_size: int = Field(
        default=100, ge=1, description="Most items on a page that a user may ask for."
    )

    @model_validator(mode="after")
    def _page_fits(self) -> ApiSettings:
        if self.page_size > self.max_page_size:
            raise ValueError(
                f"page_size must be at most max_page_size ({self.max_page_size}),"
                f" is {self.page_size}"
            )
        return self


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
        default=10_000, ge=1, description="Most ranges, that is small files, in one packet."
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


class ReceiverSettings(Table):
    """The process that listens to the link (destination)."""

    expect_packet_every: Seconds = Field(
        default=5 * MINUTE, gt=0, description="Silence longer than this is reported."
    )
    poll_every: Seconds = Field(
        default=0.1, gt=0, description="How often to look whether to stop while nothing comes."
    )


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


class Settings(BaseSettings):
    """Everything one side is told.

    Built from a file and the environment by `load_settings`, or directly by an embedder:
    `Settings(side=..., ...)` and `Settings.model_validate({...})` read nothing else.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )

    side: Side = Field(description="Which end of the link this is: `origin` or `destination`.")
    state_dir: Path = Field(
        default=Path("/var/lib/eurydice"),
        description="Directory for small files of this installation.",
    )
    secret_key: SecretStr = Field(
        min_length=32, description="Signs page tokens and sessions of this side; known to it alone."
    )
    database: DatabaseSettings
    link: LinkSettings
    storage: StorageChoice = StorageChoice()
    auth: AuthenticatorList = AuthenticatorList()
    scheduler: SchedulerChoice = SchedulerChoice()
    transport: TransportChoice = TransportChoice()
    web: WebList = WebList()
    events: EventList = EventList()
    api: ApiSettings = ApiSettings()
    upload: UploadSettings = UploadSettings()
    association: AssociationSettings = AssociationSettings()
    sender: SenderSettings = SenderSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    cleaner: CleanerSettings = CleanerSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind an embedder's back: the loader brings its own sources."""
        return (init_settings,)

    @model_validator(mode="after")
    def _range_fits_packet(self) -> Settings:
        if self.upload.range_size > self.sender.packet_size:
            raise ValueError(
                "[upload] range_size must be at most [sender] packet_size"
                f" ({self.sender.packet_size} bytes), is {self.upload.range_size} bytes"
            )
        return self
