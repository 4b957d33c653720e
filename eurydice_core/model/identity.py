"""Who is asking, and the request as an authenticator sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["AuthenticationRequest", "Identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an authenticator says is asking."""

    username: str
    create: bool = False
    """Whether an account is to be made when there is none of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequest:
    """What an authenticator may look at: nothing of the body, nothing of the database."""

    headers: Mapping[str, str]
    """Names in lower case. A header sent twice is joined with ", "."""
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
