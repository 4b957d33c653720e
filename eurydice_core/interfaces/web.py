"""An ASGI application mounted beside the API, and how it knows who looks at its pages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eurydice_core.interfaces.administration import Administration

__all__ = ["ASGIApp", "Door", "Visitor"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
"""Any ASGI 3 application. `scope["state"]["api"]` is the side's own API application, and
`scope["state"]["door"]` is a `Door`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks at a page."""

    username: str
    is_staff: bool
    """May administer this side."""
    csrf_token: str | None
    """What a form that changes something must contain, and its handler compare; None for who
    did not come by a browser's session, and needs none."""
    administration: Administration | None = field(default=None, repr=False)
    """What they may see and do of everybody's; only staff has it."""


class Door(ABC):
    """Knows who is asking, as the API does; made by the core."""

    contact: str = ""
    """Person or address that users ask for help, from `[api] contact`; empty if not set."""

    @abstractmethod
    async def visitor(self, scope: Scope) -> Visitor | None:
        """Return whose request this is, None if nobody knows.

        Raises:
            RequestError: another site's page sent it, or passwords are refused for now.
        """

    @abstractmethod
    async def sign_in(self, scope: Scope, username: str, password: str) -> Sequence[str] | None:
        """Begin a session with the password of a form; None if it is not right.

        What is returned are the values of as many `Set-Cookie` headers. Where no
        authenticator takes passwords, or not over this connection, none is right.

        Raises:
            RequestError: another site's page sent it, or passwords are refused for now.
        """

    @abstractmethod
    async def sign_out(self, scope: Scope) -> Sequence[str]:
        """End the browser's session; return the values of `Set-Cookie` headers.

        The handler has compared the form's token before.
        """
