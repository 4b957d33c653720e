"""Logging, set up once by whoever starts a process.

Everything else only says `from loguru import logger`. What other packages log with the
standard library ends up in the same place.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from loguru import logger

from eurydice_core.errors import ConfigurationError
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.private_files import PRIVATE, Access

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["configure"]

PASSWORD_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/]+@")
LOGGING_FILE = logging.__file__


def configure(
    *,
    level: str = "INFO",
    format: str = "text",
    file: Path | None = None,
    service: str = "",
    access: Access = PRIVATE,
) -> None:
    """Send what this process logs to the standard error, and to a file as JSON lines.

    Args:
        level: the least severity that is written.
        format: `text` for people, `json` for one JSON object a line.
        file: written as well, always as JSON; opened again if it is moved away.
        service: what this process is, such as `sender`; stands in every line.
        access: who may read a file that this creates.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    # `diagnose` would print the variables of a traceback, and with them secrets.
    safe: dict[str, Any] = {"level": level, "diagnose": False, "backtrace": False}
    logger.remove()
    logger.configure(extra={"service": service}, patcher=hide_passwords)
    logger.add(sys.stderr, format=as_json if format == "json" else as_text, **safe)
    if file is not None:
        try:
            access.make_directory(file.parent)
            logger.add(
                # loguru would fill in what stands in braces, as in a file name of `{time}`.
                str(file).replace("{", "{{").replace("}", "}}"),
                format=as_json,
                watch=True,
                encoding="utf-8",
                opener=access.open_descriptor,
                **safe,
            )
        except OSError as error:
            raise ConfigurationError(
                f"[log] file: cannot write {file}: {error.strerror}; {advice(error, WRITE_ACCESS)}"
            ) from error
    # What libraries say at DEBUG is for them: whole requests and signatures. TRACE has it.
    libraries = numeric(level) if level == "TRACE" else max(logging.INFO, numeric(level))
    logging.basicConfig(handlers=[Forwarder()], level=libraries, force=True)
    # It tells at INFO how it looked at a database, which every process does when it starts.
    logging.getLogger("alembic").setLevel(max(logging.WARNING, numeric(level)))
    logging.captureWarnings(capture=True)


def numeric(level: str) -> int:
    """Return the standard library's number of a level; it has no TRACE."""
    return logging.getLevelNamesMapping().get(level, logging.NOTSET)


def hide_passwords(record: Record) -> None:
    """Mask the password of every URL in a message."""
    record["message"] = PASSWORD_IN_URL.sub(r"\1***@", record["message"])


def as_text(record: Record) -> str:
    """Return the template of a line for people."""
    facts = {key: value for key, value in record["extra"].items() if key != "service"}
    shown: dict[str, Any] = record  # type: ignore[assignment]
    shown["facts"] = "".join(f" {key}={value}" for key, value in facts.items())
    shown["trace"] = trace_of(record)
    return (
        "{time:YYYY-MM-DD HH:mm:ss.SSS} <level>{level: <8}</level> "
        + ("{extra[service]}: " if record["extra"].get("service") else "")
        + "{message}{facts}\n{trace}"
    )


def as_json(record: Record) -> str:
    """Return the template of a line for machines."""
    line = {
        **record["extra"],
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        "logger": record["name"],
    }
    if record["exception"] is not None:
        line["exception"] = trace_of(record)
    shown: dict[str, Any] = record  # type: ignore[assignment]
    shown["line_as_json"] = json.dumps(line, default=str, ensure_ascii=False)
    return "{line_as_json}\n"


def trace_of(record: Record) -> str:
    """Return the traceback of a record, the passwords of URLs masked; empty if it has none."""
    exception = record["exception"]
    if exception is None:
        return ""
    lines = traceback.format_exception(exception.type, exception.value, exception.traceback)
    return PASSWORD_IN_URL.sub(r"\1***@", "".join(lines))


class Forwarder(logging.Handler):
    """Hands the standard library's records to loguru, as if they were logged there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under its own level, and the place that it came from."""
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        options = logger.opt(depth=depth_of_caller(), exception=record.exc_info)
        options.log(level, "{}", record.getMessage())


def depth_of_caller() -> int:
    """Return how many frames above `emit` the first one outside of `logging` is."""
    frame: FrameType | None = sys._getframe(2)
    depth = 1
    while frame is not None and frame.f_code.co_filename == LOGGING_FILE:
        frame = frame.f_back
        depth += 1
    return depth
