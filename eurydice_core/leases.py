"""What this process does that others must not do at the same time, held while it lives.

A lease is renewed beside the work. Its holder may be killed: then the lease ends by itself
after a while, and at once where another process of the same machine looks, since the
kernel lets go of the lock that every holder has on a file of its own.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from loguru import logger
from sqlalchemy import delete

from eurydice_core.db.engine import Database
from eurydice_core.db.leases import Lease, drop_leases, live_holders, renew_leases, take_lease
from eurydice_core.errors import ConfigurationError, DatabaseUnavailable
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.private_files import PRIVATE

__all__ = ["CLEANER", "MACHINE", "Leases", "hold_machine"]

LEASE_SECONDS: Final = 30.0
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
MACHINE: Final = "machine"
CLEANER: Final = "cleaner"


class Leases:
    """The leases of one process."""

    def __init__(
        self, database: Database, state_dir: Path, *, seconds: float = LEASE_SECONDS
    ) -> None:
        self.holder = uuid.uuid4()
        self._database = database
        self._directory = state_dir / "leases"
        self._seconds = seconds
        self._held: dict[str, uuid.UUID] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._life: int | None = None

    def take(self, name: str, *, holder: uuid.UUID | None = None) -> bool:
        """Take a lease unless a living process holds it; return whether it is ours now.

        Args:
            name: what is to be done by one process alone.
            holder: on whose behalf; of this process if None.

        Raises:
            ConfigurationError: `state_dir` cannot be used.
            DatabaseUnavailable: nobody can be asked.
        """
        mine = holder or self.holder
        if mine == self.holder:
            self._prove_life()
        with self._database.write(durable=False) as session:
            taken = take_lease(session, name, mine, self._seconds)
        with self._lock:
            if taken:
                self._held[name] = mine
                self._start()
            else:
                self._held.pop(name, None)
        return taken

    def place(self, kind: str) -> str:
        """Return which place among processes of a kind is ours: `kind/0`, or the first free one.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        with self._lock:
            held = next((name for name in self._held if name.startswith(f"{kind}/")), None)
        if held is not None:
            return held
        return next(name for number in count() if self.take(name := f"{kind}/{number}"))

    def living(self, prefix: str) -> set[uuid.UUID]:
        """Return who holds leases whose names begin so; the dead of this machine hold none."""
        with self._database.read() as session:
            return live_holders(session, prefix)

    def renew(self) -> None:
        """Hold everything for longer; what was lost meanwhile is told, and not held any more."""
        with self._lock:
            held = dict(self._held)
        lost: set[str] = set()
        with self._database.write(durable=False) as session:
            for holder in set(held.values()):
                names = {name for name, whose in held.items() if whose == holder}
                lost |= names - renew_leases(session, names, holder, self._seconds)
        with self._lock:
            for name in lost & self._held.keys():
                del self._held[name]
        if self._life is not None:
            self._end_the_dead()
        for name in lost:
            logger.warning("the lease {} was lost: this process was not heard for too long", name)

    def holds(self, name: str) -> bool:
        """Return whether a lease is ours, as far as this process knows."""
        with self._lock:
            return name in self._held

    def close(self) -> None:
        """Give everything up that is this process's own."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            own = [name for name, holder in self._held.items() if holder == self.holder]
            self._held.clear()
        if own:
            with suppress(DatabaseUnavailable), self._database.write(durable=False) as session:
                drop_leases(session, own, self.holder)
        if self._life is not None:
            with suppress(OSError):
                (self._directory / str(self.holder)).unlink()
            os.close(self._life)
            self._life = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                self.renew()
            except DatabaseUnavailable as error:
                logger.warning("leases cannot be renewed: {}", error)

    def _prove_life(self) -> None:
        """Lock a file for as long as this process lives; end the leases of those that do not."""
        if self._life is not None:
            return
        path = self._directory / str(self.holder)
        try:
            PRIVATE.make_directory(self._directory, parents=False)
            self._life = PRIVATE.open_descriptor(path, os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._life, fcntl.LOCK_EX)
        except OSError as error:
            raise ConfigurationError(
                f"state_dir: cannot write {path} ({error.strerror});"
                f" {advice(error, WRITE_ACCESS)}, or choose another"
            ) from error
        self._end_the_dead()

    def _end_the_dead(self) -> None:
        dead = list(self._dead())
        if not dead:
            return
        with self._database.write(durable=False) as session:
            session.execute(
                delete(Lease)
                .where(Lease.holder.in_(dead))
                .execution_options(synchronize_session=False)
            )
        for holder in dead:
            (self._directory / str(holder)).unlink(missing_ok=True)

    def _dead(self) -> Iterator[uuid.UUID]:
        for path in self._directory.iterdir():
            if path.name == str(self.holder):
                continue
            with suppress(ValueError, OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield uuid.UUID(path.name)


def hold_machine(database: Database, leases: Leases) -> None:
    """Keep a SQLite database to the processes of one machine.

    Its locks and its shared memory do not reach another one: two would destroy it.

    Raises:
        ConfigurationError: another machine uses it.
    """
    if database.is_sqlite and not leases.take(MACHINE, holder=this_machine()):
        raise ConfigurationError(
            f"database {database.name} is used by another machine, and SQLite serves one alone:"
            " choose PostgreSQL in [database] url of both, or stop the services there"
            f" and wait {LEASE_SECONDS:g} seconds"
        )


def this_machine() -> uuid.UUID:
    """Return what tells this machine from others, the same in all its containers."""
    try:
        return uuid.UUID(BOOT.read_text().strip())
    except (OSError, ValueError):
        return uuid.uuid5(uuid.NAMESPACE_DNS, os.uname().nodename)
