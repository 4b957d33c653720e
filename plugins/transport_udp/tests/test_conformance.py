from __future__ import annotations

import socket
from pathlib import Path

import pytest

from eurydice_core.hookspecs import Context
from eurydice_core.interfaces.transport import Transport
from eurydice_core.model.states import Side
from eurydice_core.testing.transport import TransportConformance
from eurydice_transport_udp import Settings, UdpTransport, eurydice_transport


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


class TestUdpTransport(TransportConformance):
    @pytest.fixture
    def transport(self, tmp_path: Path) -> Transport:
        self.settings = Settings(
            bind="127.0.0.1",
            port=unused_port(),
            rate=4000,
            reassembly_timeout=0.2,
            buffer_packets=32,
        )
        context = Context(side=Side.ORIGIN, state_dir=tmp_path)
        transport = eurydice_transport().create(self.settings, context)
        assert isinstance(transport, UdpTransport)
        return transport

    def receiver_address(self, transport: Transport) -> str:
        return f"127.0.0.1:{self.settings.port}"

    def inject(self, transport: Transport, data: bytes) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, ("127.0.0.1", self.settings.port))
        return True
