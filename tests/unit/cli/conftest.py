from __future__ import annotations

import logging
import os
import sys

import pytest
from loguru import logger

from eurydice_core.cli import main
from eurydice_core.config import file


@pytest.fixture
def eurydice(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty directory, without any configuration around."""
    for name in list(os.environ):
        if name.startswith("EURYDICE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file, "SEARCHED", tuple(tmp_path / path.name for path in file.SEARCHED[:1]))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    umask = os.umask(0o022)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return code, written.out, written.err

    yield run
    os.umask(umask)
    logger.remove()
    logger.add(sys.__stderr__)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
