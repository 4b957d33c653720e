"""An object written in one go: one request if it is short, parts beside each other if not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from loguru import logger

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.model.quantities import format_size
from eurydice_storage_minio.errors import UploadGone
from eurydice_storage_minio.uploads import Part

if TYPE_CHECKING:
    from eurydice_storage_minio.storage import S3Storage

__all__ = ["S3Writer"]


class S3Writer:
    """Takes bytes, and holds back no more than a part of them."""

    def __init__(self, storage: S3Storage, path: str, part_size: int) -> None:
        self._storage = storage
        self._path = path
        self._name = storage.object_name(path)
        self._part_size = part_size
        self._buffer = io.BytesIO()
        self._batch = storage.requests.batch()
        self._upload: str | None = None
        self._sizes: list[int] = []

    def write(self, data: Buffer) -> None:
        """Append all of `data`."""
        rest = memoryview(data).cast("B")
        while rest:
            if self._buffer.tell() == self._part_size:
                self._send()
            taken = rest[: self._part_size - self._buffer.tell()]
            self._buffer.write(taken)
            rest = rest[len(taken) :]

    def commit(self) -> None:
        """Let the object appear."""
        if self._upload is None:
            self._storage.call("put_object", Key=self._name, Body=self._buffer.getvalue())
            return
        self._send()
        parts = {
            number: Part(answer["ETag"], self._sizes[number - 1])
            for number, answer in self._batch.answers()
        }
        try:
            self._storage.uploads.complete(self._name, self._upload, parts)
        except UploadGone:
            # Completed by a try whose answer was lost; or not at all.
            if self._storage.size_at(self._path) != sum(self._sizes):
                raise

    def discard(self) -> None:
        """Leave nothing behind."""
        self._batch.settle()  # a part that comes after the end would stay on some servers
        if self._upload is None:
            return
        try:
            self._storage.uploads.abort(self._name, self._upload)
        except StorageError as error:
            logger.warning("a failed write may have left parts of {}: {}", self._name, error)

    def _send(self) -> None:
        """Begin to send what was held back, as the next part."""
        if self._upload is None:
            self._upload = self._storage.uploads.begin(self._name)
        body, self._buffer = self._buffer.getvalue(), io.BytesIO()
        self._sizes.append(len(body))
        if len(self._sizes) > self._storage.max_parts:
            raise StorageError(
                f"object {self._name!r} is too large: S3 takes {self._storage.max_parts} parts of"
                f" {format_size(self._part_size)}; raise part_size in [storage]"
            )
        self._batch.start(
            len(self._sizes),
            "upload_part",
            Key=self._name,
            UploadId=self._upload,
            PartNumber=len(self._sizes),
            Body=body,
        )
