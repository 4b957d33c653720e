"""What a member of staff may see and do on a side; web plugins make pages of it.

The core makes one `Administration` for each visitor who is staff, and gives it to nobody
else: a plugin that has none cannot administer anything. Lists are walked in pages that
cost the same however long the list is, so they have no page numbers and no totals.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from eurydice_core.model.states import Side

__all__ = [
    "MAX_LIMIT",
    "Action",
    "AddUser",
    "Administration",
    "ChangeUser",
    "Check",
    "ExpireTransferable",
    "IssueToken",
    "Listed",
    "Outcome",
    "Piece",
    "RevokeToken",
    "RevokeTransferable",
    "SetMaintenance",
    "SetPassword",
    "SideStatus",
    "TokenFacts",
    "TransferableDetails",
    "TransferableFacts",
    "TransferableQuery",
    "UnlinkUser",
    "UserDetails",
    "UserFacts",
    "UserQuery",
]

T = TypeVar("T")
MAX_LIMIT = 1000
"""Most rows of a page."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list."""

    rows: Sequence[T]
    next: str | None = None
    """Where the next page begins, for the `start` of its query; None after the last one."""
    looked_back_to: datetime | None = None
    """Set if the search stopped here to cost no more; `next` goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which accounts, in the order of their names."""

    text: str = ""
    """Part of the name, in any case."""
    start: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferableQuery:
    """Which transferables, the newest first; both bounds are inclusive."""

    text: str = ""
    """Part of the file's name, in any case, or a whole id."""
    username: str = ""
    """Whose; the whole name."""
    states: Sequence[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    start: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFacts:
    """An account of this side."""

    username: str
    is_active: bool
    is_staff: bool
    sees_metrics: bool
    priority: int
    created_at: datetime
    last_access: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What is known of an API token, which is not the token."""

    id: int
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDetails:
    """All that staff may know of an account."""

    user: UserFacts
    tokens: Sequence[TokenFacts]
    quota_size: int | None
    """The account's own limit of bytes kept; None for everybody's, negative for none."""
    quota_files: int | None
    """The same for files in 24 hours."""
    size_used: int | None = None
    """Bytes kept for them now, at the origin."""
    files_used: int | None = None
    linked: bool | None = None
    """Whether the account is linked to one of the origin; None at the origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferableFacts:
    """A file on its way, of anybody."""

    id: uuid.UUID
    name: str
    username: str | None
    """Whose it is; None while nobody of this side is linked to its sender."""
    size: int | None
    state: str
    progress: int | None
    """Percent; None while the size is unknown."""
    created_at: datetime
    finished_at: datetime | None
    can_end: bool
    """Whether it can be revoked (origin) or expired (destination)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a file: a range of the origin's queue, or bytes that are at the destination."""

    start: int
    stop: int
    state: str = ""
    """Of the range; empty at the destination."""
    at: datetime | None = None
    """When the range was last sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferableDetails:
    """All that staff may know of a file: everything but what is in it."""

    transferable: TransferableFacts
    sha1: str | None
    sha256: str | None
    bytes_done: int
    """Bytes that were sent (origin) or came (destination)."""
    reason: str | None
    """Why it ended as it did."""
    metadata: Mapping[str, str]
    times: Mapping[str, datetime | None]
    """More moments by their name, such as `submission_succeeded_at`."""
    pieces: Sequence[Piece]
    """The first of them, in order."""
    more_pieces: bool
    """Whether there are others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check of this side found."""

    name: str
    health: str
    """`ok`, `degraded` or `failing`."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideStatus:
    """How this side does."""

    version: str
    maintenance: bool | None
    """Whether the sender is held back; None at the destination."""
    last_packet_at: datetime | None
    """When the link last took one (origin) or brought one (destination)."""
    checks: Sequence[Check]
    figures: Mapping[str, int]
    """Numbers by their name, such as `ongoing_transferables`."""
    findings: Sequence[str] = ()
    """What the receiver's own record says is to be done (destination)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMaintenance:
    """Hold the sender back, or let it go on (origin)."""

    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUser:
    """Make an account; without a password only a proxy or a token lets its owner in."""

    username: str
    password: str | None = field(default=None, repr=False)
    priority: int = 0
    is_staff: bool = False
    sees_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeUser:
    """Give an account other values, all of them at once."""

    username: str
    is_active: bool
    is_staff: bool
    sees_metrics: bool
    priority: int
    quota_size: int | None
    quota_files: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPassword:
    """Replace a password; browsers that are signed in have to sign in again."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueToken:
    """Make an API token."""

    username: str
    label: str = ""
    days: int | None = None
    """How long it is good for; None for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """End an API token."""

    username: str
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkUser:
    """Undo the link of an account to one of the origin (destination)."""

    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTransferable:
    """Take a file back as its owner could: nothing more of it is sent (origin)."""

    id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireTransferable:
    """End a file now as time would: nobody can fetch it any more (destination)."""

    id: uuid.UUID


Action = (
    SetMaintenance
    | AddUser
    | ChangeUser
    | SetPassword
    | IssueToken
    | RevokeToken
    | UnlinkUser
    | RevokeTransferable
    | ExpireTransferable
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an action brought about."""

    secret: str | None = field(default=None, repr=False)
    """A new API token, to be shown once."""


class Administration(ABC):
    """Looks and acts in the name of one member of staff; what is done is logged with it.

    All methods raise `RequestError` with a sentence for people where something cannot be:
    `NotFound`, `Conflict`, `InvalidRequest`.
    """

    side: Side
    """Which end of the link this is."""

    @abstractmethod
    async def status(self) -> SideStatus:
        """Return how this side does."""

    @abstractmethod
    async def users(self, query: UserQuery) -> Listed[UserFacts]:
        """Return a page of the accounts."""

    @abstractmethod
    async def user(self, username: str) -> UserDetails:
        """Return one account."""

    @abstractmethod
    async def transferables(self, query: TransferableQuery) -> Listed[TransferableFacts]:
        """Return a page of everybody's transferables."""

    @abstractmethod
    async def transferable(self, id: uuid.UUID) -> TransferableDetails:
        """Return one transferable, with its ranges or with what came of it."""

    @abstractmethod
    async def perform(self, action: Action) -> Outcome:
        """Do it, wholly or not at all."""
