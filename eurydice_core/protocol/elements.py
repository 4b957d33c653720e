"""The elements of a packet's head: parts of transferables, and revocations."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from eurydice_core.model.states import OutgoingState, RevocationReason

__all__ = [
    "PROFILE_SIZE",
    "Revocation",
    "TransferablePart",
    "read_parts",
    "read_revocations",
]

PROFILE_SIZE = 8  # bytes
MAX_NAME = 255  # characters
MAX_REASON = 200  # characters
MAX_SAID = 200  # characters of what was wrong with an element
MAX_NATURAL = 2**63  # what a database's integers hold, and not one more
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferablePart:
    """Some ranges of one transferable, and all that is known of it at the time."""

    id: uuid.UUID
    profile: bytes
    """Whose it is: the origin user's profile, 8 bytes."""
    name: str
    metadata: Mapping[str, str]
    size: int | None
    """In bytes; None while the upload is going on and did not announce it."""
    piece_size: int
    """Ranges begin at multiples of it and are that long, except the last one."""
    sha1: bytes | None
    sha256: bytes | None
    """Digests of the whole; None while the upload is going on."""
    ranges: Sequence[tuple[int, int]] = ()
    """(offset, length) of each range carried, in the order of the payload."""
    ended: OutgoingState | None = None
    """How it ended at the origin, said when nothing more of it will be sent unasked; a part
    that says so and carries no range is an entry of the history."""

    @property
    def is_whole(self) -> bool:
        """Whether it carries all of its file, and what that can be checked with."""
        return self.sha256 is not None and list(self.ranges) == [(0, self.size)]

    def to_map(self) -> dict[str, Any]:
        """Return it as the head carries it."""
        return {
            "id": self.id.bytes,
            "profile": self.profile,
            "name": self.name,
            "metadata": dict(self.metadata),
            "size": self.size,
            "piece_size": self.piece_size,
            "sha1": self.sha1,
            "sha256": self.sha256,
            "ranges": [list(pair) for pair in self.ranges],
            **({} if self.ended is None else {"ended": self.ended.value}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The origin takes a transferable back."""

    id: uuid.UUID
    profile: bytes
    name: str
    reason: str
    """A `RevocationReason`, or one that a newer origin knows."""

    def to_map(self) -> dict[str, Any]:
        """Return it as the head carries it."""
        return {
            "id": self.id.bytes,
            "profile": self.profile,
            "name": self.name,
            "reason": self.reason,
        }


def read_parts(
    items: object, payload: memoryview, refused: list[str]
) -> tuple[list[TransferablePart], list[list[memoryview]]]:
    """Read parts and cut the payload; the first whose ranges make no sense ends the reading.

    Later parts could not be placed: where they begin depends on those before them.
    """
    parts: list[TransferablePart] = []
    payloads: list[list[memoryview]] = []
    start = 0
    for item in _items(items, "parts", refused):
        try:
            lengths = [_natural(length) for _, length in item["ranges"]]
        except (KeyError, TypeError, ValueError) as error:
            refused.append(
                f"ranges of a part cannot be read ({_said(error)}), nor any part after it"
            )
            break
        stop = start + sum(lengths)
        if stop > len(payload):
            refused.append("ranges reach beyond the payload")
            break
        part = _attempt(_part, item, refused)
        if part is not None:
            parts.append(part)
            payloads.append(_cut(payload[start:stop], lengths))
        start = stop
    return parts, payloads


def read_revocations(items: object, refused: list[str]) -> list[Revocation]:
    """Read revocations, leaving out what makes no sense."""
    read = (_attempt(_revocation, item, refused) for item in _items(items, "revocations", refused))
    return [revocation for revocation in read if revocation is not None]


def _cut(payload: memoryview, lengths: Iterable[int]) -> list[memoryview]:
    cuts: list[memoryview] = []
    start = 0
    for length in lengths:
        cuts.append(payload[start : start + length])
        start += length
    return cuts


def _attempt(read: Callable[[Any], T], item: object, refused: list[str]) -> T | None:
    try:
        return read(item)
    except (KeyError, TypeError, ValueError) as error:
        refused.append(f"{read.__name__.strip('_')} cannot be read ({_said(error)})")
        return None


def _said(error: Exception) -> str:
    """Return what was wrong, short, whatever was in the packet."""
    return repr(error)[:MAX_SAID]


def _part(item: Mapping[str, Any]) -> TransferablePart:
    size = None if item["size"] is None else _natural(item["size"])
    piece_size = _natural(item["piece_size"])
    ranges = [(_natural(offset), _natural(length)) for offset, length in item["ranges"]]
    for offset, length in ranges:
        _check_range(offset, length, piece_size, size)
    return TransferablePart(
        id=uuid.UUID(bytes=_bytes(item["id"], 16)),
        profile=_bytes(item["profile"], PROFILE_SIZE),
        name=_text(item["name"])[:MAX_NAME],
        metadata={_text(key): _text(value) for key, value in _map(item["metadata"]).items()},
        size=size,
        piece_size=piece_size,
        sha1=None if item["sha1"] is None else _bytes(item["sha1"], 20),
        sha256=None if item["sha256"] is None else _bytes(item["sha256"], 32),
        ranges=ranges,
        ended=_final_state(item.get("ended")),
    )


def _revocation(item: Mapping[str, Any]) -> Revocation:
    return Revocation(
        id=uuid.UUID(bytes=_bytes(item["id"], 16)),
        profile=_bytes(item["profile"], PROFILE_SIZE),
        name=_text(item["name"])[:MAX_NAME],
        reason=_text(item.get("reason", RevocationReason.UNEXPECTED_EXCEPTION))[:MAX_REASON],
    )


def _final_state(value: object) -> OutgoingState | None:
    """Return how it ended, None if it says nothing, or what only a newer origin knows."""
    known = {state.value: state for state in OutgoingState if state.is_final}
    return known.get(value) if isinstance(value, str) else None


def _check_range(offset: int, length: int, piece_size: int, size: int | None) -> None:
    if piece_size == 0 or offset % piece_size or length > piece_size:
        raise ValueError(f"range {offset}+{length} is no piece of {piece_size}")
    if offset + length >= MAX_NATURAL:
        raise ValueError(f"range {offset}+{length} ends after any file")
    if size is not None and offset + length > size:
        raise ValueError(f"range {offset}+{length} ends after byte {size}")
    if size is not None and length < piece_size and offset + length != size:
        raise ValueError(f"range {offset}+{length} is short and not the last of {size}")


def _items(items: object, what: str, refused: list[str]) -> Iterable[Mapping[str, Any]]:
    if not isinstance(items, list | tuple):
        refused.append(f"{what} are no list")
        return ()
    return items


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_NATURAL:
        raise ValueError(f"{value!r} is no length or offset")
    return value


def _bytes(value: object, size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise ValueError(f"not {size} bytes")
    return value


def _map(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError("not a map")  # noqa: TRY004 (one error for all that cannot be read)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 (the same)
    if "\0" in value:  # which no PostgreSQL takes, and nobody types
        raise ValueError("a text with a zero byte")
    return value
