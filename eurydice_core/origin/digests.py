"""The digests of an upload: those we keep, and those that its user expects."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final

from eurydice_core.errors import DigestMismatch
from eurydice_core.model.buffer import Buffer

__all__ = ["ALGORITHMS", "Digests"]

ALGORITHMS: Final = ("sha-256", "sha-512")
"""What users may have verified, by their names in RFC 9530."""


class Digests:
    """Digests of bytes that come one after the other."""

    def __init__(self, expected: Mapping[str, bytes]) -> None:
        self._expected = expected
        self._sha1, self._sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        self._sha512 = hashlib.sha512() if "sha-512" in expected else None

    @property
    def sha1(self) -> bytes:
        """Of what came so far."""
        return self._sha1.digest()

    @property
    def sha256(self) -> bytes:
        """Of what came so far."""
        return self._sha256.digest()

    def update(self, data: Buffer, executor: Executor | None = None) -> Callable[[], None]:
        """Hash the next bytes; call what is returned before anything else is hashed.

        With an executor, one digest is computed there meanwhile. One that has not been
        started when it is needed is computed by the caller, so that a busy executor never
        delays an upload.
        """
        if self._sha512 is not None:
            self._sha512.update(data)
        if executor is None:
            self._sha1.update(data)
            self._sha256.update(data)
            return _nothing
        other = executor.submit(self._sha1.update, data)
        self._sha256.update(data)

        def finish() -> None:
            if other.cancel():
                self._sha1.update(data)
            else:
                other.result()

        return finish

    def verify(self) -> None:
        """Return if everything is as its user expects.

        Raises:
            DigestMismatch: something was changed on its way here.
        """
        found = {"sha-256": self._sha256, "sha-512": self._sha512}
        for name, expected in self._expected.items():
            hasher = found[name]
            if hasher is not None and not hmac.compare_digest(hasher.digest(), expected):
                raise DigestMismatch(name)


def _nothing() -> None:
    """All digests are computed already."""
