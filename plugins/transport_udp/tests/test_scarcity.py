"""Every error that a system without memory or descriptors gives, at every call that may get it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eurydice_core.errors import TransportError
from eurydice_transport_udp import Settings, UdpTransport
from eurydice_transport_udp.arena import Arena
from eurydice_transport_udp.process import CollectorProcess
from eurydice_transport_udp.receiver import UdpReceiver

WAIT = 20.0
SCARCE = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.EPERM]
STARTING = [
    (os, "memfd_create"),
    (socket, "socketpair"),
    (subprocess, "Popen"),
    (Arena, "__init__"),
]


def failing(number: int) -> Any:
    def fail(*arguments: object, **named: object) -> object:
        raise OSError(number, os.strerror(number))

    return fail


def transport() -> UdpTransport:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    return UdpTransport(Settings(bind="127.0.0.1", port=port, reassembly_timeout=0.2))


@pytest.fixture
def link() -> UdpTransport:
    return transport()


@pytest.fixture(scope="module")
def orphaned() -> Iterator[UdpReceiver]:
    """Open a receiver whose collecting process was killed."""
    with transport().receiver() as receiver:
        assert isinstance(receiver, UdpReceiver)
        kill(receiver)
        yield receiver


def kill(receiver: UdpReceiver) -> None:
    os.kill(receiver._process._process.pid, signal.SIGKILL)
    receiver._process._process.wait()


@pytest.mark.parametrize("number", SCARCE, ids=errno.errorcode.get)
@pytest.mark.parametrize(("where", "name"), STARTING)
def test_collector_that_cannot_start_is_a_transport_error(
    orphaned: UdpReceiver, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, number: int
) -> None:
    orphaned._start_again_at = time.monotonic()
    files = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(where, name, failing(number))
        with pytest.raises(TransportError, match=r"did not start|too little memory") as refusal:
            orphaned.receive(WAIT)
    assert os.strerror(number) in f"{refusal.value} {refusal.value.__cause__}"
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


def test_link_goes_on_once_there_is_enough_again(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with link.receiver() as receiver, link.sender() as sender:
        assert isinstance(receiver, UdpReceiver)
        kill(receiver)
        with monkeypatch.context() as patch:
            patch.setattr(os, "memfd_create", failing(errno.EMFILE))
            for _ in range(2):
                with pytest.raises(TransportError):
                    receiver.receive(WAIT)
        receiver._start_again_at = time.monotonic()
        sender.send(b"after")
        assert bytes(receiver.receive(WAIT) or b"") == b"after"


def test_link_stays_failed_between_two_tries_to_start_it(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with link.receiver() as receiver:
        assert isinstance(receiver, UdpReceiver)
        kill(receiver)
        monkeypatch.setattr(os, "memfd_create", failing(errno.EMFILE))
        with pytest.raises(TransportError, match="did not start"):
            receiver.receive(WAIT)
        receiver._start_again_at = time.monotonic() + WAIT
        with pytest.raises(TransportError, match="did not start"):
            receiver.receive(0)


def test_collector_whose_receiver_ended_meanwhile_ends_quietly(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def close_ours(process: CollectorProcess) -> None:
        process._control.close()
        process._process.wait(WAIT)

    monkeypatch.setattr(CollectorProcess, "_await_start", close_ours)
    with link.receiver() as receiver:
        assert isinstance(receiver, UdpReceiver)
        assert receiver._process._process.returncode == 0
    assert "Traceback" not in capfd.readouterr().err


def test_restarts_of_a_collector_that_keeps_dying_become_rare(link: UdpTransport) -> None:
    with link.receiver() as receiver:
        assert isinstance(receiver, UdpReceiver)
        pauses = []
        for _ in range(9):
            kill(receiver)
            receiver._start_again_at = 0.0
            receiver.receive(0)
            pauses.append(receiver._pause)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("name", ["select.poll", "eurydice_transport_udp.process.unpack_event"])
@pytest.mark.parametrize("number", SCARCE, ids=errno.errorcode.get)
def test_scarcity_while_receiving_is_a_transport_error(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(b"before")
        with monkeypatch.context() as patch:
            patch.setattr(name, failing(number))
            with pytest.raises(TransportError):
                receiver.receive(WAIT)
        sender.send(b"after")
        assert b"after" in iter(lambda: bytes(receiver.receive(WAIT) or b""), b"")


def test_packet_waits_for_memory_and_is_not_lost(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(data: object) -> memoryview:
        raise MemoryError

    with link.receiver() as receiver, link.sender() as sender:
        assert isinstance(receiver, UdpReceiver)
        sender.send(b"packet")
        with monkeypatch.context() as patch:
            patch.setattr(receiver._memory, "copy", no_memory)
            for _ in range(2):
                with pytest.raises(TransportError, match="out of memory"):
                    receiver.receive(WAIT)
        assert bytes(receiver.receive(WAIT) or b"") == b"packet"


@pytest.mark.parametrize("number", SCARCE, ids=errno.errorcode.get)
@pytest.mark.parametrize("end", ["sender", "receiver"])
def test_end_without_a_socket_is_a_transport_error(
    link: UdpTransport, monkeypatch: pytest.MonkeyPatch, end: str, number: int
) -> None:
    monkeypatch.setattr(socket, "socket", failing(number))
    with pytest.raises(TransportError, match="cannot open a socket"), getattr(link, end)():
        pass
