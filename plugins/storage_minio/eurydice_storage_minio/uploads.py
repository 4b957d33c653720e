"""Multipart uploads, as the server knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from eurydice_storage_minio.errors import UploadGone

if TYPE_CHECKING:
    from eurydice_storage_minio.storage import S3Storage

__all__ = ["Part", "Upload", "Uploads"]


class Part(NamedTuple):
    """A part the server has."""

    etag: str
    size: int


class Upload(NamedTuple):
    """An upload that was begun, and neither completed nor aborted."""

    name: str
    id: str
    initiated: datetime | None


class Uploads:
    """Begins, lists, completes and aborts uploads of one bucket."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage

    def begin(self, name: str) -> str:
        """Begin an upload; return its id."""
        return str(self._storage.call("create_multipart_upload", Key=name)["UploadId"])

    def begin_alone(self, name: str) -> str:
        """Begin an upload once those of earlier tries are cleared away."""
        for upload in self.under_way(name):
            if upload.name == name:
                self.abort(name, upload.id)
        return self.begin(name)

    def complete(self, name: str, id: str, parts: Mapping[int, Part]) -> None:
        """Let the server join the parts.

        Raises:
            UploadGone: it is not there; the object may be, from a try whose answer was lost.
        """
        joined = [{"PartNumber": number, "ETag": parts[number].etag} for number in sorted(parts)]
        self._storage.call(
            "complete_multipart_upload",
            Key=name,
            UploadId=id,
            MultipartUpload={"Parts": joined},
        )

    def abort(self, name: str, id: str) -> None:
        """Remove an upload and its parts, if it is there."""
        with suppress(UploadGone):
            self._storage.call("abort_multipart_upload", Key=name, UploadId=id)

    def parts(self, name: str, id: str) -> Iterator[tuple[int, Part]]:
        """Yield the parts the server has.

        Raises:
            UploadGone: there is no such upload any more.
        """
        pages = self._storage.pages("list_parts", "PartNumberMarker", Key=name, UploadId=id)
        for page in pages:
            for part in page.get("Parts", []):
                yield part["PartNumber"], Part(part["ETag"], part["Size"])

    def under_way(self, prefix: str) -> Iterator[Upload]:
        """Yield the uploads whose names begin so."""
        for page in self._storage.pages(
            "list_multipart_uploads", "KeyMarker", "UploadIdMarker", Prefix=prefix
        ):
            for found in page.get("Uploads", []):
                yield Upload(found["Key"], found["UploadId"], found.get("Initiated"))
