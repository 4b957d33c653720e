"""What the storage keeps and no record knows, found by a walk through it now and then.

An object is written before the database says so, and a crash in between leaves it behind.
Young ones are let alone: somebody may be about to record them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from loguru import logger

from eurydice_core.db.engine import Database
from eurydice_core.db.facts import INSTALLATION, add_fact
from eurydice_core.interfaces.storage import HasListing, Storage
from eurydice_core.model.clock import Clock

__all__ = ["BATCH", "Orphans"]

BATCH: Final = 500
EVERY: Final = timedelta(days=1)
YOUNG: Final = timedelta(days=1)

Known = Callable[[Collection[str]], Collection[str]]
"""Returns those of the keys that a record knows, or that are none of ours."""


class Orphans:
    """One walk a day through a storage that can be listed, a batch a step."""

    def __init__(
        self, storage: Storage, database: Database, prefix: str, known: Known, *, now: Clock
    ) -> None:
        self._storage = storage if isinstance(storage, HasListing) else None
        self._write = storage.write
        self._database = database
        self._prefix = prefix
        self._known = known
        self._now = now
        self._walk: Iterator[str] | None = None
        self._due: datetime | None = None

    def remove_some(self) -> int:
        """Look at the next keys, if a walk is due; return how many there were.

        Raises:
            StorageError: what is found and not removed waits for another walk.
        """
        now = self._now()
        if self._storage is None or (self._walk is None and self._due and now < self._due):
            return 0
        walk, self._walk = self._walk or self._begin(self._storage, now), None
        keys = list(islice(walk, BATCH))
        if len(keys) == BATCH:
            self._walk = walk
        else:
            self._due = now + EVERY
        orphans = sorted(set(keys).difference(self._known(keys))) if keys else []
        if orphans:
            self._storage.discard(orphans)
            logger.warning(
                "{} objects that no record knows removed, such as {}", len(orphans), orphans[0]
            )
        return len(keys)

    def _begin(self, storage: HasListing, now: datetime) -> Iterator[str]:
        """Begin a walk, unless what others keep here would be taken for orphans."""
        if self._others(storage):
            return iter(())
        return storage.list_keys(self._prefix, before=now - YOUNG)

    def _others(self, storage: HasListing) -> list[str]:
        """Put our name into the storage, and return who else did."""
        with self._database.write() as session:
            ours = add_fact(session, INSTALLATION, uuid.uuid4().hex)
        place = f"owners/{self._prefix}"
        names = set(storage.list_keys(place))
        if f"{place}{ours}" not in names:
            with self._write(f"{place}{ours}"):
                pass
            names = set(storage.list_keys(place))  # who came meanwhile sees us, or we them
        others = sorted(names - {f"{place}{ours}"})
        if others:
            logger.warning(
                "the storage is used by {} other databases as well, so objects that no record"
                " knows stay: give each a place of its own in [storage], or, if it is gone,"
                " delete {}",
                len(others),
                others[0],
            )
        return others
