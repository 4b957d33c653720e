"""A wrong value of any setting is told in our words: setting, place, expectation, value."""

from __future__ import annotations

# ruff: noqa: E501 - a message is easier to read on one line
import json
import re
from itertools import chain

import pytest
from pydantic_core._pydantic_core import list_all_errors

from eurydice_core.config import load_settings
from eurydice_core.config.schema import FIELDS, SECRETS, variable
from eurydice_core.errors import ConfigurationError
from eurydice_core.plugins import discover

WRONG = (
    "fast", "", "-1", "1.5", "[1,", '{"a": 1}', "a\nb", "x" * 200, "*", "ünïcode",
    -1, 0, 1.5, 10**30, True, float("nan"), float("inf"), [], [1, [2]], ["x", {}], {}, {"a": {}},
)  # fmt: skip
PYDANTIC = re.compile(
    "|".join(
        {
            re.escape(part.strip())
            for error in list_all_errors()
            for part in re.split(r"\{[^}]*\}", error["message_template_python"])
            if len(part.strip()) > 9
        }
        | {"Input ", "Value error", "validation error", "type=", "Expecting ", "pydantic"}
    )
)
OURS = re.compile(
    r"must be |must not be empty|must have at least |is not a |is missing|unknown key|has a table|"
    r"names a plugin twice|exclude each other|needs |lower max_packet|give an? |cannot read|"
    r"is not the name of a header|go together|range_size must|must match|is given"
)
LEAST = {
    "side": "origin",
    "secret_key": "k" * 32,
    "database.url": "sqlite:////tmp/origin.db",
    "link.secret": "s" * 32,
}
PLUGINS = [plugin for plugin in discover().installed if plugin.plugin is not None]
OPTIONS = [(plugin, name) for plugin in PLUGINS for name in plugin.plugin.settings.model_fields]


def toml(path, value):
    """Return a whole configuration with this value at this path."""
    lines = {**LEAST, ".".join(path): value}
    return "\n".join(f"{key} = {as_toml(each)}" for key, each in lines.items())


def as_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return str(value) if str(value) in ("nan", "inf") else json.dumps(value, ensure_ascii=False)


def lines_of(load):
    try:
        load()
    except ConfigurationError as error:
        return str(error).splitlines()
    return []


def require_plain(lines, *, name, place, value):
    for line in lines:
        assert not PYDANTIC.search(line), line
        assert OURS.search(line), line
        assert name in line
        assert place in line
        assert len(line) < 400 + len(place)
        assert not (isinstance(value, str) and len(value) > 100 and value in line)


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_core_setting_in_a_file(path, tmp_path):
    file = tmp_path / "eurydice.toml"
    for value in WRONG:
        if isinstance(value, int) and value > 2**63:
            continue
        file.write_text(toml(path, value), encoding="utf-8")
        lines = lines_of(lambda: load_settings(file, {}))
        require_plain(lines, name=path[-1], place=str(file), value=value)
        if path in SECRETS and lines:
            assert (
                isinstance(value, (list, dict)) or str(value) not in lines[0] or len(str(value)) < 5
            )


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_core_setting_in_the_environment(path, tmp_path):
    file = tmp_path / "eurydice.toml"
    file.write_text(toml(("side",), "origin"))
    for value in WRONG:
        environ = {variable(path): str(value)}
        lines = lines_of(lambda environ=environ: load_settings(file, environ))
        require_plain(lines, name=path[-1], place=variable(path), value=value)


@pytest.mark.parametrize(
    ("plugin", "name"), OPTIONS, ids=[f"{plugin.name}.{name}" for plugin, name in OPTIONS]
)
def test_plugin_setting(plugin, name):
    installed = discover()
    required = {
        key: "some" for key, field in plugin.plugin.settings.model_fields.items()
        if field.is_required()
    }  # fmt: skip
    key = f"{plugin.kind.table(plugin.name)}.{name}"
    for value in chain(WRONG, [None]):
        options = {**required, name: value}
        lines = lines_of(
            lambda options=options: installed.settings(
                plugin.kind, plugin.name, options, {key: "file /etc/eurydice/eurydice.toml"}
            )
        )
        require_plain(lines, name=name, place="/etc/eurydice/eurydice.toml", value=value)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_missing_plugin_setting_names_its_variable(plugin):
    for line in lines_of(lambda: discover().settings(plugin.kind, plugin.name, {})):
        assert not PYDANTIC.search(line)
        assert f"is missing, which {plugin.name} needs: set it to " in line
        assert (
            f"or as EURYDICE_{plugin.kind.table(plugin.name).upper().replace('.', '__')}__" in line
        )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("api.port = 'x'", '[api] port in {}: must be a whole number from 0 to 65535, such as 8080; is "x"'),
        ("api.workers = 0", "[api] workers in {}: must be at least 1, is 0"),
        ("api.workers = 1.5", "[api] workers in {}: must be a whole number from 1 to 256, such as 1; is 1.5"),
        ("api.secure_cookies = 'maybe'", '[api] secure_cookies in {}: must be true or false; is "maybe"'),
        ("api.trusted_origins = 3", '[api] trusted_origins in {}: must be a list of texts, such as ["one", "two"]; is 3'),
        ("api.metrics_from = ['here']", '[api] metrics_from in {}: must be a list of networks, such as ["127.0.0.0/8", "::1/128"]; contains "here"'),
        ("log.format = 'xml'", '[log] format in {}: must be "text" or "json"; is "xml"'),
        ("side = 'left'", 'side in {}: must be "origin" or "destination"; is "left"'),
        ("log = 3", "[log] in {}: must be a table of keys and values; is 3"),
        ("link.secret = 3", "[link] secret in {}: must be a text in quotes of at least 32 characters"),
    ],
)  # fmt: skip
def test_message_of_a_core_setting(text, line, tmp_path):
    file = tmp_path / "eurydice.toml"
    least = {key: value for key, value in LEAST.items() if key != text.partition(" ")[0]}
    file.write_text("\n".join([*(f'{key} = "{value}"' for key, value in least.items()), text]))
    assert lines_of(lambda: load_settings(file, {})) == [line.format(file)]


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("transport_udp", {"rate": "fast"}, '[transport] rate in FILE: must be a number of at least 0, such as 1000; is "fast"'),
        ("transport_udp", {"mtu": 100}, "[transport] mtu in FILE: must be at least 576, is 100"),
        ("transport_udp", {"codec": "best"}, '[transport] codec in FILE: must be "auto", "leopard" or "raptorq"; is "best"'),
        ("storage_fs", {"root": "/", "fsync": "sure"}, '[storage] fsync in FILE: must be true or false; is "sure"'),
        ("storage_fs", {"root": 3}, '[storage] root in FILE: must be a path, such as "/srv/eurydice"; is 3'),
        ("storage_fs", {}, '[storage] root is missing, which storage_fs needs: set it to a path, such as "/srv/eurydice", in the file or as EURYDICE_STORAGE__ROOT'),
        ("storage_minio", {"bucket": "eurydice", "endpoint_url": "ftp://me:secret@host"}, '[storage] endpoint_url in FILE: must be a text in quotes that matches ^https?://[^/]+, such as "https://minio:9000"; is "ftp://***@host"'),
    ],
)  # fmt: skip
def test_message_of_a_plugin_setting(name, options, line):
    plugin = next(plugin for plugin in PLUGINS if plugin.name == name)
    origins = {f"{plugin.kind.table(name)}.{key}": "file FILE" for key in options}
    lines = lines_of(lambda: discover().settings(plugin.kind, name, options, origins))
    assert lines == [line]
