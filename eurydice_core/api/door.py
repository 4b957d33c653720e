"""What web plugins are given to know who looks at their pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from eurydice_core.api.authentication import Authentication
from eurydice_core.api.cookies import expired_cookies, session_cookies, session_token
from eurydice_core.api.middleware import joined_headers
from eurydice_core.config import ApiSettings
from eurydice_core.db.accounts import Account
from eurydice_core.interfaces.administration import Administration
from eurydice_core.interfaces.web import Door, Scope, Visitor

__all__ = ["ApiDoor"]


class ApiDoor(Door):
    """Asks the API's own authentication."""

    def __init__(
        self,
        authentication: Authentication,
        settings: ApiSettings,
        administration: Callable[[Account], Administration],
    ) -> None:
        self._authentication = authentication
        self._settings = settings
        self.contact = settings.contact
        self._administration = administration

    async def visitor(self, scope: Scope) -> Visitor | None:
        """Return whose request this is, and have the log and the answer name them."""
        caller = await self._authentication.caller(scope)
        if caller is None:
            return None
        scope["state"]["account"] = caller.account
        session, is_staff = caller.session, caller.account.is_staff
        return Visitor(
            username=caller.account.username,
            is_staff=is_staff,
            csrf_token=None if session is None else self._authentication.csrf_token(session),
            administration=self._administration(caller.account) if is_staff else None,
        )

    async def sign_in(self, scope: Scope, username: str, password: str) -> Sequence[str] | None:
        """Ask the authenticators as if HTTP Basic had brought the password: their rules hold."""
        given = base64.b64encode(f"{username}:{password}".encode("utf-8", "replace")).decode()
        token = await self._authentication.sign_in(scope, f"Basic {given}")
        return None if token is None else self.cookies(scope, token)

    async def sign_out(self, scope: Scope) -> Sequence[str]:
        """End the session that the browser has, if it has one."""
        token = session_token(joined_headers(scope))
        if token is not None:
            await self._authentication.sign_out(token)
        return expired_cookies(self._settings, scope["state"]["peer"].secure)

    def cookies(self, scope: Scope, token: str) -> list[str]:
        """Return the `Set-Cookie` values of a session that was opened."""
        csrf = self._authentication.csrf_token(token)
        return session_cookies(self._settings, scope["state"]["peer"].secure, token, csrf)
