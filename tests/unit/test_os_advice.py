"""The advice about an error of the system is about that error."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from contextlib import contextmanager

import pytest
from loguru import logger

from eurydice_core import log
from eurydice_core.db.faults import classify
from eurydice_core.destination.spool import spool_alone
from eurydice_core.errors import ConfigurationError, ServiceError
from eurydice_core.os_advice import FILE_LIMIT, WRITE_ACCESS, advice, has_descriptors
from eurydice_core.private_files import Access


@contextmanager
def no_descriptors():
    """Let this process open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refuse(monkeypatch, number):
    def failing(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Access, "open_descriptor", failing)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EMFILE, FILE_LIMIT), (errno.EACCES, WRITE_ACCESS)]
)
def test_spool_and_log_give_the_advice_of_the_error(tmp_path, monkeypatch, number, expected):
    refuse(monkeypatch, number)
    with pytest.raises(ServiceError) as caught, spool_alone(tmp_path):
        pytest.fail("opened")
    assert str(caught.value).endswith(expected)
    try:
        with pytest.raises(ConfigurationError) as refused:
            log.configure(file=tmp_path / "log")
    finally:
        logger.remove()
    assert str(refused.value).endswith(expected)


def test_sqlite_without_descriptors_names_the_limit(tmp_path):
    with no_descriptors():
        is_there_one = has_descriptors()
        try:
            sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE a (b)")
        except sqlite3.OperationalError as error:
            found = classify(error).advice
    assert (is_there_one, found) == (False, FILE_LIMIT)


def test_sqlite_without_a_directory_is_about_access(tmp_path):
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(tmp_path / "none" / "a.db")
    assert "write access" in classify(caught.value).advice


def test_unknown_errors_have_the_advice_of_their_place():
    assert advice(OSError(errno.EADDRINUSE, "in use"), "choose another port") == (
        "choose another port"
    )
