"""What is called how in a bucket.

    <prefix>/<key>.data                       an object, or the first 10,000 pieces of it
    <prefix>/.segments/<key>.parts/<number>   the next 10,000 each, from number 1 on
    <prefix>/.staging/<key>.parts/<number>    pieces too small for S3, until all are there

No key has a dot, so none of these is ever mistaken for another.
"""

from __future__ import annotations

from eurydice_core.errors import StorageError
from eurydice_core.interfaces.storage import checked_key

__all__ = ["SEGMENTS", "STAGING", "key_of", "parts_prefix"]

SEGMENTS = ".segments"
STAGING = ".staging"
OBJECT_END = ".data"
PARTS_END = ".parts/"


def parts_prefix(place: str, key: str) -> str:
    """Return how the names of a key's parts begin, below the prefix."""
    return f"{place}/{key}{PARTS_END}"


def key_of(name: str) -> str | None:
    """Return the key a name below the prefix belongs to; None if it is none of ours."""
    place, _, rest = name.partition("/")
    if place in (SEGMENTS, STAGING):
        key, end, _ = rest.rpartition(PARTS_END)
        if not end:
            return None
    elif name.endswith(OBJECT_END):
        key = name.removesuffix(OBJECT_END)
    else:
        return None
    try:
        return checked_key(key)
    except StorageError:
        return None
