"""The storage: objects in a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loguru import logger
from s3fs import S3FileSystem

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.fsspec_storage import FsspecStorage
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    HasPresignedUrl,
    checked_key,
)
from eurydice_storage_minio.assembly import MultipartAssembly
from eurydice_storage_minio.errors import BucketMissing, translated
from eurydice_storage_minio.settings import MIN_PART, Settings

__all__ = ["S3Storage"]

KEYS_PER_REQUEST = 1000

RESPONSE_HEADERS = {
    "content-type": "ResponseContentType",
    "content-disposition": "ResponseContentDisposition",
    "content-encoding": "ResponseContentEncoding",
    "content-language": "ResponseContentLanguage",
    "cache-control": "ResponseCacheControl",
}
"""What a URL can make an S3 server answer."""


class S3Storage(FsspecStorage, HasPresignedUrl):
    """Objects of a bucket, below a prefix."""

    def __init__(
        self, filesystem: S3FileSystem, settings: Settings, *, public: S3FileSystem | None = None
    ) -> None:
        root = f"{settings.bucket}/{settings.prefix}"
        super().__init__(filesystem, root, write_block=settings.part_size)
        self._settings = settings
        self._server = settings.endpoint_url or f"AWS {settings.region}"
        self._public = public

    def commit_file(self, file: Any) -> None:
        """Send a file that is still whole in memory in one request."""
        if file.offset is None:
            file.autocommit = True
            file.close()
        else:
            super().commit_file(file)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove up to 1,000 objects a request."""
        names = [self.object_name(path) for path in paths]
        for start in range(0, len(names), KEYS_PER_REQUEST):
            some = [
                {"Key": name} for name in dict.fromkeys(names[start : start + KEYS_PER_REQUEST])
            ]
            answer = self.call("delete_objects", Delete={"Objects": some, "Quiet": True})
            for failure in answer.get("Errors", []):
                raise StorageError(
                    f"the S3 server {self._server} did not delete {failure.get('Key')!r}:"
                    f" {failure.get('Message')} ({failure.get('Code')})"
                )

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces: parts of an upload if S3 takes them."""
        checked_key(key)
        if piece_size < MIN_PART:
            return super().assemble(key, piece_size=piece_size, state=state)
        return MultipartAssembly(self, key, piece_size, state)

    def check(self) -> None:
        """Write, read and delete a small object; make the bucket first if that is wanted."""
        try:
            super().check()
        except BucketMissing:
            if not self._settings.create_bucket:
                raise
            self._create_bucket()
            super().check()

    def presigned_url(self, key: str, *, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a URL, unless it is switched off or S3 cannot answer with these headers."""
        path = self.path(key)
        if self._public is None or not RESPONSE_HEADERS.keys() >= {
            name.lower() for name in headers
        }:
            return None
        answers = {RESPONSE_HEADERS[name.lower()]: value for name, value in headers.items()}
        with self.errors(key):
            return str(self._public.url(path, expires=seconds, **answers))

    def call(self, method: str, *, key: str | None = None, **arguments: Any) -> Any:
        """Call a method of the S3 API on the bucket."""
        with self.errors(key):
            return self.filesystem.call_s3(method, Bucket=self._settings.bucket, **arguments)

    def object_name(self, path: str) -> str:
        """Return a path without its bucket: what S3 calls a key."""
        return path.removeprefix(f"{self._settings.bucket}/")

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
        if self._settings.expiration_days is not None:
            self._expire_objects(self._settings.expiration_days)

    def _expire_objects(self, days: int) -> None:
        prefix = f"{self._settings.prefix}/" if self._settings.prefix else ""
        rule = {
            "ID": "eurydice",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Expiration": {"Days": days},
        }
        try:
            self.call(
                "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [rule]}
            )
        except StorageError as error:
            logger.warning("objects will not expire by themselves: {}", error)
