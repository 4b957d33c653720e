"""The 18 words that link a destination account to an origin account.

A token is 24 bytes: the origin user's profile (8), the time it expires in seconds since
1970 (4), and the first 12 bytes of a keyed BLAKE3 of those. BIP-39 writes 24 bytes as 18
words of a list of 2,048, the last one carrying 6 bits of a checksum, so that a typing
mistake is told apart from a forgery.
"""

from __future__ import annotations

import hmac
import re
import struct
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Final

from blake3 import blake3
from mnemonic import Mnemonic

from eurydice_core.errors import AssociationTokenInvalid

__all__ = ["WORD_COUNT", "issue_words", "read_words"]

WORD_COUNT: Final = 18
CONTENT: Final = struct.Struct(">8sI")
MAC_SIZE: Final = 12  # bytes
SEPARATORS: Final = re.compile(r"[^a-z]+")
MAX_INPUT: Final = 1000  # characters; the longest 18 words with spaces are 161
LATEST: Final = 2**32 - 1  # seconds: the last moment that fits, in 2106


@cache
def _words() -> Mnemonic:
    return Mnemonic("english")


def _mac(content: bytes, key: bytes) -> bytes:
    return blake3(content, key=key).digest(MAC_SIZE)


def issue_words(profile: bytes, expires_at: datetime, key: bytes) -> str:
    """Return the words that prove, until then, that their bearer owns this profile."""
    content = CONTENT.pack(profile, min(int(expires_at.timestamp()), LATEST))
    return str(_words().to_mnemonic(content + _mac(content, key)))


def read_words(text: str, now: datetime, key: bytes) -> bytes:
    """Return the profile that the words stand for; case and separators do not matter.

    Raises:
        AssociationTokenInvalid: which word is unknown, or why the token is refused.
    """
    words = [word for word in SEPARATORS.split(text[:MAX_INPUT].lower()) if word]
    if len(words) != WORD_COUNT:
        raise AssociationTokenInvalid(f"{len(words)} words instead of {WORD_COUNT}")
    _check_known(words)
    try:
        token = bytes(_words().to_entropy(words))
    except ValueError as error:  # all words are known, so it is the checksum
        raise AssociationTokenInvalid(
            "the words do not fit together: check their order and spelling"
        ) from error
    content = token[: CONTENT.size]
    profile, expires = CONTENT.unpack(content)
    if not hmac.compare_digest(_mac(content, key), token[CONTENT.size :]):
        raise AssociationTokenInvalid(
            "the words were not issued by the origin side of this installation"
        )
    if now.timestamp() > expires:
        when = datetime.fromtimestamp(expires, UTC).isoformat(" ", "minutes")
        raise AssociationTokenInvalid(f"the words expired on {when}: get new ones at the origin")
    return bytes(profile)


def _check_known(words: list[str]) -> None:
    known = _words().wordlist
    for number, word in enumerate(words, 1):
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise AssociationTokenInvalid(f"word {number}, {word[:20]!r}, is not in the list{hint}")
