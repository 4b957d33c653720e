"""What an embedded side creates is private, without the umask that the command line sets."""

from __future__ import annotations

import os
import stat
import uuid

import pytest
from loguru import logger

from eurydice_core import log
from eurydice_core.api.monitoring.tally_files import TallyFiles, shared_directory
from eurydice_core.cli.init import content
from eurydice_core.config import Settings, load_settings
from eurydice_core.db.exclusive import exclusively
from eurydice_core.db.schema import migrate
from eurydice_core.destination.spool import Spool, spool_alone
from eurydice_core.installation import open_database, open_installation
from eurydice_core.leases import CLEANER
from eurydice_core.private_files import PRIVATE
from eurydice_core.testing.diode.trace import TraceWriter


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def place(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path / "eurydice"


def settings_of(place) -> Settings:
    PRIVATE.make_directory(place)
    config = place / "eurydice.toml"
    with PRIVATE.open_file(config, "x") as file:
        file.write(content("destination", place, "s" * 32))
    return load_settings(config, {}).settings


def use(place) -> None:
    """Create a file of every kind that a side creates in its directories."""
    settings = settings_of(place)
    with open_database(settings) as database:
        migrate(database, settings.side)
    log.configure(file=place / "log" / "eurydice.log")
    with open_installation(settings) as installation, TraceWriter(place / "trace"):
        logger.warning("a line")
        assert installation.leases.take(CLEANER)
        with exclusively(installation.database, [uuid.uuid4()]):
            pass
        with installation.storage.write("object/1") as writer:
            writer.write(b"data")
        assembly = installation.storage.assemble("object/2", piece_size=4)
        assembly.put(0, b"data")
        assembly.checkpoint()
        with spool_alone(settings.state_dir / "spool"):
            assert Spool(settings.state_dir / "spool", 100).put(b"packet")
        with shared_directory(settings.state_dir / "tallies") as directory:
            files = TallyFiles(directory, settings.state_dir / "tallies")
            assert_private(place)
            files.close()


def assert_private(place) -> None:
    wrong = {
        str(path.relative_to(place.parent)): oct(path.stat().st_mode)
        for path in (place, *place.rglob("*"))
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    }
    assert not wrong


@pytest.mark.usefixtures("umask")
def test_everything_a_side_creates_is_private(place):
    try:
        use(place)
    finally:
        logger.remove()
    names = {path.name for path in place.rglob("*")}
    assert {"destination.db", "destination.db-turn", "lock", "eurydice.log", "trace"} <= names
