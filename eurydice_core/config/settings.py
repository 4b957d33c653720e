"""What one installation is told: frozen, checked, and passed down by whoever read it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from eurydice_core.config.choices import (
    AuthenticatorList,
    EventList,
    SchedulerChoice,
    StorageChoice,
    TransportChoice,
    WebList,
)
from eurydice_core.config.tables import (
    ApiSettings,
    AssociationSettings,
    CleanerSettings,
    DatabaseSettings,
    LinkSettings,
    LogSettings,
    ReceiverSettings,
    SenderSettings,
    UploadSettings,
)
from eurydice_core.model.states import Side

__all__ = ["Settings"]


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
    allow_network_file_system: bool = Field(
        default=False,
        description="Start even if `state_dir` or a SQLite database is on a network file system,"
        " such as NFS or SMB, whose locks may fail without a word: then keep either to"
        " one machine.",
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
