"""From settings to a storage: keys, connections, time-outs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s3fs import S3FileSystem

from eurydice_core.errors import ConfigurationError
from eurydice_storage_minio.http import BoundedSession
from eurydice_storage_minio.settings import Settings
from eurydice_storage_minio.storage import S3Storage

__all__ = ["open_storage"]

CONNECTIONS = 50
TRIES_OF_A_BODY = 2
"""How often s3fs tries what botocore cannot: a body that broke off half way."""


def open_storage(settings: Settings) -> S3Storage:
    """Prepare a storage; the server is asked only when something is done with it.

    Raises:
        ConfigurationError: a file with a key or a certificate cannot be read.
    """
    if settings.ca_file is not None:
        _read(settings.ca_file, "ca_file")
    public = settings.public_endpoint_url or settings.endpoint_url
    return S3Storage(
        _connect(settings, settings.endpoint_url),
        settings,
        public=_connect(settings, public) if settings.presigned_downloads else None,
    )


def _connect(settings: Settings, endpoint_url: str | None) -> S3FileSystem:
    filesystem = S3FileSystem(
        endpoint_url=endpoint_url,
        key=_access_key(settings),
        secret=_secret_key(settings),
        client_kwargs=_client_options(settings),
        config_kwargs={
            "signature_version": "s3v4",  # else URLs are signed in an older way few servers take
            "http_session_cls": BoundedSession,
            "connect_timeout": settings.connect_timeout,
            "read_timeout": settings.read_timeout,
            "max_pool_connections": CONNECTIONS,
            "retries": {"mode": "standard", "total_max_attempts": settings.retries + 1},
            "s3": _dialect(settings),
            # Many servers do not know the checksums newer clients send unasked.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        # Other processes change the bucket, too: no listing may come from memory, and
        # no connection from another storage with the same settings.
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    filesystem.retries = TRIES_OF_A_BODY
    return filesystem


def _dialect(settings: Settings) -> dict[str, Any]:
    dialect: dict[str, Any] = {"addressing_style": settings.addressing}
    if not settings.sign_payload:
        dialect["payload_signing_enabled"] = False
    return dialect


def _client_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"region_name": settings.region}
    if settings.ca_file is not None:
        options["verify"] = str(settings.ca_file)
    return options


def _access_key(settings: Settings) -> str | None:
    if settings.access_key_file is not None:
        return _read(settings.access_key_file, "access_key_file")
    return settings.access_key


def _secret_key(settings: Settings) -> str | None:
    if settings.secret_key_file is not None:
        return _read(settings.secret_key_file, "secret_key_file")
    return None if settings.secret_key is None else settings.secret_key.get_secret_value()


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"[storage] {setting}: cannot read {path}: {reason}") from error
