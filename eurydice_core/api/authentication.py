"""Who is asking: an API token, or whom the configured authenticators recognise."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from loguru import logger
from starlette.types import Scope

from eurydice_core.api.middleware import Peer, joined_headers
from eurydice_core.api.passwords import PasswordCheck
from eurydice_core.api.problems import NotAuthenticated
from eurydice_core.api.threads import Threads
from eurydice_core.db.accounts import Account
from eurydice_core.errors import Conflict, InvalidRequest
from eurydice_core.installation import Installation
from eurydice_core.model.clock import utc_now
from eurydice_core.model.event import EventKind
from eurydice_core.model.identity import AuthenticationRequest, Identity

__all__ = ["Authentication"]

TOKEN: Final = "token"  # noqa: S105 (the name of a scheme)
BEARER: Final = "bearer"
AWAY_AFTER: Final = timedelta(minutes=30)
"""A request after this long without one is told as a sign-in: every request carries credentials."""


class Authentication:
    """Knows the accounts, and the authenticators in the order that the configuration says."""

    def __init__(self, installation: Installation, threads: Threads) -> None:
        self._accounts = installation.accounts
        self._events = installation.events
        self._threads = threads
        self._check_password = PasswordCheck(installation)
        self._authenticators = [
            installation.plugins.create_authenticator(
                name, installation.settings.auth.options_of(name), installation.context
            )
            for name in installation.settings.auth.plugins
        ]
        challenges = [authenticator.challenge for authenticator in self._authenticators]
        self._challenges = [*filter(None, challenges), "Token"]

    async def account(self, scope: Scope) -> Account:
        """Return whose request this is.

        Raises:
            NotAuthenticated: nobody's, as far as we know.
        """
        headers = joined_headers(scope)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() in (TOKEN, BEARER):
            account = await self._threads.run(self._by_token, token.strip())
            # Bearer tokens are not ours alone: an authenticator may know this one.
            if account is not None or scheme.lower() == TOKEN:
                return self._known(account)
        peer: Peer = scope["state"]["peer"]
        request = AuthenticationRequest(
            headers=headers,
            client=peer.address,
            secure=peer.secure,
            check_password=self._check_password,
        )
        return self._known(await self._threads.at_door(self._by_authenticators, request))

    def _known(self, account: Account | None) -> Account:
        if account is None:
            raise NotAuthenticated(self._challenges)
        return account

    def _by_token(self, token: str) -> Account | None:
        account = self._accounts.by_token(token)
        if account is not None:
            self._note(account, token)
        return account

    def _by_authenticators(self, request: AuthenticationRequest) -> Account | None:
        for authenticator in self._authenticators:
            identity = authenticator.authenticate(request)
            if identity is not None:
                account = self._account_of(identity)
                if account is not None:
                    self._note(account)
                return account
        return None

    def _note(self, account: Account, token: str | None = None) -> None:
        """Remember that a user was here; one who was away for long signs in by coming back."""
        last = account.last_access
        if last is None or utc_now() - last > AWAY_AFTER:
            self._events.tell(EventKind.SIGNED_IN, username=account.username)
        self._accounts.note_access(account, token)

    def _account_of(self, identity: Identity) -> Account | None:
        """Return the account of a recognised user, made now if there is none and it may be."""
        account = self._accounts.find(identity.username)
        if account is not None or not identity.create:
            return account
        try:
            return self._accounts.add(identity.username)
        except Conflict:  # another request made it meanwhile, or it is switched off
            return self._accounts.find(identity.username)
        except InvalidRequest as error:
            logger.warning("no account for a user that was recognised: {}", error)
            return None
