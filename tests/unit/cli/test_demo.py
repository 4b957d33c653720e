"""`eurydice demo`: what it refuses before anything starts, and the files it writes."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.cli.demo import demo
from eurydice_core.cli.demo.bad_link import BadLink, read_bad_link
from eurydice_core.cli.demo.configuration import (
    Choices,
    as_toml,
    override,
    write_configurations,
)
from eurydice_core.cli.demo.content import File, check_room, make_file
from eurydice_core.cli.demo.crossing import Crossing
from eurydice_core.cli.demo.sides import plain_environment
from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.link.reception import LinkRecord
from eurydice_core.model.states import Side
from eurydice_core.testing.diode import Faults
from eurydice_core.testing.diode.faults import burst_windows
from eurydice_core.testing.s3_server import S3Server

DEFAULT = Choices(storage="storage_fs", scheduler="scheduler_rotating", transport="transport_udp")
NOTHING = LinkRecord()


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
        (
            ["--transport", "transport_lidi", "--loss", "3%"],
            "transport_lidi sends none it could take: leave out --transport, or --loss, --burst, ",
        ),
        (["--loss", "3%", "--trace", "none/trace"], "--trace: cannot write "),
        (["--loss", "3%", "--set", "transport.port=7400"], "a bad link needs a port on each side"),
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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--loss", "much"], "'--loss': 'much' is no percentage: write 0 to 100, such as 3%"),
        (["--corrupt", "101%"], "'--corrupt': '101%' is no percentage"),
        (["--reorder", "-1"], "'--reorder': '-1' is no percentage"),
        (["--duplicate", "nan"], "'--duplicate': 'nan' is no percentage"),
        (["--burst", "2 bits"], "'--burst': '2 bits' is not a size"),
        (["--burst", "2MiB", "--burst-every", "1MiB"], "must be at least --burst, which is 2.0 M"),
    ],
)
def test_a_link_that_no_link_can_be_is_told_in_one_line(eurydice, arguments, reason):
    code, _, err = eurydice("demo", *arguments)
    assert code == 2
    *_, line = err.splitlines()
    assert line.startswith("Error: ")
    assert reason in line


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


def test_a_bad_link_is_what_its_options_say(tmp_path):
    def asked(*arguments):
        return read_bad_link(demo.make_context("demo", list(arguments)).params)

    assert asked() is None
    assert asked("--seed", "9") is None
    told = asked("--loss", "3%", "--burst", "2MB", "--corrupt", "0.5", "--seed", "7")
    assert told == BadLink(
        faults=Faults(
            loss=0.03, burst_bytes=2_000_000, burst_every=128_000_000, corrupt=0.005, seed=7
        )
    )
    assert str(told) == "3 % lost, 0.5 % corrupted, 1.9 MiB in a row lost in every 122.1 MiB"
    told = asked("--burst", "1MB", "--burst-every", "1MB", "--trace", str(tmp_path / "trace"))
    assert told.faults == Faults(burst_bytes=1_000_000, burst_every=1_000_000)
    assert told.trace == tmp_path / "trace"


def test_a_bad_link_has_an_end_on_each_side_and_a_pace_that_leaves_room_for_it(tmp_path):
    choices = replace(DEFAULT, is_link_bad=True)
    made = write_configurations(tmp_path, choices, None)
    (enter, port), (leave, other) = (made[side].link_address for side in Side)
    assert enter == leave == "127.0.0.1"
    assert port != other
    assert made[Side.ORIGIN].rate == 500


class Diode:
    """Stands for a process whose link did this."""

    def __init__(self, **counts):
        self.counts = {"duplicated": 0, "delayed": 0, "corrupted": 0, "kernel_drops": 0, **counts}

    def finish(self):
        return self.counts


def crossing(record=NOTHING, **counts):
    faults = Faults(loss=0.03, burst_bytes=2_000_000, burst_every=4_000_000, seed=7)
    made = Crossing(BadLink(faults=faults), Diode(**counts), record=record)
    made.counts = made.process.finish() if counts else {}
    return made


def test_bursts_are_those_among_what_came():
    starts = [start for start, _ in islice(burst_windows(crossing().link.faults), 3)]
    assert crossing().bursts == 0
    for number, start in enumerate(starts):
        before = crossing(datagrams=10, bytes=start - 280, lost=0)
        behind = crossing(datagrams=10, bytes=start - 279, lost=0)
        assert (before.bursts, behind.bursts) == (number, number + 1)


def test_what_a_bad_link_did_and_what_came_of_it_are_told_together():
    record = LinkRecord(
        receiver={"packets": 7},
        transport={"repaired": 1518, "margin_percent": 43, "lost_packets": 2},
    )
    made = crossing(record, datagrams=1000, bytes=9_000_000, lost=45, corrupted=3)
    assert list(made.lines()) == [
        (
            "link",
            "1,000 datagrams, 8.6 MiB; 45 lost (4.5%),"
            f" {made.bursts} bursts of 1.9 MiB among them, 3 corrupted",
        ),
        (
            "receiver",
            "7 packets, in which 1,518 lost datagrams were computed again; the worst had 43 % of"
            " its repair left",
        ),
        ("", "2 packets lost more than that; what was in there was sent again"),
    ]
    facts = made.facts()
    assert facts["faults"]["loss"] == 0.03
    assert facts["link"]["lost"] == 45
    assert (facts["receiver"], facts["transport"]) == (record.receiver, record.transport)


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
