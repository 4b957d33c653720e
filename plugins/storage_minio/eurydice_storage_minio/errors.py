"""What S3 servers and their client say, in words an operator can act on."""

from __future__ import annotations

import asyncio

import aiohttp
from botocore import exceptions as botocore  # type: ignore[import-untyped]

from eurydice_core.errors import ObjectMissing, StorageError, StorageFull, StorageUnavailable

__all__ = ["BucketMissing", "UploadGone", "translated"]


class BucketMissing(StorageUnavailable):
    """The bucket does not exist."""

    def __init__(self, bucket: str, server: str) -> None:
        super().__init__(
            f"no bucket {bucket!r} at {server}: create it or set create_bucket = true in [storage]"
        )


class UploadGone(StorageError):
    """A multipart upload is not there: completed, aborted, or cleaned up by the server."""


ADVICE = {
    "AccessDenied": "these keys may not do this: allow them to read, write, list and delete there",
    "403": "wrong keys, or keys that may not do this: check access_key, secret_key and the policy",
    "InvalidAccessKeyId": "it does not know access_key: check it in [storage]",
    "SignatureDoesNotMatch": "secret_key does not belong to access_key: check both in [storage]",
    "RequestTimeTooSkewed": "its clock and this machine's differ: set both right",
    "ExpiredToken": "the keys have expired: get new ones",
    "AuthorizationHeaderMalformed": "the bucket is in another region: check region in [storage]",
    "PermanentRedirect": "the bucket is in another region: check region in [storage]",
    "301": "the bucket is in another region: check region in [storage]",
    "InvalidBucketName": "it does not take this bucket name: choose another",
    "EntityTooLarge": "the part is too large for it: lower part_size in [storage]",
    "SlowDown": "it is overloaded",
    "ServiceUnavailable": "it is overloaded, or starting",
    "503": "it is overloaded, or starting",
    "InternalError": "it failed: look into its log",
    "500": "it failed: look into its log",
}
"""What is wrong and what to do, by the code of the server's answer."""

FULL = {
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioBucketQuotaExceeded",
    "QuotaExceeded",
    "InsufficientStorage",
    "InsufficientCapacity",
    "507",
}
MISSING = {"NoSuchKey", "404"}

UNREACHABLE: dict[type[BaseException], str] = {
    botocore.SSLError: "its certificate is not trusted: set ca_file in [storage], or check the URL",
    botocore.ConnectTimeoutError: "no connection in time: check endpoint_url and the network",
    botocore.ReadTimeoutError: "no answer in time: look into its log, or raise read_timeout",
    botocore.EndpointConnectionError: "no connection: check endpoint_url, and that it runs",
    botocore.HTTPClientError: "the connection broke",
    aiohttp.ClientError: "the connection broke",
    botocore.NoCredentialsError: "there are no keys: set access_key and secret_key in [storage]",
    asyncio.TimeoutError: "no answer in time: look into its log, or raise read_timeout",
}
"""What is wrong and what to do, by the class of the client's error; the first that fits."""


def translated(error: Exception, *, key: str | None, bucket: str, server: str) -> StorageError:
    """Return our error for one of the client's; `key` is set where an object is looked for."""
    code, message = _answer(error)
    if code == "NoSuchBucket":
        return BucketMissing(bucket, server)
    if code == "NoSuchUpload":
        return UploadGone(f"the S3 server {server} has no such upload any more")
    if code in FULL:
        return StorageFull(f"no room left in bucket {bucket!r} at {server}: {message}")
    if key is not None and (code in MISSING or (not code and isinstance(error, FileNotFoundError))):
        return ObjectMissing(key)
    return StorageUnavailable(f"the S3 server {server} failed: {_reason(error, code, message)}")


def _reason(error: Exception, code: str, message: str) -> str:
    if code:
        return ADVICE.get(code, f"{message} ({code})")
    for kind, advice in UNREACHABLE.items():
        if isinstance(error, kind):
            return advice
    return f"{type(error).__name__}: {error}"


def _answer(error: BaseException | None) -> tuple[str, str]:
    """Return the code and message of the server's answer behind an error, if there is one."""
    while error is not None:
        if isinstance(error, botocore.ClientError):
            answer = error.response.get("Error", {})
            return str(answer.get("Code", "")), str(answer.get("Message", ""))
        error = error.__cause__
    return "", ""
