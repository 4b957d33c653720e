"""A door that knows whom a test says, and an administration of a side that is made up."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from eurydice_core.errors import NotFound
from eurydice_core.interfaces.administration import (
    Action,
    Administration,
    Check,
    IssueToken,
    Listed,
    Outcome,
    Piece,
    SideStatus,
    TokenFacts,
    TransferableDetails,
    TransferableFacts,
    TransferableQuery,
    UserDetails,
    UserFacts,
    UserQuery,
)
from eurydice_core.interfaces.web import Door, Scope, Visitor
from eurydice_core.model.states import Side

__all__ = ["MemoryAdministration", "StaticDoor"]

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COOKIE = "eurydice_sessionid=made-up; HttpOnly; Path=/"


class StaticDoor(Door):
    """Everybody is the same visitor, or nobody is known; one name has one password."""

    def __init__(
        self, visitor: Visitor | None = None, *, username: str = "", password: str = ""
    ) -> None:
        self._visitor = visitor
        self._known = (username, password)
        self.signed_out = 0
        """How often somebody signed out."""

    async def visitor(self, scope: Scope) -> Visitor | None:
        """Return the visitor."""
        return self._visitor

    async def sign_in(self, scope: Scope, username: str, password: str) -> Sequence[str] | None:
        """Take the one password."""
        return [COOKIE] if (username, password) == self._known and password else None

    async def sign_out(self, scope: Scope) -> Sequence[str]:
        """Count it."""
        self.signed_out += 1
        return [f"{COOKIE}; Max-Age=0"]


class MemoryAdministration(Administration):
    """A side with one user and one file, whose names may be anything; remembers what is done."""

    def __init__(self, side: Side, name: str = "report.pdf", username: str = "alice") -> None:
        self.side = side
        self.done: list[Action] = []
        """What was performed, in order."""
        self.file = TransferableFacts(
            id=uuid.UUID(int=1),
            name=name,
            username=username,
            size=1000,
            state="ONGOING",
            progress=40,
            created_at=AT,
            finished_at=None,
            can_end=True,
        )
        self.account = UserFacts(
            username=username,
            is_active=True,
            is_staff=False,
            sees_metrics=False,
            priority=3,
            created_at=AT,
            last_access=None,
        )

    async def status(self) -> SideStatus:
        """Return something of everything."""
        is_origin = self.side is Side.ORIGIN
        return SideStatus(
            version="0",
            maintenance=False if is_origin else None,
            last_packet_at=AT,
            checks=[Check(name="storage", health="degraded", reason=self.file.name)],
            figures={"ongoing_transferables": 1},
            findings=[] if is_origin else [self.file.name],
        )

    async def users(self, query: UserQuery) -> Listed[UserFacts]:
        """Return the one, and claim that there are more."""
        return Listed([self.account], next=self.account.username)

    async def user(self, username: str) -> UserDetails:
        """Return the one."""
        if username != self.account.username:
            raise NotFound(f"no user {username!r}")
        token = TokenFacts(
            id=7, label=self.file.name, created_at=AT, expires_at=None, last_used_at=AT
        )
        return UserDetails(
            user=self.account,
            tokens=[token],
            quota_size=-1,
            quota_files=None,
            size_used=1000 if self.side is Side.ORIGIN else None,
            files_used=1 if self.side is Side.ORIGIN else None,
            linked=None if self.side is Side.ORIGIN else True,
        )

    async def transferables(self, query: TransferableQuery) -> Listed[TransferableFacts]:
        """Return the one, and claim that there are more."""
        return Listed([self.file], next="1-" + "0" * 32, looked_back_to=AT)

    async def transferable(self, id: uuid.UUID) -> TransferableDetails:
        """Return the one."""
        if id != self.file.id:
            raise NotFound(f"no transferable {id}")
        return TransferableDetails(
            transferable=self.file,
            sha1=None,
            sha256=None,
            bytes_done=400,
            reason=self.file.name,
            metadata={"Metadata-Name": self.file.name},
            times={"received_at": AT},
            pieces=[Piece(start=0, stop=400, state="TRANSFERRED", at=AT)],
            more_pieces=True,
        )

    async def perform(self, action: Action) -> Outcome:
        """Remember it."""
        self.done.append(action)
        return Outcome(secret="made-up" if isinstance(action, IssueToken) else None)
