"""The sender loses nothing, whatever lidis does."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from eurydice_core.errors import ConfigurationError, LinkDown, TransportError
from eurydice_core.hookspecs import Context
from eurydice_core.model.states import Side
from eurydice_transport_lidi import LidiSender, LidiTransport, Settings, eurydice_transport

PACKET = bytes(range(256)) * 20_000


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, on_sleep: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._on_sleep = on_sleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self._on_sleep()


def sender_to(port: int, clock: Clock | None = None, **settings: float) -> LidiSender:
    clock = clock or Clock()
    return LidiSender(("127.0.0.1", port), Settings(**settings), clock=clock, sleep=clock.sleep)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def read_all(peer: socket.socket, chunk: int = 65536) -> bytes:
    data = bytearray()
    while piece := peer.recv(chunk):
        data += piece
    return bytes(data)


def reset(peer: socket.socket) -> bytes:
    peer.recv(4096)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return b"reset"


@contextmanager
def lidis(
    *behaviours: Callable[[socket.socket], bytes], port: int = 0
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection after another, each in its own way."""
    results: list[bytes] = []
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        for behave in behaviours:
            peer, _ = server.accept()
            with peer:
                results.append(behave(peer))

    thread = threading.Thread(target=serve)
    thread.start()
    with server:
        yield server.getsockname()[1], results
        thread.join(10)


def test_slow_reader_gets_all_of_it():
    with lidis(lambda peer: read_all(peer, 777)) as (port, results):
        sender_to(port).send(PACKET)
    assert results == [PACKET]


def test_each_packet_has_a_connection_of_its_own():
    with lidis(read_all, read_all) as (port, results):
        sender = sender_to(port)
        sender.send(b"first")
        sender.send(b"second")
    assert results == [b"first", b"second"]
    assert sender.counters() == {"packets": 2, "bytes": 11, "retries": 0}


def test_connection_reset_in_the_middle_is_tried_again():
    with lidis(reset, reset, read_all) as (port, results):
        sender = sender_to(port)
        sender.send(PACKET)
    assert results == [b"reset", b"reset", PACKET]
    assert sender.counters() == {"packets": 1, "bytes": len(PACKET), "retries": 2}


def test_packet_is_sent_once_lidis_has_started():
    port = free_port()
    started = []

    def start_at_third_try() -> None:
        if len(clock.slept) == 2:
            lidis_running = lidis(read_all, port=port)
            started.append((lidis_running, lidis_running.__enter__()[1]))

    clock = Clock(start_at_third_try)
    sender_to(port, clock).send(PACKET)
    [(running, results)] = started
    running.__exit__(None, None, None)
    assert results == [PACKET]


def test_refused_connections_end_in_link_down_after_the_time_for_it():
    clock = Clock()
    sender = sender_to(free_port(), clock, retry_for=60)
    with pytest.raises(LinkDown, match=r"lidis at 127\.0\.0\.1:\d+ did not take a packet in 1 min"):
        sender.send(PACKET)
    assert 50 < clock.now <= 60
    assert sender.counters()["packets"] == 0


def test_delays_between_tries_grow_up_to_a_limit():
    clock = Clock()
    with pytest.raises(LinkDown):
        sender_to(free_port(), clock, retry_for=60).send(PACKET)
    assert all(later > earlier / 2 for earlier, later in itertools.pairwise(clock.slept))
    assert clock.slept[0] <= 0.1
    assert 2.5 <= clock.slept[-1] <= 5


def test_lidis_that_reads_nothing_is_given_up():
    release = threading.Event()

    def ignore(_: socket.socket) -> bytes:
        release.wait(10)
        return b""

    with lidis(ignore) as (port, _):
        with pytest.raises(LinkDown, match="timed out"):
            sender_to(port, retry_for=0, send_timeout=0.05).send(bytes(64 * 2**20))
        release.set()


def test_packet_counts_only_once_lidis_closed_the_connection():
    release = threading.Event()

    def keep_open(peer: socket.socket) -> bytes:
        data = read_all(peer)
        release.wait(10)
        return data

    with lidis(keep_open) as (port, _):
        sender = sender_to(port, retry_for=0, confirm_timeout=0.05)
        with pytest.raises(LinkDown):
            sender.send(b"packet")
        release.set()
    assert sender.counters()["packets"] == 0


def test_close_is_not_awaited_where_settings_say_so():
    release = threading.Event()

    def keep_open(peer: socket.socket) -> bytes:
        release.wait(10)
        return read_all(peer)

    with lidis(keep_open) as (port, results):
        sender_to(port, confirm_timeout=0).send(b"packet")
        release.set()
    assert results == [b"packet"]


def test_server_that_answers_is_not_taken_for_lidis():
    def answer(peer: socket.socket) -> bytes:
        data = read_all(peer)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return data

    with lidis(answer) as (port, _), pytest.raises(LinkDown, match="not lidis"):
        sender_to(port, retry_for=0).send(b"packet")


def test_abandoned_packet_is_an_error_for_lidis_and_no_end():
    failed = threading.Event()

    def see_the_error(peer: socket.socket) -> bytes:
        failed.wait(10)
        with pytest.raises(ConnectionResetError):
            read_all(peer)
        return b"saw it"

    with lidis(see_the_error) as (port, results):
        with pytest.raises(LinkDown):
            sender_to(port, retry_for=0, send_timeout=0.05).send(bytes(64 * 2**20))
        failed.set()
    assert results == [b"saw it"]


def test_pace_is_kept_over_packets():
    clock = Clock()
    with lidis(read_all, read_all) as (port, _):
        sender = sender_to(port, clock, rate_mbit=80)
        for _ in range(2):
            sender.send(bytes(10**7))
    assert clock.now == pytest.approx(2.0, rel=0.03)


def test_clock_read_late_does_not_break_the_pace():
    clock = Clock()
    clock.step = 0.004  # as on a busy machine: time passes between two readings
    with lidis(read_all) as (port, _):
        sender_to(port, clock, rate_mbit=900).send(bytes(10**7))
    assert all(seconds >= 0 for seconds in clock.slept)


def test_sender_without_an_address_says_which_settings_are_missing():
    transport = LidiTransport(Settings())
    with pytest.raises(TransportError, match="lidis_host"), transport.sender():
        pass


def test_origin_is_refused_without_an_address_and_destination_is_not(tmp_path):
    plugin = eurydice_transport()
    with pytest.raises(ConfigurationError, match="lidis_host"):
        plugin.create(Settings(), Context(side=Side.ORIGIN, state_dir=tmp_path))
    context = Context(side=Side.DESTINATION, state_dir=tmp_path)
    assert isinstance(plugin.create(Settings(), context), LidiTransport)
