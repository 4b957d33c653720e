"""An object that arrives in pieces: S3 multipart uploads, a piece a part.

An upload takes 10,000 parts. What is longer goes on in a second object, a third, and so on:
its segments. So pieces of any size make objects of any size, in any order, and no byte is
copied or waited for. The object appears with its first segment, which is completed last.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.storage import Assembly, AssemblyState, Buffer
from eurydice_storage_minio.errors import UploadGone
from eurydice_storage_minio.uploads import Part

if TYPE_CHECKING:
    from eurydice_storage_minio.storage import S3Storage

__all__ = ["MultipartAssembly"]


class MultipartAssembly(Assembly):
    """Pieces of one key. The state is the uploads' ids: the server keeps the lists of parts."""

    def __init__(
        self, storage: S3Storage, key: str, piece_size: int, state: AssemblyState | None
    ) -> None:
        self._storage = storage
        self._key = key
        self._piece_size = piece_size
        self._lock = Lock()
        uploads = {} if state is None else state["uploads"]
        self._uploads: dict[int, str] = {int(number): id for number, id in uploads.items()}
        """By segment."""
        self._anew = state is None
        self._batch = storage.requests.batch()
        self._sizes: dict[int, int] = {}
        """Of the pieces put here."""
        self._parts: dict[int, Part] = {}
        """Pieces put here; those of before a crash are known to the server only."""
        self._only: bytes | None = None
        """The first piece, if it is also the last: it needs no upload if commit comes next."""

    def put(self, offset: int, data: Buffer) -> None:
        """Begin to send a piece as the part of its place."""
        piece = offset // self._piece_size
        body = data if isinstance(data, bytes) else bytes(data)
        if piece == 0 and len(body) < self._piece_size and not self._uploads:
            self._only = body
        else:
            self._send(piece, body)

    def checkpoint(self) -> AssemblyState:
        """Wait until every piece is durable; return the uploads' ids."""
        if self._only is not None:
            self._send(0, self._only)
            self._only = None
        self._land()
        return {"uploads": {str(segment): id for segment, id in self._uploads.items()}}

    def commit(self, size: int) -> None:
        """Let the server join the parts, unless that was done before."""
        if size == 0 or (self._only is not None and len(self._only) == size):
            self._storage.call("put_object", Key=self._name(0), Body=self._only or b"")
            self._call_off()
            return
        self._land()
        length = self._storage.max_parts * self._piece_size
        for segment in reversed(range(-(-size // length))):
            self._commit_segment(segment, min(length, size - segment * length))

    def abort(self) -> None:
        """Abort every upload of this key, also those of earlier tries."""
        self._only = None
        self._batch.settle()
        self._sizes.clear()
        self._parts.clear()
        self._call_off()
        self._storage.call_off(self._key)
        self._uploads.clear()

    def _send(self, piece: int, body: bytes) -> None:
        segment, number = divmod(piece, self._storage.max_parts)
        upload = self._begun(segment)
        self._sizes[piece] = len(body)
        self._batch.start(
            piece,
            "upload_part",
            Key=self._name(segment),
            UploadId=upload,
            PartNumber=number + 1,
            Body=body,
        )

    def _land(self) -> None:
        """Wait for the pieces on their way.

        If an upload is gone, its pieces are in an object that was committed before a crash,
        and not noted; if they are not, then commit tells.
        """
        for piece, answer in self._batch.answers(unless=UploadGone):
            self._parts[piece] = Part(answer["ETag"], self._sizes[piece])

    def _begun(self, segment: int) -> str:
        """Return the id of a segment's upload; begin it if need be."""
        with self._lock:
            if self._anew:
                self._storage.call_off(self._key)
                self._anew = False
            if segment not in self._uploads:
                self._uploads[segment] = self._storage.uploads.begin_alone(self._name(segment))
            return self._uploads[segment]

    def _commit_segment(self, segment: int, size: int) -> None:
        name = self._name(segment)
        try:
            parts = self._all_parts(segment, size)
            self._storage.uploads.complete(name, self._uploads[segment], parts)
        except UploadGone as error:
            if self._storage.length_of(name) != size:
                raise StorageError(f"object {self._key!r} cannot be completed: {error}") from error
            if segment in self._uploads:
                self._storage.uploads.abort(name, self._uploads[segment])

    def _all_parts(self, segment: int, size: int) -> dict[int, Part]:
        """Return a whole segment's parts; ask the server only if some are unknown here."""
        count = -(-size // self._piece_size)
        first = segment * self._storage.max_parts
        numbers = range(1, count + 1)
        known = {
            number: self._parts[first + number - 1]
            for number in numbers
            if first + number - 1 in self._parts
        }
        if len(known) < count and segment in self._uploads:
            listed = self._storage.uploads.parts(self._name(segment), self._uploads[segment])
            known = {number: part for number, part in listed if number in numbers} | known
        if sum(part.size for part in known.values()) != size:
            raise UploadGone(f"{len(known)} of the {count} pieces of segment {segment} are there")
        return known

    def _call_off(self) -> None:
        for segment, id in self._uploads.items():
            self._storage.uploads.abort(self._name(segment), id)

    def _name(self, segment: int) -> str:
        return self._storage.segment_name(self._key, segment)
