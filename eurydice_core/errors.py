"""Every error Eurydice raises on purpose.

Each class is one sentence, carries its data, and builds its own message: what
happened, where, what to do. The command line prints that message in one line and
exits with 1; the API maps the class to an HTTP status. Anything else that escapes is
a bug and shows its traceback.

    EurydiceError
    ├── ConfigurationError            the configuration cannot be used
    ├── PluginError                   a plugin is missing or broken
    ├── StorageError                  a storage cannot do what was asked
    │   ├── ObjectMissing
    │   ├── StorageFull
    │   └── StorageUnavailable
    ├── TransportError
    │   └── LinkDown                  the link did not take the packet
    ├── PacketError                   a packet is refused
    │   ├── MalformedPacket
    │   └── SealBroken
    ├── DatabaseError
    │   ├── DatabaseUnavailable
    │   │   ├── DatabaseMisconfigured
    │   │   └── TransactionConflict
    │   ├── DatabaseNotMigrated
    │   └── WrongSideDatabase
    ├── RequestError                  a user asked for what cannot be
    │   ├── NotFound
    │   ├── Conflict
    │   ├── Gone
    │   ├── NotAssociated
    │   ├── InvalidRequest
    │   │   ├── SizeMismatch
    │   │   ├── DigestMismatch
    │   │   └── AssociationTokenInvalid
    │   ├── KeyReused
    │   ├── TooLarge
    │   ├── QuotaExceeded
    │   └── TooManyRequests           later, this will do
    │       ├── UploadsThrottled
    │       ├── TooManyFiles
    │       └── PasswordsLocked
    ├── IngestFailed                  a packet could not be ingested, and is kept
    └── ServiceError                  a process of ours cannot start or go on
"""

from __future__ import annotations

import math

__all__ = [
    "AssociationTokenInvalid",
    "ConfigurationError",
    "Conflict",
    "DatabaseError",
    "DatabaseMisconfigured",
    "DatabaseNotMigrated",
    "DatabaseUnavailable",
    "DigestMismatch",
    "EurydiceError",
    "Gone",
    "IngestFailed",
    "InvalidRequest",
    "KeyReused",
    "LinkDown",
    "MalformedPacket",
    "NotAssociated",
    "NotFound",
    "ObjectMissing",
    "PacketError",
    "PasswordsLocked",
    "PluginError",
    "QuotaExceeded",
    "RequestError",
    "SealBroken",
    "ServiceError",
    "SizeMismatch",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "TooLarge",
    "TooManyFiles",
    "TooManyRequests",
    "TransactionConflict",
    "TransportError",
    "UploadsThrottled",
    "WrongSideDatabase",
]


class EurydiceError(Exception):
    """Anything that went wrong in a way a person can understand and act on."""


class ConfigurationError(EurydiceError):
    """The configuration cannot be used as it is."""


class PluginError(EurydiceError):
    """A plugin is missing, broken, or not what it says it is."""


class StorageError(EurydiceError):
    """A storage cannot do what was asked of it."""


class ObjectMissing(StorageError):
    """No object has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key!r} in the storage")
        self.key = key


class StorageFull(StorageError):
    """There is no room left for what was being written."""


class StorageUnavailable(StorageError):
    """The storage does not answer, or refuses us; trying again later may help."""


class TransportError(EurydiceError):
    """A transport cannot do what was asked of it."""


class LinkDown(TransportError):
    """The link did not take the packet; nothing of it counts as sent."""


class PacketError(EurydiceError):
    """A packet is refused; whatever follows it is not affected."""


class MalformedPacket(PacketError):
    """The bytes are not a packet of ours, or not a whole one."""


class SealBroken(PacketError):
    """The packet was not sealed with our secret, or was changed on its way."""

    def __init__(self) -> None:
        super().__init__(
            "packet refused: its seal does not match; check that [link] secret is the same"
            " on both sides"
        )


class DatabaseError(EurydiceError):
    """The database cannot be used."""


class DatabaseUnavailable(DatabaseError):
    """The database does not answer or accepts no writes; trying again later may help."""


class DatabaseMisconfigured(DatabaseUnavailable):
    """The database refuses our login or lacks permissions or tables: an administrator must act."""


class TransactionConflict(DatabaseUnavailable):
    """A concurrent transaction ended this one: repeating it at once may help."""


class DatabaseNotMigrated(DatabaseError):
    """The tables are missing, or of another version than this program."""

    def __init__(self, url: str, found: str | None, wanted: str) -> None:
        state = "has no tables yet" if found is None else f"is at revision {found}"
        super().__init__(
            f"the database {url} {state} and this program needs {wanted}: run 'eurydice migrate'"
        )
        self.found = found
        self.wanted = wanted


class WrongSideDatabase(DatabaseError):
    """The database belongs to the other side."""

    def __init__(self, url: str, side: str) -> None:
        super().__init__(
            f"the database {url} does not belong to the {side} side:"
            " give each side a database of its own in [database] url"
        )


class RequestError(EurydiceError):
    """A user asked for something that cannot be."""


class NotFound(RequestError):
    """There is no such thing, or it belongs to somebody else."""


class Conflict(RequestError):
    """The thing is in a state that does not allow this."""


class Gone(RequestError):
    """The thing was there and is no more."""


class NotAssociated(RequestError):
    """This account is not linked to an account of the origin side yet."""

    def __init__(self) -> None:
        super().__init__(
            "this account is not associated with an origin account: get the words from the"
            " origin side and post them to /api/v1/user/association/"
        )


class InvalidRequest(RequestError):
    """The request makes no sense as it is."""


class SizeMismatch(InvalidRequest):
    """The body is not as long as its Content-Length announced."""

    def __init__(self, announced: int, received: int) -> None:
        super().__init__(
            f"the body ended after {received} bytes and Content-Length announced {announced}"
        )
        self.announced = announced
        self.received = received


class DigestMismatch(InvalidRequest):
    """The body is not what the digest that came with it says."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"the body's {algorithm} is not the one that was announced:"
            " it was changed on its way here, send it again"
        )
        self.algorithm = algorithm


class AssociationTokenInvalid(InvalidRequest):
    """The association words are unreadable, forged or expired."""


class KeyReused(RequestError):
    """An idempotency key came a second time, with something else."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key stands for another upload, with other headers:"
            " use a key of its own for each file"
        )


class TooLarge(RequestError):
    """The file is larger than this installation takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the file is larger than {limit} bytes, the most this side takes")
        self.limit = limit


class QuotaExceeded(RequestError):
    """The user has as much here as they may."""

    def __init__(self, limit: int, used: int) -> None:
        super().__init__(
            f"your quota is {limit} bytes, of which {used} are taken: wait until files were sent"
            " and removed, or ask an administrator for more"
        )
        self.limit = limit
        self.used = used


class TooManyRequests(RequestError):
    """The request would do later, and is refused now."""

    def __init__(self, reason: str, retry_after: float) -> None:
        self.retry_after = max(1, math.ceil(retry_after))
        """Seconds, whole ones."""
        super().__init__(f"{reason}; try again in {self.retry_after} seconds")


class UploadsThrottled(TooManyRequests):
    """The user begins uploads faster than they may."""

    def __init__(self, rate: str, retry_after: float) -> None:
        super().__init__(f"at most {rate} uploads may be begun", retry_after)


class TooManyFiles(TooManyRequests):
    """The user has begun as many uploads today as they may."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(f"your quota is {limit} files in 24 hours", retry_after)


class PasswordsLocked(TooManyRequests):
    """Wrong passwords came so often that none is looked at for a while."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("there were too many wrong passwords", retry_after)


class TooManyPasswords(TooManyRequests):
    """More passwords wait to be verified than this side verifies within seconds."""

    def __init__(self) -> None:
        super().__init__("too many passwords wait to be verified", 5)


class IngestFailed(EurydiceError):
    """A packet could not be ingested for another reason than an outage; it is tried again."""


class ServiceError(EurydiceError):
    """A process of ours cannot start or cannot go on."""
