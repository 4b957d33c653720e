"""Any S3-compatible object store (MinIO, SeaweedFS, Ceph, AWS), through s3fs."""

from __future__ import annotations

from eurydice_core.hookspecs import StoragePlugin, hookimpl
from eurydice_storage_minio.client import open_storage
from eurydice_storage_minio.settings import Settings
from eurydice_storage_minio.storage import S3Storage

__all__ = ["S3Storage", "Settings", "eurydice_storage", "open_storage"]


@hookimpl
def eurydice_storage() -> StoragePlugin:
    """Offer a bucket as a storage."""
    return StoragePlugin(
        name="storage_minio",
        summary="Objects in a bucket of any S3 server (MinIO, SeaweedFS, Ceph, AWS).",
        settings=Settings,
        create=lambda settings, context: open_storage(settings),
    )
