"""Every error code of a database has one fault, and a test names those that matter."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from eurydice_core.db.faults import FaultKind, classify, to_error
from eurydice_core.errors import DatabaseMisconfigured, DatabaseUnavailable, TransactionConflict

KINDS = {
    FaultKind.OUTAGE: "08006 25006 25P03 53100 53300 55P03 57014 57P01 57P03 58030 XX001",
    FaultKind.RETRY: "40001 40P01 26000 42P05",
    FaultKind.CONFIGURATION: "28P01 28000 3D000 42501 42P01",
    FaultKind.BUG: "22001 22P02 23505 25P02 42601 54000 0A000",
}
SQLITE_KINDS = {
    FaultKind.OUTAGE: "BUSY LOCKED FULL READONLY READONLY_DBMOVED IOERR IOERR_WRITE CANTOPEN"
    " NOTADB CORRUPT CORRUPT_INDEX NOMEM PROTOCOL",
    FaultKind.RETRY: "BUSY_SNAPSHOT ABORT_ROLLBACK SCHEMA",
    FaultKind.BUG: "ERROR CONSTRAINT_UNIQUE MISMATCH MISUSE RANGE TOOBIG",
}


def of_sqlstate(code):
    error = errors.lookup(code)("something\nand more of it")
    assert error.sqlstate == code
    return error


def of_sqlite(name, text="something"):
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
    return error


def wrapped(error):
    return DBAPIError("SELECT", {}, error)


@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in KINDS.items() for code in codes.split()]
)
def test_sqlstate_has_its_kind_of_fault(code, kind):
    assert classify(of_sqlstate(code)).kind is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for kind, names in SQLITE_KINDS.items() for name in names.split()],
)
def test_sqlite_result_code_has_its_kind_of_fault(name, kind):
    assert classify(of_sqlite(name)).kind is kind


def test_sqlite_database_without_our_tables_is_a_matter_of_configuration():
    error = of_sqlite("ERROR", "no such table: users")
    assert classify(error).kind is FaultKind.CONFIGURATION
    assert "run 'eurydice migrate'" in str(to_error("x", wrapped(error)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connection refused", FaultKind.OUTAGE),
        ('FATAL:  password authentication failed for user "x"', FaultKind.CONFIGURATION),
        ('FATAL:  database "x" does not exist', FaultKind.CONFIGURATION),
        ("session is read-only", FaultKind.OUTAGE),
    ],
)
def test_failed_connect_is_classified_by_its_text(text, kind):
    assert classify(psycopg.OperationalError(text)).kind is kind


@pytest.mark.parametrize("code", ["25006", "57P01", "08006", "28P01", "58030"])
def test_connection_of_a_changed_host_is_not_used_again(code):
    assert classify(of_sqlstate(code)).is_stale


@pytest.mark.parametrize("code", ["55P03", "57014", "40P01"])
def test_connection_of_a_busy_host_is_kept(code):
    assert not classify(of_sqlstate(code)).is_stale


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_sqlstate("25006"), DatabaseUnavailable),
        (of_sqlstate("28P01"), DatabaseMisconfigured),
        (of_sqlstate("40P01"), TransactionConflict),
        (of_sqlstate("23505"), type(None)),
        (ValueError(), type(None)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fault_becomes_an_error_of_one_line(error, kind):
    found = to_error("postgresql://host/x", wrapped(error))
    assert type(found) is kind
    if found is not None:
        assert str(found).startswith("database postgresql://host/x: something")
        assert "\n" not in str(found)


def test_error_that_broke_its_connection_is_an_outage():
    error = DBAPIError("SELECT", {}, ValueError("odd"), connection_invalidated=True)
    assert type(to_error("x", error)) is DatabaseUnavailable
