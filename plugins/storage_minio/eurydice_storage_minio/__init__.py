"""Any S3-compatible object store (MinIO, SeaweedFS, Ceph, AWS), through s3fs."""

from __future__ import annotations

from eurydice_core.hookspecs import Context, StoragePlugin, hookimpl
from eurydice_core.interfaces.storage import Storage
from eurydice_storage_minio.settings import Settings

__all__ = ["Settings", "eurydice_storage"]


@hookimpl
def eurydice_storage() -> StoragePlugin:
    """Offer a bucket as a storage."""
    return StoragePlugin(
        name="storage_minio",
        summary="Objects in a bucket of any S3 server (MinIO, SeaweedFS, Ceph, AWS).",
        settings=Settings,
        create=create,
    )


def create(settings: Settings, context: Context) -> Storage:
    """Open the bucket."""
    # Importing s3fs takes most of a second, which only those who chose it should pay.
    from eurydice_storage_minio.client import open_storage

    return open_storage(settings)
