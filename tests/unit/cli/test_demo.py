"""`eurydice demo`: what it refuses before anything starts, and the files it writes."""

from __future__ import annotations

import hashlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.cli.demo.configuration import (
    Choices,
    as_toml,
    override,
    write_configurations,
)
from eurydice_core.cli.demo.content import File, check_room, make_file
from eurydice_core.cli.demo.sides import plain_environment
from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.model.states import Side
from eurydice_core.testing.s3_server import S3Server

DEFAULT = Choices(storage="storage_fs", scheduler="scheduler_rotating", transport="transport_udp")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the demo puts its own directory."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none"], "there is no file none"),
        (["temporary"], "temporary is no regular file"),
        (["--transport", "transport_smoke"], "no transport plugin called 'transport_smoke'; inst"),
        (["--storage", "scheduler_fifo"], "(scheduler_fifo is of kind scheduler); installed: "),
        (["--size", "900TiB"], "choose another place with --dir, or carry less"),
        (["--dir", "."], "is not empty"),
        (["--set", "transport.speed=1"], "[transport] speed: unknown key for transport_udp"),
        (["--set", "nonsense"], "write it as in --set transport.rate=500"),
        (["--set", "state_dir.x=1"], "--set state_dir.x=1: state_dir is no table"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(eurydice, temporary, arguments, reason):
    code, _, err = eurydice("demo", *arguments)
    assert code == 1
    assert reason in err
    assert err.startswith("eurydice: error: ")
    assert err.count("\n") == 1
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    "arguments", [["--size", "much"], ["--timeout", "long"], ["file", "--size", "1"]]
)
def test_options_that_make_no_sense_are_exit_code_2(eurydice, arguments):
    assert eurydice("demo", *arguments)[0] == 2


def test_a_failure_is_told_to_programs_too(eurydice, temporary):
    code, out, err = eurydice("demo", "--json", "--set", "nonsense")
    assert code == 1
    assert '"ok": false' in out
    assert "nonsense" in out
    assert err.count("\n") == 1


@pytest.mark.parametrize("transport", ["transport_udp", "transport_lidi"])
def test_the_sides_share_a_link_and_nothing_else(tmp_path, transport):
    choices = Choices(storage="storage_fs", scheduler="scheduler_fifo", transport=transport)
    made = write_configurations(tmp_path, choices, None)
    origin, destination = (load_settings(made[side].file, {}).settings for side in Side)
    assert (origin.side, destination.side) == (Side.ORIGIN, Side.DESTINATION)
    assert origin.link.secret == destination.link.secret
    assert origin.transport == destination.transport
    assert origin.scheduler.plugin == "scheduler_fifo"
    for table in ("secret_key", "database", "storage", "api", "state_dir"):
        assert getattr(origin, table) != getattr(destination, table)
    assert made[Side.ORIGIN].url == f"http://127.0.0.1:{origin.api.port}"
    assert made[Side.ORIGIN].file.stat().st_mode & 0o777 == 0o600


def test_each_side_has_its_bucket(tmp_path):
    s3 = S3Server(
        endpoint_url="http://127.0.0.1:1", access_key="a", secret_key="s", log=tmp_path / "log"
    )
    choices = Choices(
        storage="storage_minio", scheduler="scheduler_fifo", transport="transport_udp"
    )
    made = write_configurations(tmp_path, choices, s3)
    buckets = [load_settings(made[s].file, {}).settings.storage.options["bucket"] for s in Side]
    assert buckets == ["eurydice-origin", "eurydice-destination"]


def test_settings_go_where_they_are_set():
    def result(side, *texts):
        tables = {"transport": {"rate": 1}}
        for text in texts:
            override(tables, side, text)
        return tables

    assert result(Side.ORIGIN, "transport.rate=500") == {"transport": {"rate": 500}}
    assert result(Side.ORIGIN, "origin.transport.rate=2") == {"transport": {"rate": 2}}
    assert result(Side.ORIGIN, "destination.transport.rate=2") == {"transport": {"rate": 1}}
    assert result(Side.ORIGIN, "auth.auth_basic.allow_http=true", "log.level=DEBUG")["auth"] == {
        "auth_basic": {"allow_http": True}
    }
    assert result(Side.ORIGIN, "a.b=1s=2")["a"] == {"b": "1s=2"}


VALUES = st.booleans() | st.integers(-(2**31), 2**31) | st.text(st.characters(codec="utf-8"))
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3), max_size=4),
    lambda inner: st.dictionaries(KEYS, inner | VALUES, max_size=4),
    max_leaves=6,
)


@given(TABLES)
def test_what_is_written_reads_as_it_was(tables):
    assert tomllib.loads(as_toml(tables)) == tables


def test_a_made_up_file_is_as_large_as_asked_and_never_the_same(tmp_path):
    seen = set()
    for size in (0, 1, 2**20, 2**20 + 1):
        for _ in range(2):
            counted = []
            file = make_file(tmp_path / "random", size, counted.append)
            content = b"".join(file.chunks())
            assert sum(counted) == file.size == len(content) == size
            seen.add(hashlib.sha256(content).digest())
    assert len(seen) == 7  # two empty files are the same


@pytest.mark.parametrize(
    ("name", "told"),
    [("Ü ☃.txt", "Ü ☃.txt"), (" a\nb\t", "a_b_"), ("\udcff", "?"), ("a\x7f", "a_")],
)
def test_a_name_is_told_as_far_as_a_header_can(tmp_path, name, told):
    assert File(tmp_path / name, 0).name == told


def test_room_is_asked_for_beforehand(tmp_path):
    check_room(tmp_path, 0)
    with pytest.raises(ConfigurationError, match="--dir, or carry less"):
        check_room(tmp_path, 2**60)


def test_settings_of_the_environment_do_not_reach_the_sides(monkeypatch):
    for name in ("EURYDICE_CONFIG", "EURYDICE_SIDE", "DB_HOST", "LOG_LEVEL", "MINIO_ENDPOINT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HARMLESS", "x")
    environ = plain_environment()
    assert environ["HARMLESS"] == "x"
    assert not {"EURYDICE_CONFIG", "EURYDICE_SIDE", "DB_HOST", "LOG_LEVEL", "MINIO_ENDPOINT"} & {
        *environ
    }
