from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from eurydice_core.interfaces.storage import Storage
from eurydice_core.testing.assembly import AssemblyConformance
from eurydice_core.testing.storage import StorageConformance
from eurydice_storage_minio import Settings
from eurydice_storage_minio.client import open_storage
from eurydice_storage_minio.storage import S3Storage

MIB = 2**20


@pytest.fixture(scope="session")
def filesystem(make_settings: Callable[..., Settings]) -> Any:
    """One connection and one bucket for all tests, because new ones take their time."""
    storage = open_storage(make_settings(bucket="conformance"))
    storage.check()
    return storage.filesystem


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """A place in the bucket that is the test's own."""
    return make_settings(bucket="conformance", prefix=secrets.token_hex(6))


@pytest.fixture
def storage(filesystem: Any, settings: Settings) -> Storage:
    return S3Storage(filesystem, settings)


def leftovers_in(storage: Storage) -> Iterable[str]:
    assert isinstance(storage, S3Storage)
    place = storage.object_name(storage.root)
    uploads = storage.call("list_multipart_uploads", Prefix=place).get("Uploads", [])
    objects = storage.call("list_objects_v2", Prefix=place).get("Contents", [])
    hidden = (found["Key"] for found in objects if "/." in found["Key"])
    return [*(upload["UploadId"] for upload in uploads), *hidden]


@pytest.mark.service
class TestS3Storage(StorageConformance):
    """Pieces are parts of a multipart upload."""

    piece_size = 5 * MIB

    def leftovers(self, storage: Storage) -> Iterable[str]:
        return leftovers_in(storage)


@pytest.mark.service
class TestS3StorageWithSmallPieces(AssemblyConformance):
    """S3 takes no small parts, so pieces are objects of their own."""

    def leftovers(self, storage: Storage) -> Iterable[str]:
        return leftovers_in(storage)
