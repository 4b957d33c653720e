"""The configurations of both sides: what `eurydice init` writes, made to work on one machine."""

from __future__ import annotations

import copy
import json
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eurydice_core.cli.config import require_usable
from eurydice_core.cli.init import CONFIG_NAME, content, make, new_secret, write_private
from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.model.states import Side
from eurydice_core.plugins import Kind, discover
from eurydice_core.testing.s3_server import S3Server

__all__ = ["Choices", "Configuration", "check_choices", "write_configurations"]

HOST: Final = "127.0.0.1"
FAST, SLOW = 1500, 500
"""Mbit/s of the native link: what two busy cores keep up with, and how much of it where the
kernel's buffer for what arrives is a small one, as it is by default."""
LARGE_BUFFER: Final = 4 * 2**20  # bytes
SO_RCVBUFFORCE: Final = 33  # from <asm/socket.h>; for administrators
MTU: Final = 9000  # the loopback device carries more
# What got lost because this machine was busy is sent again soon, and silence is short.
SENDER: Final = {"repeat": 10, "repeat_after": "2s", "heartbeat_every": "1s"}

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the demo is made of."""

    storage: str
    scheduler: str
    transport: str
    is_link_bad: bool = False
    """Whether an emulated diode stands between the sides, so that each has its own port."""
    overrides: tuple[str, ...] = ()
    """Such as `transport.rate=500`, or `origin.transport.rate=500` for one side alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One side's, as written."""

    side: Side
    directory: Path
    file: Path
    url: str
    """Of the API."""
    rate: float | None
    """Mbit/s that the link is paced at, if it says so."""
    link_address: tuple[str, int] | None
    """Where the origin sends to, or the destination listens, if it says so."""


def check_choices(choices: Choices) -> None:
    """Return if the plugins are there.

    Raises:
        PluginError: one is not, or is broken; says which are.
    """
    plugins = discover()
    plugins.choose(Kind.STORAGE, choices.storage)
    plugins.choose(Kind.SCHEDULER, choices.scheduler)
    plugins.choose(Kind.TRANSPORT, choices.transport)


def write_configurations(
    place: Path, choices: Choices, s3: S3Server | None
) -> dict[Side, Configuration]:
    """Write a configuration for each side below a directory, and check both.

    Raises:
        ConfigurationError: a setting that was asked for is wrong.
    """
    secret = new_secret()
    transport = transport_keys(choices)
    return {side: written(side, place / side, choices, transport, s3, secret) for side in Side}


def written(
    side: Side,
    directory: Path,
    choices: Choices,
    transport: Tables,
    s3: S3Server | None,
    secret: str,
) -> Configuration:
    """Write one side's configuration and check it."""
    port = free_port(socket.SOCK_STREAM)
    tables = tomllib.loads(content(side, directory, secret))
    tables["api"] = {"host": HOST, "port": port}
    tables["transport"] = {"plugin": choices.transport, **transport}
    if choices.storage != tables["storage"]["plugin"]:
        tables["storage"] = {"plugin": choices.storage, **storage_keys(side, s3)}
    if side is Side.ORIGIN:
        tables["scheduler"] = {"plugin": choices.scheduler}
        tables["sender"] = copy.copy(SENDER)
    elif choices.is_link_bad:
        tables["transport"]["port"] = free_port(socket.SOCK_DGRAM)
    for text in choices.overrides:
        override(tables, side, text)
    make(directory)
    file = directory / CONFIG_NAME
    write_private(file, as_toml(tables))
    check(file)
    host, port = tables["api"]["host"], tables["api"]["port"]
    return Configuration(
        side=side,
        directory=directory,
        file=file,
        url=f"http://{host}:{port}",
        rate=tables["transport"].get("rate"),
        link_address=link_address(tables["transport"]),
    )


def link_address(transport: Tables) -> tuple[str, int] | None:
    """Return where datagrams go, if the transport has such a place."""
    if not {"host", "port"} <= set(transport):
        return None
    return str(transport["host"]), int(transport["port"])


def transport_keys(choices: Choices) -> Tables:
    """Return what makes a link on the loopback device; another plugin keeps its defaults."""
    if choices.transport == "transport_udp":
        port = free_port(socket.SOCK_DGRAM)
        # An emulated diode is one busy process more.
        rate = SLOW if choices.is_link_bad else sustainable_rate()
        return {"host": HOST, "bind": HOST, "port": port, "mtu": MTU, "rate": rate}
    if choices.transport == "transport_lidi":
        port = free_port(socket.SOCK_STREAM)
        return {
            "lidis_host": HOST,
            "lidis_port": port,
            "packet_receiver_host": HOST,
            "packet_receiver_port": port,
        }
    return {}


def sustainable_rate() -> int:
    """Return the speed that this machine's buffers allow."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, LARGE_BUFFER)
        except OSError:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE_BUFFER)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return FAST if granted >= LARGE_BUFFER else SLOW


def storage_keys(side: Side, s3: S3Server | None) -> Tables:
    """Return what leads to the S3 server; another plugin keeps its defaults."""
    if s3 is None:
        return {}
    return {
        "endpoint_url": s3.endpoint_url,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
        "bucket": f"eurydice-{side}",
        "create_bucket": True,
    }


def override(tables: Tables, side: Side, text: str) -> None:
    """Set one key as `--set` says.

    Raises:
        ConfigurationError: it says nothing that could be set.
    """
    dotted, separator, value = text.partition("=")
    path = dotted.strip().split(".")
    if path[0] in tuple(Side) and path.pop(0) != side:
        return
    if not separator or not path or not all(path):
        raise ConfigurationError(f"--set {text}: write it as in --set transport.rate=500")
    for name in path[:-1]:
        tables = tables.setdefault(name, {})
        if not isinstance(tables, dict):
            raise ConfigurationError(f"--set {text}: {name} is no table")
    tables[path[-1]] = parsed(value.strip())


def parsed(text: str) -> Any:
    """Read a value as TOML has it, and what is none as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def check(file: Path) -> None:
    """Return if everything in a configuration is right, the plugins' own keys included.

    Raises:
        ConfigurationError: one line for each thing that is not.
    """
    try:
        require_usable(load_settings(file, {}), discover())
    except ConfigurationError as error:
        # The user wrote no file: --set gave the value, and the file is removed.
        raise ConfigurationError(str(error).replace(f" in {file}", "")) from error


def as_toml(tables: Mapping[str, Any], path: str = "") -> str:
    """Return tables as TOML."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {as_value(value)}" for key, value in plain.items()]
    parts = ["\n".join(lines) + "\n"] if lines else []
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{path}.{key}" if path else key
            parts.append(f"\n[{name}]\n{as_toml(value, name)}")
    return "".join(parts)


def as_value(value: Any) -> str:
    """Return a value as TOML; a JSON string, with DEL escaped, is one of its own."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
