from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import Storage
from eurydice_core.testing.assembly import (
    KEY,
    AssemblyConformance,
    Broken,
    after_crash,
    content,
    put_object,
)
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


class ShortUploads(S3Storage):
    """A server that takes two parts, so that larger objects are several."""

    max_parts = 2


@pytest.mark.service
class TestS3StorageInSegments(AssemblyConformance):
    """Files of more pieces than an upload takes; on a real server that is 10,000."""

    piece_size = 5 * MIB

    @pytest.fixture
    def storage(self, filesystem: Any, settings: Settings) -> Storage:
        return ShortUploads(filesystem, settings)

    def leftovers(self, storage: Storage) -> Iterable[str]:
        """Return what is left, if the segments of a whole object are none of that."""
        assert isinstance(storage, S3Storage)
        whole = storage.length_of(storage.segment_name(KEY, 0)) is not None
        return [name for name in leftovers_in(storage) if not (whole and "/.segments/" in name)]

    def assert_whole(self, storage: Storage, data: bytes) -> None:
        super().assert_whole(storage, data)
        edge = 2 * self.piece_size
        assert b"".join(storage.read(KEY, edge - 3, edge + 3)) == data[edge - 3 : edge + 3]
        assert b"".join(storage.read(KEY, edge + 1, edge + 5)) == data[edge + 1 : edge + 5]

    def test_segments_go_with_their_object(self, storage: Storage) -> None:
        assert isinstance(storage, S3Storage)
        for remove in (storage.delete, storage.discard):
            data = content(5 * self.piece_size)
            assembly = self.begin(storage)
            self.put(assembly, self.pieces(data))
            assembly.commit(len(data))
            put_object(storage, "other", b"x")
            assert set(storage.list_keys()) == {KEY, "other"}
            remove([KEY, "other"])
            assert list(storage.list_keys()) == []
            assert leftovers_in(storage) == []

    def test_crash_between_segments_is_made_good(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = content(5 * self.piece_size + 1)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data))
        state = after_crash(assembly.checkpoint())
        assert isinstance(storage, S3Storage)
        complete, done = storage.uploads.complete, []

        def crashing(name: str, id: str, parts: Any) -> None:
            if len(done) == 2:
                raise Broken
            complete(name, id, parts)
            done.append(name)

        with monkeypatch.context() as patch:
            patch.setattr(storage.uploads, "complete", crashing)
            with pytest.raises(Broken):
                assembly.commit(len(data))
        with pytest.raises(ObjectMissing):
            storage.size(KEY)
        resumed = self.begin(storage, state)
        resumed.put(4 * self.piece_size, data[4 * self.piece_size : 5 * self.piece_size])
        resumed.checkpoint()
        resumed.commit(len(data))
        self.assert_whole(storage, data)

    def test_abort_after_some_segments_are_complete_leaves_nothing(self, storage: Storage) -> None:
        assert isinstance(storage, S3Storage)
        data = content(4 * self.piece_size)
        assembly = self.begin(storage)
        self.put(assembly, self.pieces(data)[2:])
        with pytest.raises(StorageError, match="0 of the 2 pieces of segment 0"):
            assembly.commit(len(data))
        assembly.abort()
        assert leftovers_in(storage) == []
        assert list(storage.list_keys()) == []

    def test_no_url_leads_to_several_objects(
        self, storage: Storage, filesystem: Any, settings: Settings
    ) -> None:
        signing = ShortUploads(filesystem, settings, public=filesystem)
        data = content(3 * self.piece_size)
        for count, has_url in ((2, True), (3, False)):
            part = data[: count * self.piece_size]
            assembly = self.begin(storage)
            self.put(assembly, self.pieces(part))
            assembly.commit(len(part))
            assert (signing.presigned_url(KEY, seconds=60, headers={}) is not None) == has_url
