from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest

from eurydice_core.cli.link import calibrate, doctor
from eurydice_core.cli.link.loopback import Pair
from eurydice_core.config import load_settings
from eurydice_core.db.notes import NoteKind, set_note
from eurydice_core.installation import open_database
from eurydice_core.link.kernel import Counters, Interface, Limits, UdpSocket
from eurydice_core.link.sweep import StepResult
from eurydice_core.model.clock import utc_now

ROOM = Limits(
    sysctls={"net.core.rmem_max": 1 << 31},
    interfaces={"lo": Interface(name="lo", mtu=65536, is_up=True)},
)


@pytest.fixture
def counted(monkeypatch):
    """Let the kernel have counted this, one reading after the other."""

    def count(*readings: Counters, limits: Limits = ROOM) -> None:
        left = list(readings)
        monkeypatch.setattr(doctor, "read_counters", lambda: left.pop(0))
        monkeypatch.setattr(doctor, "read_limits", lambda: limits)

    return count


@pytest.fixture
def side(eurydice):
    """Set up one side, at 127.0.0.1."""

    def set_up(name: str) -> None:
        code, _, err = eurydice("init", name)
        assert code == 0, err

    return set_up


@pytest.fixture
def local(monkeypatch):
    monkeypatch.setenv("EURYDICE_TRANSPORT__BIND", "127.0.0.1")
    monkeypatch.setenv("EURYDICE_TRANSPORT__RECEIVE_BUFFER", "64KiB")


def listening(drops: int = 0, **udp: int) -> Counters:
    return Counters(sockets={7400: UdpSocket(drops=drops)}, udp=udp)


@pytest.fixture
def noted(eurydice, side):
    """Set up a destination whose receiver noted this, some seconds ago."""

    def note(*, ago: float = 2.0, **record: dict[str, int]) -> None:
        side("destination")
        assert eurydice("migrate")[0] == 0
        last = (utc_now() - timedelta(seconds=ago)).isoformat()
        streams = {"0123456789ab": {"packets": 90, "missing": 0, "last_packet_at": last}}
        value = {"receiver": {"packets": 90}, "transport": {}, "streams": streams, **record}
        with open_database(load_settings(None, {}).settings) as database, database.write() as s:
            set_note(s, NoteKind.LINK, "receiver/0", value)

    return note


def test_sound_side_is_told_in_three_lines(eurydice, noted, counted, local, monkeypatch):
    noted()
    counted(listening())
    monkeypatch.setattr(doctor, "format_duration", lambda seconds: f"{seconds // 3600:.0f} h")
    code, out, _ = eurydice("link", "doctor")
    assert code == 0
    assert out == (
        "destination side, transport_udp, lo; counted since this machine was started\n"
        "receiver: 90 packets since it was started, the last one 0 h ago\n\n"
        "ok    interface, MTU, receiving card, kernel queue, fragments, UDP, receive buffer,"
        " receiver's socket, receiver, silence, datagrams, senders, authenticity, erasure code,"
        " seal, packets, contents, ingestion\n"
    )


def test_what_the_receiver_noted_is_told_too(eurydice, noted, counted, local):
    noted(ago=7200, transport={"repaired": 12, "margin_percent": 9})
    counted(listening())
    code, out, _ = eurydice("link", "doctor")
    assert code == 1
    assert "LOSS  silence: no packet for 2 h 00 min, not even a heartbeat" in out
    assert "note  erasure code: 12 lost datagrams were computed again" in out


def test_what_the_receiver_noted_before_watching_does_not_count(eurydice, noted, counted, local):
    noted(receiver={"packets": 90, "refused": 9})
    counted(listening(), listening())
    code, out, _ = eurydice("link", "doctor", "--watch", "0.001", "--json")
    assert code == 0, out
    told = json.loads(out)
    assert told["reception"]["receiver"] == {"packets": 0, "refused": 0}
    assert told["reception"]["streams"]["0123456789ab"]["last_packet_at"]


def test_without_a_database_this_machine_is_examined(eurydice, side, counted, local, tmp_path):
    side("destination")
    before = sorted(tmp_path.rglob("*"))
    counted(listening())
    code, out, _ = eurydice("link", "doctor")
    assert code == 0, out
    assert "note  receiver's record: cannot be read, so only this machine was examined: the" in out
    assert "run 'eurydice migrate'" in " ".join(out.split())
    assert sorted(tmp_path.rglob("*")) == before, "nothing was made for whoever runs the doctor"


def test_a_receiver_that_never_ran_is_told(eurydice, side, counted, local):
    side("destination")
    assert eurydice("migrate")[0] == 0
    counted(listening())
    code, out, _ = eurydice("link", "doctor")
    assert code == 0, out
    assert "note  receiver's record: there is none yet: the receiver has not run here" in out


def test_loss_is_told_and_is_the_exit_code(eurydice, side, counted, local):
    side("destination")
    counted(listening(drops=12))
    code, out, _ = eurydice("link", "doctor")
    assert code == 1
    assert "LOSS  receiver's socket: the receive buffer of port 7400 had no room for 12" in out


def test_only_what_is_lost_while_watching_counts(eurydice, side, counted, local):
    side("destination")
    counted(listening(drops=12, RcvbufErrors=12), listening(drops=12, RcvbufErrors=12))
    code, out, err = eurydice("link", "doctor", "--watch", "0.001")
    assert code == 0, out
    assert "counted in 0.001 s" in out
    assert "watching" in err


def test_diagnosis_for_programs_has_the_commands(eurydice, side, counted, local, monkeypatch):
    side("destination")
    counted(listening(), limits=Limits(sysctls={"net.core.rmem_max": 4096}))
    monkeypatch.setattr("eurydice_core.link.doctor.granted_buffer", lambda wanted: 4096)
    code, out, _ = eurydice("link", "doctor", "--json")
    assert code == 1
    told = json.loads(out)
    assert told["link"]["side"] == "destination"
    (finding, _) = told["findings"]
    assert finding["place"] == "receive buffer"
    assert finding["commands"][0] == "sysctl -w net.core.rmem_max=65536"


def test_origin_is_examined_for_what_applies_to_it(eurydice, side, counted):
    side("origin")
    counted(Counters(interfaces={"lo": {"tx_dropped": 3}}))
    code, out, _ = eurydice("link", "doctor")
    assert code == 0
    assert out.startswith("origin side, transport_udp, lo;")
    assert "note  sending card: lo did not send 3 frames" in out


def test_largest_buffer_that_can_be_configured_can_be_examined(
    eurydice, side, counted, local, monkeypatch
):
    side("destination")
    monkeypatch.setenv("EURYDICE_TRANSPORT__RECEIVE_BUFFER", "1GiB")
    counted(listening())
    assert eurydice("link", "doctor")[2] == ""


def test_transport_without_a_rate_cannot_be_calibrated(eurydice, side, monkeypatch):
    side("origin")
    monkeypatch.setenv("EURYDICE_TRANSPORT__PLUGIN", "transport_lidi")
    code, _, err = eurydice("link", "calibrate", "--role", "loopback")
    assert code == 1
    assert "transport_lidi has no setting rate" in err


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def test_receiver_that_hears_nothing_says_what_to_look_at(eurydice):
    code, out, err = eurydice(
        "link", "calibrate", "--role=receiver", "--wait=0", f"--port={unused_port()}"
    )
    assert code == 1
    assert err == "ready: start the sender\n"
    assert "nothing came" in out


def test_sender_needs_nobody_who_receives(eurydice):
    code, out, _ = eurydice(
        "link", "calibrate", "--role=sender", f"--port={unused_port()}",
        "--host=127.0.0.1", "--from=10", "--to=20", "--steps=2", "--seconds=0.8",
    )  # fmt: skip
    assert code == 0
    assert [line.split(" Mbit/s")[0].strip() for line in out.splitlines()] == ["10", "20"]


def results(*received: int) -> list[Pair]:
    sent = {"mb_per_second": 12.0, "kept_up": True}
    return [
        Pair(sent, StepResult(100.0 * 2**step, 10, came, came * 1000, {}))
        for step, came in enumerate(received)
    ]


@pytest.mark.parametrize(
    ("received", "code", "last"),
    [
        ((10, 10, 9), 0, "set on the origin: [transport] rate = 180"),
        ((9, 10), 1, "not even the lowest rate arrived whole: run eurydice link doctor here"),
    ],
)
def test_loopback_ends_with_what_to_set(eurydice, monkeypatch, received, code, last):
    monkeypatch.setattr(calibrate, "run_pair", lambda arguments: iter(results(*received)))
    ended, out, _ = eurydice("link", "calibrate", "--role=loopback")
    assert ended == code
    assert len(out.splitlines()) == len(received) + 1 + (not code)
    assert out.splitlines()[-1] == last


def test_loopback_for_programs_is_one_object_a_line(eurydice, monkeypatch):
    monkeypatch.setattr(calibrate, "run_pair", lambda arguments: iter(results(10, 4)))
    code, out, _ = eurydice("link", "calibrate", "--role=loopback", "--json")
    assert code == 0
    *steps, end = map(json.loads, out.splitlines())
    assert [(step["rate"], step["received"], step["whole"]) for step in steps] == [
        (100.0, 10, True),
        (200.0, 4, False),
    ]
    assert end == {"highest_lossless": 100.0, "highest_whole": 100.0}


@pytest.mark.e2e
def test_both_ends_run_on_this_machine(eurydice):
    code, out, err = eurydice(
        "link", "calibrate", "--role=loopback", f"--port={unused_port()}", "--host=127.0.0.1",
        "--bind=127.0.0.1", "--from=20", "--to=40", "--steps=2", "--seconds=0.8", "--json",
    )  # fmt: skip
    assert code == 0, err
    *steps, end = map(json.loads, out.splitlines())
    assert [step["rate"] for step in steps] == [20, 40]
    assert end["highest_whole"] == 40


@pytest.mark.e2e
def test_end_that_does_not_start_is_told(eurydice):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        code, _, err = eurydice(
            "link", "calibrate", "--role=loopback", f"--port={port}", "--bind=127.0.0.1"
        )
    assert code == 1
    assert "the receiving end did not start: eurydice: error: cannot listen on" in err
