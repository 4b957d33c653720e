"""An object that arrives in pieces: an S3 multipart upload, a piece a part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.storage import Assembly, AssemblyState, Buffer
from eurydice_core.model.quantities import format_size
from eurydice_storage_minio.errors import UploadGone

if TYPE_CHECKING:
    from eurydice_storage_minio.storage import S3Storage

__all__ = ["MultipartAssembly"]

MAX_PARTS = 10_000


class Part(NamedTuple):
    """A part the server has."""

    etag: str
    size: int


class MultipartAssembly(Assembly):
    """Pieces of one key. The state is the upload's id: the server keeps the list of parts."""

    def __init__(
        self, storage: S3Storage, key: str, piece_size: int, state: AssemblyState | None
    ) -> None:
        self._storage = storage
        self._key = key
        self._name = storage.object_name(storage.path(key))
        self._piece_size = piece_size
        self._lock = Lock()
        self._upload: str | None = None if state is None else state["upload"]
        self._parts: dict[int, Part] = {}
        """Parts put here; those of before a crash are known to the server only."""
        self._only: bytes | None = None
        """The first piece, if it is also the last: it needs no upload if commit comes next."""

    def put(self, offset: int, data: Buffer) -> None:
        """Send a piece as the part of its place."""
        number = offset // self._piece_size + 1
        if number > MAX_PARTS:
            raise StorageError(
                f"object {self._key!r} is too large for S3: it takes {MAX_PARTS} pieces of"
                f" {format_size(self._piece_size)}; let the origin cut larger ranges"
            )
        if number == 1 and len(memoryview(data).cast("B")) < self._piece_size and not self._upload:
            self._only = bytes(data)
        else:
            self._send(number, data)

    def checkpoint(self) -> AssemblyState:
        """Return the upload's id; every part is durable already."""
        if self._only is not None:
            self._send(1, self._only)
            self._only = None
        return {"upload": self._upload}

    def commit(self, size: int) -> None:
        """Let the server join the parts, unless that was done before."""
        if size == 0 or (self._only is not None and len(self._only) == size):
            self._call("put_object", Body=self._only or b"")
            self._abort_upload()
            return
        try:
            self._complete(self._all_parts(size))
        except UploadGone as error:
            if self._storage.size_at(self._storage.path(self._key)) != size:
                raise StorageError(f"object {self._key!r} cannot be completed: {error}") from error
            self._abort_upload()

    def abort(self) -> None:
        """Abort every upload of this key, also those of earlier tries."""
        self._only = None
        self._parts.clear()
        self._abort_upload()
        for upload in self._uploads():
            self._call_off(upload)
        self._upload = None

    def _send(self, number: int, data: Buffer) -> None:
        body = bytes(data) if isinstance(data, memoryview) else data
        try:
            answer = self._call("upload_part", UploadId=self._begun(), PartNumber=number, Body=body)
        except UploadGone:
            # Committed before a crash, and not noted: the piece is in the object. If
            # it is not, then the upload is lost, which commit reports.
            return
        with self._lock:
            self._parts[number] = Part(answer["ETag"], len(body))

    def _begun(self) -> str:
        """Return the upload's id; a new one only once earlier tries are cleared away."""
        with self._lock:
            if self._upload is None:
                for upload in self._uploads():
                    self._call_off(upload)
                self._upload = str(self._call("create_multipart_upload")["UploadId"])
            return self._upload

    def _all_parts(self, size: int) -> dict[int, Part]:
        """Return the parts of the whole object; ask the server only if some are unknown here."""
        count = -(-size // self._piece_size)
        known = dict(self._parts)
        if len(known) < count:
            known = {**dict(self._listed_parts()), **known}
        parts = {number: known[number] for number in range(1, count + 1) if number in known}
        if sum(part.size for part in parts.values()) != size:
            raise UploadGone(f"{len(parts)} of its {count} pieces are there")
        return parts

    def _listed_parts(self) -> Iterator[tuple[int, Part]]:
        if self._upload is None:
            return
        marker = 0
        while True:
            answer = self._call("list_parts", UploadId=self._upload, PartNumberMarker=marker)
            for part in answer.get("Parts", []):
                yield part["PartNumber"], Part(part["ETag"], part["Size"])
            if not answer.get("IsTruncated"):
                return
            marker = answer["NextPartNumberMarker"]

    def _complete(self, parts: dict[int, Part]) -> None:
        joined = [{"PartNumber": number, "ETag": part.etag} for number, part in parts.items()]
        self._call(
            "complete_multipart_upload",
            UploadId=self._upload,
            MultipartUpload={"Parts": joined},
        )

    def _uploads(self) -> list[str]:
        answer = self._storage.call("list_multipart_uploads", Prefix=self._name)
        uploads = answer.get("Uploads", [])
        return [upload["UploadId"] for upload in uploads if upload["Key"] == self._name]

    def _abort_upload(self) -> None:
        if self._upload is not None:
            self._call_off(self._upload)

    def _call_off(self, upload: str) -> None:
        with suppress(UploadGone):
            self._call("abort_multipart_upload", UploadId=upload)

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._storage.call(method, Key=self._name, **arguments)
