"""Leases of this process: work that one process at a time does, held while it lives.

A thread renews them. A lease whose holder was killed ends once another process has seen its
counter stand still for the lease's duration, on its own monotonic clock. It ends at once where
a process of the same machine looks: each holder has a lock on a file, which the kernel releases.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from loguru import logger
from sqlalchemy import delete

from eurydice_core.db.engine import Database
from eurydice_core.db.leases import (
    Lease,
    database_time,
    drop_leases,
    get_leases,
    renew_leases,
    take_lease,
)
from eurydice_core.errors import ConfigurationError, DatabaseUnavailable
from eurydice_core.model.clock import ChangeAges, steady_seconds
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.outages import describe, is_outage
from eurydice_core.private_files import PRIVATE

__all__ = ["CLEANER", "MACHINE", "Leases", "hold_machine"]

LEASE_SECONDS: Final = 30.0
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
MACHINE: Final = "machine"
CLEANER: Final = "cleaner"


class Leases:
    """The leases of one process."""

    def __init__(
        self,
        database: Database,
        state_dir: Path,
        *,
        seconds: float = LEASE_SECONDS,
        steady: Callable[[], float] = steady_seconds,
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
        self._life_lock = threading.Lock()
        self._ages = ChangeAges(steady=steady)

    def take(self, name: str, *, holder: uuid.UUID | None = None, trust_date: bool = False) -> bool:
        """Take a lease unless a living process holds it; return whether it is ours now.

        Args:
            name: what is to be done by one process alone.
            holder: on whose behalf; of this process if None.
            trust_date: whether a lease that was not observed yet ends by the database's clock.

        Raises:
            ConfigurationError: `state_dir` cannot be used.
            DatabaseUnavailable: nobody can be asked.
        """
        mine = holder or self.holder
        if mine == self.holder:
            self._prove_life()
        with self._lock:
            with self._database.write(durable=False) as session:
                known = session.get(Lease, name)
                late = database_time(session) - known.expires_at if known and trust_date else 0.0
                first = self._seconds + late if late > 0 else 0.0
                ended = known if known and self._has_ended(known, first) else None
                taken = take_lease(session, name, mine, self._seconds, ended)
            if taken:
                self._held[name] = mine
                self._start()
            else:
                self._held.pop(name, None)
        return taken

    def _has_ended(self, lease: Lease, first: float = 0.0) -> bool:
        value = (lease.holder, lease.renewals)
        return self._ages.age(lease.name, value, first=first) > self._seconds

    def place(self, kind: str) -> str:
        """Return which place among processes of a kind is ours: `kind/0`, or the first free one.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        held = self._held_place(kind)
        if held is not None:
            return held
        return next(name for number in count() if self.take(name := f"{kind}/{number}"))

    def _held_place(self, kind: str) -> str | None:
        with self._lock:
            return next((name for name in self._held if name.startswith(f"{kind}/")), None)

    def outlive(self, name: str, *, holder: uuid.UUID) -> bool:
        """Wait until a lease of another holder ends and take it; False once it is renewed."""
        before = self._value(name)
        while not self.take(name, holder=holder):
            if self._value(name) != before:
                return False
            time.sleep(self._seconds / 30)
        return True

    def _value(self, name: str) -> tuple[uuid.UUID, int] | None:
        with self._database.read() as session:
            lease = session.get(Lease, name)
            return None if lease is None else (lease.holder, lease.renewals)

    def living(self, prefix: str) -> set[uuid.UUID]:
        """Return the holders of leases whose names begin so, except those seen to have ended.

        A lease seen for the first time lives until its counter has stood still for its duration.
        """
        with self._database.read() as session:
            leases = get_leases(session, prefix)
        self._ages.keep({lease.name for lease in leases}, prefix)
        return {lease.holder for lease in leases if not self._has_ended(lease)}

    def renew(self) -> None:
        """Hold everything for longer; what was lost meanwhile is told, and not held any more."""
        lost: set[str] = set()
        with self._lock:  # so that a lease taken meanwhile is not taken for a lost one
            with self._database.write(durable=False) as session:
                for holder in set(self._held.values()):
                    names = {name for name, whose in self._held.items() if whose == holder}
                    lost |= names - renew_leases(session, names, holder, self._seconds)
            for name in lost:
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
            except Exception as error:  # the thread must not end while the process works on
                if is_outage(error):
                    logger.warning("leases cannot be renewed: {}", describe(error))
                else:
                    logger.exception("a bug kept leases from being renewed")

    def _prove_life(self) -> None:
        """Lock a file for as long as this process lives; end the leases of those that do not."""
        with self._life_lock:
            if self._life is None:
                self._lock_life_file()

    def _lock_life_file(self) -> None:
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

    Its locks and its shared memory do not reach another one: two would destroy it. A lease
    that seems to be held is observed for its duration, since its date may be of a clock that
    was stepped, or of this machine before a quick restart.

    Raises:
        ConfigurationError: another machine uses it.
    """
    if not database.is_sqlite:
        return
    machine = this_machine()
    if leases.take(MACHINE, holder=machine, trust_date=True):
        return
    logger.info("database {}: is it used by another machine? waiting to see", database.name)
    if not leases.outlive(MACHINE, holder=machine):
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
