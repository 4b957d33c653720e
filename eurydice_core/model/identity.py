"""Who is asking, and the request as an authenticator sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

__all__ = ["AuthenticationRequest", "Identity", "Refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an authenticator says is asking."""

    username: str
    create: bool = False
    """Whether an account is to be made when there is none of this name."""
    ignore_case: bool = False
    """Whether the account whose name differs only by case is meant, if none has this very name;
    an account that is made then has a name in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that names a user in a way that is not accepted.

    The answer is 401, whatever session the request has, and no other authenticator is asked.
    """

    reason: str
    """For the log; without secrets, and with foreign text quoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequest:
    """What an authenticator may look at: nothing of the body, nothing of the database."""

    headers: Mapping[str, str]
    """Names in lower case. A header sent twice is joined with ", "."""
    repeated: Set[str] = frozenset()
    """Names of the headers that were sent more than once."""
    client: str
    """IP address of the peer of the TCP connection; empty on a Unix socket."""
    secure: bool
    """Whether the user's connection is encrypted: TLS here, or in front as a trusted proxy says."""
    from_proxy: bool = False
    """Whether a reverse proxy passed the request on and proved itself, by the Unix socket or the
    secret of `[api]`. A header that names the user counts only then: anybody can send one."""
    check_password: Callable[[str, str], bool]
    """Whether this username has this password. Takes its time on purpose, also for unknown
    names; blocking."""
