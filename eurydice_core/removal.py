"""Frees the storage of many things, each for itself: one that cannot go holds no other up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from loguru import logger

from eurydice_core.errors import StorageError

__all__ = ["remove_each"]

T = TypeVar("T")
ENOUGH: Final = 3
"""Failures in a row after which it is the storage, and not one of the things."""


def remove_each(things: Sequence[T], remove: Callable[[T], object]) -> list[T]:
    """Return those that were removed; the others are tried again another time.

    Raises:
        StorageError: nothing can be removed now.
    """
    removed: list[T] = []
    in_a_row = 0
    for thing in things:
        try:
            remove(thing)
        except StorageError as error:
            in_a_row += 1
            if in_a_row == ENOUGH:
                raise
            logger.warning("something stays in the storage for now: {}", error)
        else:
            in_a_row = 0
            removed.append(thing)
    return removed
