"""The transport keeps its promises, directly and through something that relays like lidi."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from eurydice_core.interfaces.transport import Transport
from eurydice_core.testing.transport import TransportConformance
from eurydice_transport_lidi import LidiTransport, Settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def settings_for(lidis_port: int, receiver_port: int) -> Settings:
    return Settings(
        lidis_host="127.0.0.1",
        lidis_port=lidis_port,
        packet_receiver_port=receiver_port,
        retry_for=0.2,
    )


class Relay:
    """lidis, the diode and lidir in one thread: takes a stream to its end, then hands it on."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._server.accept()
            with peer:
                data = read_to_end(peer)
            if data == b"stop":
                return
            with (
                suppress(ConnectionError),  # lidir gives up on a transfer that nobody takes
                socket.create_connection(("127.0.0.1", self._target_port)) as target,
            ):
                target.sendall(data)

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as peer:
            peer.sendall(b"stop")
        self._thread.join()
        self._server.close()


def read_to_end(peer: socket.socket) -> bytes:
    data = bytearray()
    while chunk := peer.recv(1 << 20):
        data += chunk
    return bytes(data)


class LidiConformance(TransportConformance):
    receiver_port: int

    def receiver_address(self, transport: Transport) -> str:
        return f"127.0.0.1:{self.receiver_port}"

    def inject(self, transport: Transport, data: bytes) -> bool:
        with socket.create_connection(("127.0.0.1", self.receiver_port)) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        return True


class TestStraightToTheReceiver(LidiConformance):
    detects_link_down = True

    @pytest.fixture
    def transport(self) -> Transport:
        self.receiver_port = free_port()
        return LidiTransport(settings_for(self.receiver_port, self.receiver_port))


class TestThroughARelay(LidiConformance):
    @pytest.fixture
    def transport(self) -> Iterator[Transport]:
        self.receiver_port = free_port()
        relay = Relay(self.receiver_port)
        yield LidiTransport(settings_for(relay.port, self.receiver_port))
        relay.close()
