"""The variables of the existing system, so that its `.env` file configures this one.

They override the file, as the environment does, and the `EURYDICE_` name of the same
setting overrides them. `legacy_unused` lists the variables that set nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from eurydice_core.config.choices import split_list
from eurydice_core.config.layer import Layer, put
from eurydice_core.config.legacy_unused import unused_in
from eurydice_core.config.problems import title
from eurydice_core.config.schema import OPEN_TABLES
from eurydice_core.config.tables import LARGEST_RANGE, SMALLEST_RANGE
from eurydice_core.model.quantities import parse_size
from eurydice_core.model.states import Side

__all__ = ["COMBINED", "LEGACY", "Legacy", "read_legacy"]

Path = tuple[str, ...]

DEFAULT_BUCKET = "eurydice"
SIGN = "USER_ASSOCIATION_TOKEN_SECRET_KEY"
"""The variable without which the existing system does not start."""


@dataclass(frozen=True, slots=True)
class Legacy:
    """One variable and the setting it stands for."""

    name: str
    path: Path
    convert: Callable[[str], Any] = str
    plugin: str | None = None
    """The plugin whose setting it is, if it is one's: it counts only if that one is chosen."""
    side: Side | None = None
    """The side on which the variable means this setting; None for both."""


def range_size(text: str) -> int | str:
    """Bring a range size into our limits: that system took 500 MB and up, by default."""
    try:
        size = parse_size(text)
    except ValueError:
        return text  # refused later, with its place named
    return min(max(size, SMALLEST_RANGE), LARGEST_RANGE)


def is_true(text: str) -> bool:
    """Read a switch as that system did."""
    return text.strip().lower() in ("1", "true", "yes", "on", "y", "t")


def storage_plugin(text: str) -> str:
    """Read `MINIO_ENABLED`."""
    return "storage_minio" if is_true(text) else "storage_fs"


def authenticators(text: str) -> list[str]:
    """Read `REMOTE_USER_HEADER_AUTHENTICATION_ENABLED`: one way or the other, never both."""
    return ["auth_remoteuser"] if is_true(text) else ["auth_basic"]


def scheduler(text: str) -> str:
    """Read the name of a range filler class."""
    fillers = {
        "UserRotatingTransferableRangeFiller": "scheduler_rotating",
        "FIFOTransferableRangeFiller": "scheduler_fifo",
    }
    return fillers.get(text, text)


def log_file(text: str) -> str | None:
    """Read `LOG_TO_FILE`, whose file was always this one in a container."""
    return "/var/log/app/log.json" if is_true(text) else None


LEGACY = (
    Legacy("EURYDICE_API", ("side",)),
    Legacy("DJANGO_SECRET_KEY", ("secret_key",)),
    Legacy("USER_ASSOCIATION_TOKEN_SECRET_KEY", ("link", "secret")),
    Legacy("USER_ASSOCIATION_TOKEN_EXPIRES_AFTER", ("association", "expires_after")),
    Legacy("MINIO_ENABLED", ("storage", "plugin"), storage_plugin),
    Legacy("MINIO_ACCESS_KEY", ("storage", "access_key"), plugin="storage_minio"),
    Legacy("MINIO_SECRET_KEY", ("storage", "secret_key"), plugin="storage_minio"),
    Legacy("MINIO_BUCKET_NAME", ("storage", "bucket"), plugin="storage_minio"),
    Legacy("MINIO_EXPIRATION_DAYS", ("storage", "expiration_days"), plugin="storage_minio"),
    Legacy("TRANSFERABLE_STORAGE_DIR", ("storage", "root"), plugin="storage_fs"),
    Legacy("TRANSFERABLE_RANGE_SIZE", ("upload", "range_size"), range_size),
    Legacy("TRANSFERABLE_MAX_SIZE", ("upload", "max_size")),
    Legacy("EURYDICE_TRANSFERABLE_MAX_SIZE", ("upload", "max_size")),
    Legacy("REMOTE_USER_HEADER_AUTHENTICATION_ENABLED", ("auth", "plugins"), authenticators),
    Legacy("REMOTE_USER_HEADER", ("auth", "auth_remoteuser", "header"), plugin="auth_remoteuser"),
    Legacy("SENDER_RANGE_FILLER_CLASS", ("scheduler", "plugin"), scheduler),
    Legacy("SENDER_POLL_DATABASE_EVERY", ("sender", "poll_every")),
    Legacy("HEARTBEAT_SEND_EVERY", ("sender", "heartbeat_every")),
    Legacy("MAX_TRANSFERABLES_PER_PACKET", ("sender", "max_ranges_per_packet")),
    Legacy("TRANSFERABLE_HISTORY_DURATION", ("sender", "history_duration")),
    Legacy("LIDIS_HOST", ("transport", "lidis_host"), plugin="transport_lidi"),
    Legacy("LIDIS_PORT", ("transport", "lidis_port"), plugin="transport_lidi"),
    Legacy("PACKET_RECEIVER_HOST", ("transport", "packet_receiver_host"), plugin="transport_lidi"),
    Legacy("PACKET_RECEIVER_PORT", ("transport", "packet_receiver_port"), plugin="transport_lidi"),
    Legacy(
        "RECEIVER_BUFFER_MAX_ITEMS",
        ("transport", "receiver_buffer_max_items"),
        plugin="transport_lidi",
    ),
    Legacy("RECEIVER_BUFFER_MAX_ITEMS", ("receiver", "buffer_packets")),
    Legacy("EXPECT_PACKET_EVERY", ("receiver", "expect_packet_every")),
    Legacy("S3REMOVER_RUN_EVERY", ("cleaner", "run_every")),
    Legacy("S3REMOVER_EXPIRE_TRANSFERABLES_AFTER", ("cleaner", "expire_after")),
    Legacy("FILE_REMOVER_RUN_EVERY", ("cleaner", "run_every")),
    Legacy(
        "FILE_REMOVER_EXPIRE_TRANSFERABLES_AFTER",
        ("cleaner", "expire_after"),
        side=Side.DESTINATION,
    ),
    # It gave up uploads that did not end, and what still waited with them.
    Legacy(
        "FILE_REMOVER_EXPIRE_TRANSFERABLES_AFTER", ("cleaner", "upload_timeout"), side=Side.ORIGIN
    ),
    Legacy("DBTRIMMER_TRIM_TRANSFERABLES_AFTER", ("cleaner", "trim_after")),
    Legacy("PAGE_SIZE", ("api", "page_size")),
    Legacy("MAX_PAGE_SIZE", ("api", "max_page_size")),
    Legacy("METRICS_SLIDING_WINDOW", ("api", "metrics_window")),
    Legacy("THROTTLE_RATE", ("upload", "throttle_rate")),
    Legacy("SESSION_COOKIE_AGE", ("api", "session_age")),
    Legacy("SECURE_COOKIES", ("api", "secure_cookies"), is_true),
    Legacy("SAMESITE_COOKIES", ("api", "samesite_cookies")),
    Legacy("CSRF_TRUSTED_ORIGINS", ("api", "trusted_origins"), split_list),
    Legacy("EURYDICE_CONTACT", ("api", "contact")),
    # The one that the pages showed, so it comes second and wins.
    Legacy("EURYDICE_CONTACT_FR", ("api", "contact")),
    Legacy("UI_BADGE_CONTENT", ("api", "badge_content")),
    Legacy("UI_BADGE_COLOR", ("api", "badge_color")),
    Legacy("LOG_LEVEL", ("log", "level")),
    Legacy("LOG_TO_FILE", ("log", "file"), log_file),
)


COMBINED = (
    ("DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD", ("database", "url"), None),
    ("MINIO_ENDPOINT, MINIO_SECURE", ("storage", "endpoint_url"), "storage_minio"),
    ("LIDIS_HOST, PACKET_RECEIVER_HOST", ("transport", "plugin"), None),
)
"""Settings that take several variables, or the mere presence of one; see `combined`."""


def read_legacy(environ: Mapping[str, str], stronger_first: Sequence[Mapping[str, Any]]) -> Layer:
    """Take the old names for the new settings.

    A plugin's keys count only if that plugin is chosen, here or by one of the other
    layers: an endpoint of the old object store means nothing to files in a directory.
    A variable that is known and has no effect becomes a note of the layer.
    """
    given = {name: value for name, value in environ.items() if value}
    side = side_of([stronger_first[0], {"side": given.get("EURYDICE_API")}, *stronger_first[1:]])
    found = [
        (entry.path, entry.convert(given[entry.name]), entry.plugin, entry.name)
        for entry in LEGACY
        if entry.name in given and entry.side in (None, side)
    ]
    found.extend(combined(given))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, value, plugin, name in found:
        if plugin is None:
            put(values, path, value)
            origins[".".join(path)] = f"environment {name}"
    chosen = plugins_chosen([stronger_first[0], values, *stronger_first[1:]])
    for path, value, plugin, name in found:
        if plugin in chosen:
            put(values, path, value)
            origins[".".join(path)] = f"environment {name}"
    notes = [
        *unused_in(given, is_legacy=SIGN in given),
        *overridden([each for each in found if each[2] is None or each[2] in chosen]),
    ]
    return Layer(values, origins, notes=notes)


def side_of(layers: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the side that the first layer with one names."""
    return next((str(layer["side"]) for layer in layers if layer.get("side")), None)


def overridden(found: Sequence[tuple[Path, Any, str | None, str]]) -> Iterator[str]:
    """Yield one line for each variable whose setting another variable sets to something else."""
    setters: defaultdict[Path, list[tuple[str, Any]]] = defaultdict(list)
    for path, value, _, name in found:
        setters[path].append((name, value))
    for path, entries in setters.items():
        winner, effective = entries[-1]
        for name, value in entries[:-1]:
            if name != winner and value != effective:
                yield f"{name} has no effect: {winner} sets {title(path)}"


def combined(given: Mapping[str, str]) -> Iterator[tuple[Path, Any, str | None, str]]:
    """Yield the settings that took several variables."""
    if "DB_HOST" in given:
        yield ("database", "url"), database_url(given), None, "DB_HOST"
    if "MINIO_ENDPOINT" in given:
        scheme = "https" if is_true(given.get("MINIO_SECURE", "")) else "http"
        url = f"{scheme}://{given['MINIO_ENDPOINT']}"
        yield ("storage", "endpoint_url"), url, "storage_minio", "MINIO_ENDPOINT"
        # Its processes made the bucket when they started.
        yield ("storage", "create_bucket"), True, "storage_minio", "MINIO_ENDPOINT"
        if "MINIO_BUCKET_NAME" not in given:
            yield ("storage", "bucket"), DEFAULT_BUCKET, "storage_minio", "MINIO_ENDPOINT"
        if "MINIO_ENABLED" not in given:
            yield ("storage", "plugin"), "storage_minio", None, "MINIO_ENDPOINT"
    for name in ("LIDIS_HOST", "PACKET_RECEIVER_HOST"):
        if name in given:
            yield ("transport", "plugin"), "transport_lidi", None, name


def database_url(given: Mapping[str, str]) -> str:
    """Build the URL of the PostgreSQL database that five variables name."""
    user = quote(given.get("DB_USER", "eurydice"), safe="")
    password = quote(given.get("DB_PASSWORD", ""), safe="")
    name = quote(given.get("DB_NAME", "eurydice"), safe="")
    port = given.get("DB_PORT", "5432")
    return f"postgresql+psycopg://{user}:{password}@{given['DB_HOST']}:{port}/{name}"


def plugins_chosen(layers: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the plugins that the layers choose, the first layer strongest."""
    chosen: set[str] = set()
    for table, model in OPEN_TABLES.items():
        key = "plugin" if "plugin" in model.model_fields else "plugins"
        default = model.model_fields[key].get_default()
        tables = (layer.get(table, {}) for layer in layers)
        value = next((t[key] for t in tables if isinstance(t, Mapping) and key in t), default)
        with suppress(ValueError):  # not a list; the models say so, with its place
            names = split_list(value)
            chosen.update(map(str, names) if isinstance(names, list | tuple) else ())
    return chosen
