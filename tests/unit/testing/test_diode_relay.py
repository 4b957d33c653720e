from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from eurydice_core.testing.diode import EmulatedDiode, Fault, Faults, Incident, Trace, diode_process

LOCAL = ("127.0.0.1", 0)
PATIENCE = 10.0


@pytest.fixture
def far_end() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        sock.settimeout(PATIENCE)
        yield sock


@pytest.fixture
def near_end() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


def send_cut_by_the_kernel(sock: socket.socket, address, datagrams: list[bytes]) -> None:
    size = len(datagrams[0]).to_bytes(2, "little")
    sock.sendmsg([b"".join(datagrams)], [(17, 103, size)], 0, address)


def received(sock: socket.socket, count: int) -> list[bytes]:
    return [sock.recv(65536) for _ in range(count)]


def test_batches_come_out_as_the_datagrams_they_were(near_end, far_end) -> None:
    sent = [bytes([number]) * 1000 for number in range(60)]
    with EmulatedDiode(LOCAL, far_end.getsockname()) as diode:
        send_cut_by_the_kernel(near_end, diode.address, sent)
        near_end.sendto(b"", diode.address)
        near_end.sendto(b"alone", diode.address)
        while diode.step():
            pass
        assert received(far_end, 62) == [*sent, b"", b"alone"]
        assert diode.counts()["forwarded"] == diode.counts()["datagrams"] == 62


def test_what_happens_is_what_was_decided(near_end, far_end) -> None:
    sent = [bytes([number]) * 1000 for number in range(40)]
    script = Trace(
        [
            Incident(1, Fault.LOSE, 2),
            Incident(5, Fault.TRUNCATE, 7),
            Incident(6, Fault.DUPLICATE, 1),
            Incident(8, Fault.DELAY, 3),
        ]
    )
    with EmulatedDiode(LOCAL, far_end.getsockname(), script) as diode:
        send_cut_by_the_kernel(near_end, diode.address, sent)
        while diode.step():
            pass
    order = [0, 3, 4, 5, 6, 6, 7, 9, 10, 11, 8, *range(12, 40)]
    expected = [sent[number] if number != 5 else sent[5][:7] for number in order]
    assert received(far_end, len(order)) == expected


def test_more_copies_than_one_call_takes_are_sent_by_several(near_end, far_end) -> None:
    sent = [bytes([number]) * 1400 for number in range(46)]
    with EmulatedDiode(LOCAL, far_end.getsockname(), Faults(duplicate=1.0)) as diode:
        send_cut_by_the_kernel(near_end, diode.address, sent)
        while diode.step():
            pass
    assert received(far_end, 92) == [twice for one in sent for twice in (one, one)]


def test_stalled_datagrams_come_afterwards_in_order(near_end, far_end) -> None:
    sent = [bytes([number]) for number in range(10)]
    script = Trace([Incident(3, Fault.STALL, 50)])
    with EmulatedDiode(LOCAL, far_end.getsockname(), script) as diode, diode.running():
        for datagram in sent:
            near_end.sendto(datagram, diode.address)
        assert received(far_end, 10) == sent


def test_recorded_run_is_replayed_by_a_process(near_end, far_end, tmp_path) -> None:
    sent = [number.to_bytes(2, "big") * 500 for number in range(60)]
    faults = Faults(loss=0.2, duplicate=0.2, reorder=0.2, corrupt=0.2, truncate=0.2, seed=11)
    runs = []
    for decided in (faults, tmp_path / "trace"):
        trace = tmp_path / "trace" if decided is faults else None
        with diode_process(LOCAL, far_end.getsockname(), decided, trace=trace) as diode:
            send_cut_by_the_kernel(near_end, diode.address, sent)
            counts = diode.finish()
        assert counts["datagrams"] == 60
        runs.append(received(far_end, counts["forwarded"]))
    assert runs[0] == runs[1]
    assert len(runs[0]) != 60 or runs[0] != sent


def test_address_in_use_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        with pytest.raises(OSError, match="in use"):
            EmulatedDiode(sock.getsockname(), LOCAL)


def test_process_that_cannot_listen_is_told(capfd) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        with (
            pytest.raises(OSError, match="the emulated diode cannot listen on"),
            diode_process(sock.getsockname(), LOCAL),
        ):
            pass
    assert "Address already in use" in capfd.readouterr().err
