"""The plugin's keys in `[storage]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from eurydice_core.hookspecs import PluginSettings
from eurydice_core.model.quantities import Seconds, Size

__all__ = ["MIN_PART", "Settings"]

MIN_PART = 5 * 2**20  # S3 takes no smaller part but the last
MAX_PART = 5 * 2**30


class Settings(PluginSettings):
    """Which bucket, and how to reach it."""

    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+",
        examples=["https://minio:9000"],
        description="URL of the S3 server, such as `https://minio:9000`; AWS if not set.",
    )
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        examples=["eurydice"],
        description="Bucket everything is kept in.",
    )
    prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$",
        max_length=200,
        description="Put before every object's name, so that a bucket can be shared.",
    )
    access_key: str | None = Field(
        default=None,
        description="Access key; without any, those of the environment or the machine's role.",
    )
    secret_key: SecretStr | None = Field(default=None, description="Secret key of the access key.")
    access_key_file: Path | None = Field(
        default=None, description="File with the access key, instead of `access_key`."
    )
    secret_key_file: Path | None = Field(
        default=None, description="File with the secret key, instead of `secret_key`."
    )
    region: str = Field(default="us-east-1", description="Region the bucket is in.")
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust, in PEM, instead of the system's."
    )
    addressing: Literal["path", "virtual", "auto"] = Field(
        default="path",
        description="Whether the bucket is in the path or in the host name of a URL.",
    )
    create_bucket: bool = Field(
        default=False, description="Whether to make the bucket if it does not exist."
    )
    expiration_days: int | None = Field(
        default=None,
        ge=1,
        description="Days after which the server deletes an object by itself; a rule of the"
        " bucket that is brought up to date when a service starts. Give it more than any file"
        " waits or is kept: the server knows nothing of ours.",
    )
    part_size: Size = Field(
        default=64 * 2**20,
        ge=MIN_PART,
        le=MAX_PART,
        description="Most bytes of an object sent in one request; what is longer goes in"
        " parts. A write holds as much in memory.",
    )
    parallel_parts: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Parts a process sends at the same time, and holds in memory. More may pay"
        " where the server is far away.",
    )
    sign_payload: bool = Field(
        default=True,
        description="Whether bytes sent without TLS are part of the signature, so that nobody on"
        " the way can change them; without it they cost half the processor time.",
    )
    connect_timeout: Seconds = Field(
        default=5.0, gt=0, description="How long to wait for a connection."
    )
    read_timeout: Seconds = Field(default=60.0, gt=0, description="How long to wait for an answer.")
    retries: int = Field(
        default=4,
        ge=0,
        le=20,
        description="How often a request is tried again after a time-out, a broken connection or"
        " an error of the server, each time after a longer, random wait.",
    )
    presigned_downloads: bool = Field(
        default=False,
        description="Whether users fetch files from the S3 server itself, by a URL that is"
        " good for a while. They must be able to reach it.",
    )
    public_endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+",
        examples=["https://minio:9000"],
        description="URL of the S3 server as users reach it, if it is another one.",
    )

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Settings:
        if self.access_key is not None and self.access_key_file is not None:
            raise ValueError("give access_key or access_key_file, not both")
        if self.secret_key is not None and self.secret_key_file is not None:
            raise ValueError("give secret_key or secret_key_file, not both")
        access = self.access_key is not None or self.access_key_file is not None
        secret = self.secret_key is not None or self.secret_key_file is not None
        if access != secret:
            raise ValueError(
                "access_key and secret_key, or access_key_file and secret_key_file, go together:"
                " give an access key and its secret key, or neither"
            )
        return self
