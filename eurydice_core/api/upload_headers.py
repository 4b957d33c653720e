"""What the headers of an upload announce: its length, its digests, a key to try again with."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from blake3 import blake3
from loguru import logger
from starlette.datastructures import Headers

from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest
from eurydice_core.origin.digests import ALGORITHMS
from eurydice_core.origin.idempotency import Key

__all__ = ["announced_digests", "announced_size", "idempotency_key"]

INTEGER: Final = re.compile(r"[+-]?[0-9]+")
# A member of a dictionary of RFC 8941 that is bytes; its parameters mean nothing to us.
MEMBER: Final = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?")
SIZES: Final = {"sha-256": 32, "sha-512": 64}
KEY: Final = re.compile(
    r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})'
)


def announced_size(headers: Headers) -> int | None:
    """Return the body's length where one is announced that can be believed.

    Raises:
        InvalidRequest: what is announced is no number.
    """
    coding = headers.get("transfer-encoding", "")
    length = headers.get("content-length", "").strip()
    if coding.strip().lower() == "chunked":
        if length:
            logger.warning("an upload is chunked and has a Content-Length, which is ignored")
        return None
    if not length:
        return None
    if not INTEGER.fullmatch(length):
        raise InvalidRequest(f"Content-Length must be a number, is {length[:40]!r}")
    size = int(length[:30])
    return None if size < 0 else size


def announced_digests(headers: Headers) -> dict[str, bytes]:
    """Return what the body must give (RFC 9530); algorithms that we do not know are ignored.

    What is sent is the whole representation, so that both headers speak of the same bytes.

    Raises:
        InvalidRequest: a digest is malformed, or two of them contradict each other.
    """
    digests: dict[str, bytes] = {}
    for header in ("content-digest", "repr-digest"):
        value = ", ".join(headers.getlist(header))
        for member in filter(None, map(str.strip, value.split(","))):
            name, _, _ = member.partition("=")
            if name.strip() not in ALGORITHMS:
                continue
            digest = _digest(header, member)
            if digests.setdefault(name.strip(), digest) != digest:
                raise InvalidRequest(f"two different {name.strip()} digests are announced")
    return digests


def idempotency_key(
    headers: Headers, account: Account, announced: Mapping[str, object]
) -> Key | None:
    """Return the key that makes an upload safe to repeat, if it has one.

    Raises:
        InvalidRequest: it is no key.
    """
    value = headers.get("idempotency-key")
    if value is None:
        return None
    match = KEY.fullmatch(value.strip())
    if match is None:
        raise InvalidRequest("Idempotency-Key: write 1 to 255 characters of ASCII between quotes")
    request = repr(sorted(announced.items())).encode("utf-8", "backslashreplace")
    return Key(
        user_id=account.id,
        digest=blake3((match[1] or match[2]).encode()).digest(),
        request=blake3(request).digest(),
    )


def _digest(header: str, member: str) -> bytes:
    match = MEMBER.fullmatch(member)
    try:
        digest = base64.b64decode(match[2], validate=True) if match else b""
    except binascii.Error:
        digest = b""
    if match is None or len(digest) != SIZES[match[1]]:
        raise InvalidRequest(
            f"{header.title()}: write digests as in sha-256=:<base64 of 32 bytes>:"
        )
    return digest
