"""Who is asking."""

from __future__ import annotations

from abc import ABC, abstractmethod

from eurydice_core.model.identity import AuthenticationRequest, Identity, Refusal

__all__ = ["Authenticator"]


class Authenticator(ABC):
    """Recognises the author of a request.

    API tokens and sessions are the core's; authenticators are asked, in the configured
    order, where a request carries neither.
    """

    @abstractmethod
    def authenticate(self, request: AuthenticationRequest) -> Identity | Refusal | None:
        """Return who is asking, or None if this request says nothing we accept.

        A `Refusal` says that the request names a user whose name cannot be used.

        May block (the core calls it from a thread). Must never raise because of what a
        request contains, and never log a secret of it.
        """

    @property
    @abstractmethod
    def challenge(self) -> str | None:
        """The `WWW-Authenticate` value for a 401, such as `Basic realm="api"`; None for none."""
