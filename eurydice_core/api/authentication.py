"""Who is asking: an API token, whom the authenticators recognise, or a browser's session."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.types import Scope

from eurydice_core.api.cookies import session_token
from eurydice_core.api.csrf import SAFE, csrf_token, require_own_site, require_token
from eurydice_core.api.passwords import PasswordCheck, PasswordsFrom
from eurydice_core.api.peer import Peer, joined_headers, repeated_headers
from eurydice_core.api.problems import NotAuthenticated
from eurydice_core.api.refusals import RefusalLog
from eurydice_core.api.threads import Threads
from eurydice_core.db.accounts import Account
from eurydice_core.db.sessions import Sessions
from eurydice_core.errors import Conflict, InvalidRequest
from eurydice_core.installation import Installation
from eurydice_core.model.clock import utc_now
from eurydice_core.model.event import EventKind
from eurydice_core.model.identity import AuthenticationRequest, Identity, Refusal
from eurydice_core.model.usernames import folded_name

__all__ = ["Authentication", "Caller"]

TOKEN: Final = "token"  # noqa: S105 (the name of a scheme)
BEARER: Final = "bearer"
AWAY_AFTER: Final = timedelta(minutes=30)
"""A request after this long without one is told as a sign-in: every request carries credentials."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what said so."""

    account: Account
    by_token: bool = False
    session: str | None = None
    """The secret of the browser's session, if that is what said so."""


class Authentication:
    """Knows the accounts, and the authenticators in the order that the configuration says."""

    def __init__(self, installation: Installation, threads: Threads) -> None:
        self._accounts = installation.accounts
        self._events = installation.events
        self._settings = installation.settings.api
        self._secret_key = installation.settings.secret_key.get_secret_value()
        self._threads = threads
        self._refusals = RefusalLog()
        self._check_password = PasswordCheck(installation)
        self._sessions = Sessions(installation.database, self._settings.session_age)
        installation.plugins.require_proxy(
            installation.settings.auth.plugins, self._settings.has_proxy
        )
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
            PasswordsLocked: it has a password, and none is looked at for now.
            Forbidden: another site's page made a browser send it.
        """
        caller = await self.caller(scope)
        if caller is None:
            raise NotAuthenticated(self._challenges)
        if caller.session is not None and scope["method"] not in SAFE:
            require_token(self._secret_key, caller.session, joined_headers(scope))
        return caller.account

    async def caller(self, scope: Scope) -> Caller | None:
        """Return who is asking, None if nobody knows; CSRF tokens are not looked at.

        Raises:
            PasswordsLocked: there is a password, and none is looked at for now.
            CrossSite: another site's page made a browser ask for a change.
        """
        headers = joined_headers(scope)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() in (TOKEN, BEARER):
            account = await self._threads.run(self._by_token, token.strip())
            # Bearer tokens are not ours alone: an authenticator may know this one.
            if account is not None or scheme.lower() == TOKEN:
                return None if account is None else Caller(account, by_token=True)
        caller = await self._ask(scope, headers, session_token(headers))
        if caller is not None:
            self.require_own_site(scope, headers)
        return caller

    async def sign_in(self, scope: Scope, authorization: str | None = None) -> str | None:
        """Open a session for whom the authenticators recognise, in place of the browser's.

        Return its secret, None if nobody is recognised. API tokens open none: a session may
        outlive them. `authorization` stands in for the request's own header.

        Raises:
            PasswordsLocked: there is a password, and none is looked at for now.
            CrossSite: another site's page made a browser ask for it.
        """
        headers = joined_headers(scope)
        if authorization is not None:
            headers["authorization"] = authorization
        self.require_own_site(scope, headers)
        caller = await self._ask(scope, headers, None)
        if caller is None:
            return None
        scope["state"]["account"] = caller.account
        replaced = session_token(headers)
        return await self._threads.run(self._sessions.open, caller.account, replaced)

    async def sign_out(self, session: str) -> None:
        """End a session."""
        await self._threads.run(self._sessions.close, session)

    def csrf_token(self, session: str) -> str:
        """Return the token that must come with what a session changes."""
        return csrf_token(self._secret_key, session)

    def require_csrf(self, scope: Scope, session: str) -> None:
        """Return if what a session changes is meant.

        Raises:
            Forbidden: it may not be.
        """
        headers = joined_headers(scope)
        self.require_own_site(scope, headers)
        require_token(self._secret_key, session, headers)

    def require_own_site(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Return unless another site's page asks for a change.

        Raises:
            CrossSite: one does.
        """
        if scope["method"] not in SAFE:
            peer: Peer = scope["state"]["peer"]
            require_own_site(headers, peer.host, self._settings.trusted_origins)

    async def _ask(
        self, scope: Scope, headers: Mapping[str, str], session: str | None
    ) -> Caller | None:
        # Most requests need no hash computed: a password verified a moment ago is remembered.
        # They are answered at once; only the others wait in the queue for hashing.
        peer: Peer = scope["state"]["peer"]
        passwords = PasswordsFrom(self._check_password, peer.user_address, compute=False)
        request = AuthenticationRequest(
            headers=headers,
            repeated=repeated_headers(scope),
            client=peer.address,
            secure=peer.secure,
            from_proxy=peer.from_proxy,
            check_password=passwords,
        )
        caller = await self._threads.run(self._recognised, request, passwords, session)
        if passwords.is_undecided:
            passwords = PasswordsFrom(self._check_password, peer.user_address, compute=True)
            request = dataclasses.replace(request, check_password=passwords)
            caller = await self._threads.run_hashing(
                peer.user_address, self._recognised, request, passwords, session
            )
        if passwords.locked is not None and (caller is None or caller.session is not None):
            raise passwords.locked
        return caller

    def _recognised(
        self, request: AuthenticationRequest, passwords: PasswordsFrom, session: str | None
    ) -> Caller | None:
        """Ask the authenticators first: what a proxy says now counts for more than a cookie.

        A user whom a proxy names and who has no account is nobody, whatever the cookie says.
        """
        identity = self._identity(request, passwords)
        if passwords.is_undecided:
            return None
        if isinstance(identity, Refusal):
            self._refusals.note(identity.reason)
            return None
        account = None
        if identity is not None:
            account = self._account_of(identity)
        elif session is not None:
            account = self._sessions.account(session)
        if account is None:
            return None
        self._note(account)
        return Caller(account, session=session if identity is None else None)

    def _by_token(self, token: str) -> Account | None:
        account = self._accounts.by_token(token)
        if account is not None:
            self._note(account, token)
        return account

    def _identity(
        self, request: AuthenticationRequest, passwords: PasswordsFrom
    ) -> Identity | Refusal | None:
        for authenticator in self._authenticators:
            identity = authenticator.authenticate(request)
            # No other authenticator is asked before the password's hash is computed.
            if identity is not None or passwords.is_undecided:
                return identity
        return None

    def _note(self, account: Account, token: str | None = None) -> None:
        """Remember that a user was here; one who was away for long signs in by coming back."""
        last = account.last_access
        if last is None or utc_now() - last > AWAY_AFTER:
            self._events.tell(EventKind.SIGNED_IN, username=account.username)
        self._accounts.note_access(account, token)

    def _account_of(self, identity: Identity) -> Account | None:
        """Return the account of a recognised user, made now if there is none and it may be."""
        name = identity.username
        try:
            account = self._accounts.find(name)
            if account is None and identity.ignore_case:
                account = self._accounts.find_ignoring_case(name)
                name = folded_name(name)
            if account is not None:
                return account
            if not identity.create:
                self._refusals.note(f"there is no account {name[:40]!a}, and none is made")
                return None
            return self._accounts.add(name, distinguish_case=not identity.ignore_case)
        except Conflict as error:  # another request made it meanwhile, it is switched off, or alike
            account = self._accounts.find(name)
            if account is None:
                self._refusals.note(str(error))
            return account
        except InvalidRequest as error:
            self._refusals.note(f"no account can be made: {error}")
            return None
