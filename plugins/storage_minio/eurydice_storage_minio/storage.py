"""The storage: objects in a bucket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from loguru import logger
from s3fs import S3FileSystem

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.fsspec_storage import FsspecStorage
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    HasListing,
    HasPresignedUrl,
    ObjectWriter,
    checked_key,
)
from eurydice_storage_minio.assembly import MultipartAssembly
from eurydice_storage_minio.errors import BucketMissing, translated
from eurydice_storage_minio.lifecycle import refresh_expiry
from eurydice_storage_minio.names import SEGMENTS, STAGING, key_of, parts_prefix
from eurydice_storage_minio.requests import Requests
from eurydice_storage_minio.settings import MIN_PART, Settings
from eurydice_storage_minio.uploads import Uploads
from eurydice_storage_minio.writer import S3Writer

__all__ = ["S3Storage"]

KEYS_PER_REQUEST = 1000
READ_BLOCK = 4 * 2**20
READ_AHEAD = 2
"""Blocks of a download that are fetched while the one before them is passed on."""

RESPONSE_HEADERS = {
    "content-type": "ResponseContentType",
    "content-disposition": "ResponseContentDisposition",
    "content-encoding": "ResponseContentEncoding",
    "content-language": "ResponseContentLanguage",
    "cache-control": "ResponseCacheControl",
}
"""What a URL can make an S3 server answer."""


class S3Storage(FsspecStorage, HasListing, HasPresignedUrl):
    """Objects of a bucket, below a prefix."""

    max_parts = 10_000
    """Of an upload, as S3 has it."""

    def __init__(
        self, filesystem: S3FileSystem, settings: Settings, *, public: S3FileSystem | None = None
    ) -> None:
        super().__init__(filesystem, f"{settings.bucket}/{settings.prefix}")
        self._settings = settings
        self._server = settings.endpoint_url or f"AWS {settings.region}"
        self._public = public
        self._expiry_is_set = False
        self.requests = Requests(filesystem, settings.bucket, self.errors, settings.parallel_parts)
        self.uploads = Uploads(self)

    @contextmanager
    def writing(self, path: str) -> Iterator[ObjectWriter]:
        """Write an object of any path, all or nothing."""
        writer = S3Writer(self, path, self._settings.part_size)
        try:
            yield writer
            writer.commit()
        except BaseException:
            writer.discard()
            raise

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, a few blocks ahead of whoever takes them."""
        blocks = self._blocks(key, start, stop)
        ahead: deque[tuple[int, Future[bytes]]] = deque()
        try:
            for path, begin, end in blocks:
                ahead.append((end - begin, self.requests.fetch(path, begin, end)))
                if len(ahead) > READ_AHEAD:
                    yield self._fetched(key, *ahead.popleft())
            while ahead:
                yield self._fetched(key, *ahead.popleft())
        finally:
            for _, future in ahead:
                future.cancel()

    def size(self, key: str) -> int:
        """Return the object's length, its segments' included."""
        return sum(length for _, length in self._stretches(key))

    def length_of(self, name: str) -> int | None:
        """Return the length of a single object by its name; None if there is none."""
        return self.size_at(f"{self._settings.bucket}/{name}")

    def remove(self, paths: Iterable[str]) -> None:
        """Remove up to 1,000 objects a request."""
        names = list(dict.fromkeys(self.object_name(path) for path in paths))
        for start in range(0, len(names), KEYS_PER_REQUEST):
            some = [{"Key": name} for name in names[start : start + KEYS_PER_REQUEST]]
            answer = self.call("delete_objects", Delete={"Objects": some, "Quiet": True})
            for failure in answer.get("Errors", []):
                raise StorageError(
                    f"the S3 server {self._server} did not delete {failure.get('Key')!r}:"
                    f" {failure.get('Message')} ({failure.get('Code')})"
                )

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects, and the segments of those that have any."""
        keys = list(keys)
        self.remove([self.path(key) for key in keys])
        if keys and next(self._listed(f"{SEGMENTS}/", page=1), None) is not None:
            self._remove_parts(SEGMENTS, keys)

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces: parts of an upload if S3 takes them."""
        checked_key(key)
        if piece_size < MIN_PART:
            return super().assemble(key, piece_size=piece_size, state=state)
        return MultipartAssembly(self, key, piece_size, state)

    def list_keys(self, prefix: str = "", *, before: datetime | None = None) -> Iterator[str]:
        """Yield the keys of objects, segments, pieces and uploads."""
        for place in (prefix, f"{SEGMENTS}/{prefix}", f"{STAGING}/{prefix}"):
            for found in self._listed(place):
                if before is None or found["LastModified"] < before:
                    yield from self._key_of(found["Key"], prefix)
        for place in (prefix, f"{SEGMENTS}/{prefix}"):
            for upload in self.uploads.under_way(self._below(place)):
                if before is None or (upload.initiated and upload.initiated < before):
                    yield from self._key_of(upload.name, prefix)

    def discard(self, keys: Iterable[str]) -> None:
        """Remove objects, segments, pieces and uploads of these keys."""
        keys = [checked_key(key) for key in keys]
        for key in keys:
            self.call_off(key)
        self.remove([self.path(key) for key in keys])
        for place in (SEGMENTS, STAGING):
            self._remove_parts(place, keys)

    def call_off(self, key: str) -> None:
        """Abort all uploads of a key; remove segments that belong to no object."""
        whole, parts = self.segment_name(key, 0), self._below(parts_prefix(SEGMENTS, key))
        for prefix in (whole, parts):
            for upload in self.uploads.under_way(prefix):
                if upload.name == whole or prefix == parts:
                    self.uploads.abort(upload.name, upload.id)
        segments = [found["Key"] for found in self._listed(parts_prefix(SEGMENTS, key))]
        if segments and self.length_of(whole) is None:
            self.remove(f"{self._settings.bucket}/{name}" for name in segments)

    def check(self) -> None:
        """Write, read and delete a small object; make the bucket first if that is wanted."""
        try:
            super().check()
        except BucketMissing:
            if not self._settings.create_bucket:
                raise
            self._create_bucket()
            super().check()
        if not self._expiry_is_set:
            refresh_expiry(self, self._settings.prefix, self._settings.expiration_days)
            self._expiry_is_set = True

    def presigned_url(self, key: str, *, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a URL, unless it is switched off, or none gives just this.

        S3 cannot answer with any header; and a URL leads to one object, not to several
        segments.
        """
        path = self.path(key)
        if self._public is None or not RESPONSE_HEADERS.keys() >= {
            name.lower() for name in headers
        }:
            return None
        if len(self._stretches(key)) > 1:
            return None
        answers = {RESPONSE_HEADERS[name.lower()]: value for name, value in headers.items()}
        with self.errors(key):
            return str(self._public.url(path, expires=seconds, **answers))

    def call(self, method: str, *, key: str | None = None, **arguments: Any) -> Any:
        """Call a method of the S3 API on the bucket."""
        with self.errors(key):
            return self.filesystem.call_s3(method, Bucket=self._settings.bucket, **arguments)

    def pages(self, method: str, *markers: str, **arguments: Any) -> Iterator[Any]:
        """Call a method that lists, again and again from the place that its markers tell."""
        place: dict[str, Any] = {}
        while True:
            page = self.call(method, **arguments, **place)
            yield page
            if not page.get("IsTruncated"):
                return
            place = {marker: page[f"Next{marker}"] for marker in markers}

    def object_name(self, path: str) -> str:
        """Return a path without its bucket: what S3 calls a key."""
        return path.removeprefix(f"{self._settings.bucket}/")

    def segment_name(self, key: str, segment: int) -> str:
        """Return the name of the first, second, ... 10,000 pieces of an object."""
        if segment == 0:
            return self.object_name(self.path(key))
        return self._below(f"{parts_prefix(SEGMENTS, checked_key(key))}{segment}")

    def translated(self, error: Exception, key: str | None) -> StorageError:
        """Return our error for one of s3fs, botocore or aiohttp."""
        return translated(error, key=key, bucket=self._settings.bucket, server=self._server)

    def _create_bucket(self) -> None:
        region = self._settings.region
        # S3 refuses the name of its first region here.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        options = {"CreateBucketConfiguration": place} if place else {}
        try:
            with self.errors():
                self.filesystem.call_s3("create_bucket", Bucket=self._settings.bucket, **options)
        except StorageError as error:
            if isinstance(error.__cause__, FileExistsError):  # another process was faster
                return
            raise
        logger.info("made bucket {} at {}", self._settings.bucket, self._server)

    def _stretches(self, key: str) -> list[tuple[str, int]]:
        """Return the paths and lengths of what an object consists of.

        Raises:
            ObjectMissing: no such object.
        """
        path = self.path(key)
        length = self.size_at(path)
        if length is None:
            raise ObjectMissing(key)
        if length < self.max_parts * MIN_PART:  # less than the first of several can be
            return [(path, length)]
        found = {name["Key"]: name["Size"] for name in self._listed(parts_prefix(SEGMENTS, key))}
        names = (self.segment_name(key, number + 1) for number in range(len(found)))
        bucket = self._settings.bucket
        return [(path, length), *((f"{bucket}/{name}", found.get(name, 0)) for name in names)]

    def _blocks(self, key: str, start: int, stop: int | None) -> Iterator[tuple[str, int, int]]:
        """Yield the paths and bounds of what is fetched at a time."""
        before = 0
        for path, length in self._stretches(key):
            end = length if stop is None else min(length, stop - before)
            for begin in range(max(0, start - before), end, READ_BLOCK):
                yield path, begin, min(begin + READ_BLOCK, end)
            before += length

    def _fetched(self, key: str, length: int, future: Future[bytes]) -> bytes:
        with self.errors(key):
            block = future.result()
        if len(block) != length:
            raise StorageError(f"object {key!r} ends early: {len(block)} of {length} bytes came")
        return block

    def _listed(self, prefix: str, *, page: int = KEYS_PER_REQUEST) -> Iterator[dict[str, Any]]:
        """Yield what there is below our prefix that begins so."""
        place = self._below(prefix)
        for answer in self.pages(
            "list_objects_v2", "ContinuationToken", Prefix=place, MaxKeys=page
        ):
            yield from answer.get("Contents", [])

    def _remove_parts(self, place: str, keys: Iterable[str]) -> None:
        bucket = self._settings.bucket
        for key in keys:
            found = [part["Key"] for part in self._listed(parts_prefix(place, key))]
            self.remove(f"{bucket}/{name}" for name in found)

    def _key_of(self, name: str, prefix: str) -> Iterator[str]:
        key = key_of(name.removeprefix(self._below("")))
        if key is not None and key.startswith(prefix):
            yield key

    def _below(self, name: str) -> str:
        prefix = self._settings.prefix
        return f"{prefix}/{name}" if prefix else name
