"""What is written, and what never is."""

from __future__ import annotations

import json
import logging
import warnings

import pytest
from loguru import logger

from eurydice_core import log
from eurydice_core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def restored():
    """Give loguru and the standard library back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    alembic = logging.getLogger("alembic")
    quiet = alembic.level
    yield
    alembic.setLevel(quiet)
    logger.remove()
    logger.configure(extra={}, patcher=lambda _: None)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def fail_with_a_secret():
    password = "hunter2"
    raise ValueError("no", len(password))


def test_a_line_for_people_says_who_speaks_and_about_what(capsys):
    log.configure(service="sender")
    logger.bind(packet=7).info("sent {} of {}", 1, "{}")
    line = capsys.readouterr().err
    assert line.endswith("INFO     sender: sent 1 of {} packet=7\n")


def test_only_what_is_severe_enough_is_written(capsys):
    log.configure(level="WARNING")
    logger.info("no")
    logging.getLogger("some.package").info("no")
    logging.getLogger("some.package").warning("yes")
    assert "yes" in (written := capsys.readouterr().err)
    assert "no" not in written


def test_what_libraries_say_for_their_own_debugging_takes_trace(capsys):
    for level in ("DEBUG", "TRACE"):
        log.configure(level=level)
        logger.debug("ours")
        logging.getLogger("botocore.auth").debug("a whole signed request")
    ours_at_debug, *at_trace = capsys.readouterr().err.splitlines()
    assert ours_at_debug.endswith("ours")
    assert len(at_trace) == 2


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO"])
def test_alembic_is_heard_only_when_something_is_wrong(capsys, level):
    log.configure(level=level)
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("alembic.runtime.migration").warning("odd")
    (line,) = capsys.readouterr().err.splitlines()
    assert "WARNING" in line
    assert line.endswith("odd")


def test_json_is_one_object_a_line_with_everything_that_was_bound(capsys):
    log.configure(format="json", service="api")
    with logger.contextualize(request_id="r1"):
        logger.info("two\nlines <b>{x}</b>")
    (line,) = capsys.readouterr().err.splitlines()
    facts = json.loads(line)
    assert facts["message"] == "two\nlines <b>{x}</b>"
    assert (facts["level"], facts["service"], facts["request_id"]) == ("INFO", "api", "r1")
    assert facts["time"][10] == "T"


def test_bound_values_never_hide_the_message(capsys):
    log.configure(format="json")
    logger.bind(message="forged", level="forged", odd=object).info("real")
    facts = json.loads(capsys.readouterr().err)
    assert (facts["message"], facts["level"]) == ("real", "INFO")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_variables(capsys, form):
    log.configure(format=form)
    try:
        fail_with_a_secret()
    except ValueError:
        logger.exception("failed")
    written = capsys.readouterr().err
    assert "fail_with_a_secret" in written
    assert "ValueError" in written
    assert "'hunter2'" not in written


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_password_in_a_url_is_masked_in_messages_and_tracebacks(capsys, form):
    log.configure(format=form)
    url = "postgresql://u:" + "hunter2@h/d"
    try:
        int(url)
    except ValueError:
        logger.exception("cannot reach {}", url)
    written = capsys.readouterr().err
    assert written.count("postgresql://u:***@h/d") == 2
    assert "hunter2" not in written


def test_the_standard_library_and_warnings_end_up_in_the_same_place(capsys):
    log.configure(format="json", service="api")
    logging.getLogger("some.package").error("%s%%", 5)
    logging.log(25, "between levels")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", UserWarning, stacklevel=1)
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["message"], first["level"], first["service"]) == ("5%", "ERROR", "api")
    assert first["logger"] == __name__
    assert second["message"] == "between levels"
    assert "careful" in third["message"]


def test_a_file_gets_json_lines_whatever_the_format(tmp_path, capsys):
    file = tmp_path / "logs" / "eurydice.json"
    log.configure(file=file, service="receiver")
    logger.info("für alle")
    logger.complete()
    assert json.loads(file.read_text(encoding="utf-8"))["message"] == "für alle"
    assert "für alle" in capsys.readouterr().err


def test_a_file_that_was_moved_away_is_opened_again(tmp_path):
    file = tmp_path / "eurydice.json"
    log.configure(file=file)
    logger.info("one")
    file.rename(tmp_path / "eurydice.json.1")
    logger.info("two")
    assert json.loads(file.read_text())["message"] == "two"


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"\[log\] file: cannot write .*: Is a directory"):
        log.configure(file=tmp_path)


def test_configuring_twice_writes_once(capsys):
    log.configure()
    log.configure()
    logger.info("once")
    logging.getLogger("x").warning("once")
    assert capsys.readouterr().err.count("once") == 2
