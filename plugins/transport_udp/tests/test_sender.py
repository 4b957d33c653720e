from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

import pytest

from eurydice_core.errors import LinkDown, TransportError
from eurydice_core.model.pace import Pace
from eurydice_transport_udp import Settings
from eurydice_transport_udp.codec import choose_codec
from eurydice_transport_udp.encoder import PacketEncoder
from eurydice_transport_udp.sender import UdpSender, open_sender

MIB = 1 << 20


class FakeSocket:
    """Records what it is given, after failing as often as told."""

    family = socket.AF_INET

    def __init__(self, failures: Sequence[int] = (), *, cuts: bool = True) -> None:
        self.failures = list(failures)
        self.cuts = cuts
        self.calls: list[tuple[int, bool]] = []

    def sendmsg(
        self,
        buffers: Sequence[memoryview],
        ancillary: Sequence[object],
        flags: int,
        address: object,
    ) -> None:
        if ancillary and not self.cuts:
            raise OSError(errno.EIO, "no checksum offload")
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, "made up")
        self.calls.append((buffers[0].nbytes, bool(ancillary)))


def sender_over(sock: FakeSocket, **settings: object) -> UdpSender:
    checked = Settings.model_validate({"rate": 0, "send_timeout": 0.01, **settings})
    encoder = PacketEncoder(checked.plan(), choose_codec("leopard"), 1)
    return UdpSender(sock, ("127.0.0.1", 7400), checked, encoder, Pace(0))  # type: ignore[arg-type]


def test_kernel_cuts_buffers_of_up_to_64_kilobytes() -> None:
    sock = FakeSocket()
    sender_over(sock).send(bytes(MIB))
    assert max(size for size, _ in sock.calls) == 44 * 1456
    assert len(sock.calls) < 25


def test_datagrams_go_one_by_one_where_the_kernel_cannot_cut() -> None:
    sock = FakeSocket(cuts=False)
    sender = sender_over(sock)
    sender.send(bytes(MIB))
    assert {size for size, _ in sock.calls} == {1456}
    assert sender.counters()["datagrams"] == len(sock.calls)


@pytest.mark.parametrize("passing", [errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED])
def test_passing_trouble_loses_nothing(passing: int) -> None:
    sock = FakeSocket([passing, passing])
    sender = sender_over(sock, send_timeout=10)
    sender.send(bytes(48))
    assert sum(size for size, _ in sock.calls) == 3 * 112
    assert sender.counters()["waits"] == 2
    assert sender.counters()["packets"] == 1


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENETUNREACH, "network is unreachable; give the interface"),
        (errno.ENETDOWN, "network is down; check the interface"),
        (errno.EPERM, "operation not permitted; let the firewall"),
        (errno.EHOSTUNREACH, "no route to host; check the interface"),
        (errno.EADDRNOTAVAIL, "cannot assign requested address; check the interface"),
        (errno.EMFILE, "too many open files; check the interface"),
        (errno.EBADF, "bad file descriptor; check the interface"),
    ],
)
def test_link_that_is_down_is_told_in_one_line(number: int, advice: str) -> None:
    sender = sender_over(FakeSocket([number]))
    with pytest.raises(LinkDown) as failure:
        sender.send(bytes(5000))
    assert str(failure.value).startswith(f"cannot send to 127.0.0.1:7400: {advice}")
    assert sender.counters()["packets"] == 0
    assert sender.counters()["failed"] == 1


def test_queue_that_stays_full_is_given_up() -> None:
    with pytest.raises(LinkDown, match="no buffer space available"):
        sender_over(FakeSocket([errno.ENOBUFS] * 1000)).send(bytes(48))


def test_mtu_the_interface_does_not_carry_is_told() -> None:
    sender = sender_over(FakeSocket([errno.EMSGSIZE] * 2))
    with pytest.raises(LinkDown, match=r"message too long; lower \[transport\] mtu"):
        sender.send(bytes(5000))


def test_failed_packet_does_not_share_its_number_with_the_next_try() -> None:
    sock = FakeSocket([errno.ENETDOWN])
    sender = sender_over(sock)
    with pytest.raises(LinkDown):
        sender.send(bytes(48))
    sender.send(bytes(48))
    assert sender._number == 2


def test_packet_larger_than_allowed_is_refused() -> None:
    sender = sender_over(FakeSocket(), max_packet="1MiB")
    with pytest.raises(TransportError, match=r"larger than \[transport\] max_packet"):
        sender.send(bytes(MIB + 1))


def test_wire_bytes_count_ip_headers() -> None:
    sock = FakeSocket()
    sender = sender_over(sock)
    sender.send(bytes(MIB))
    counters = sender.counters()
    data = sum(size for size, _ in sock.calls)
    assert counters["wire_bytes"] == data + 28 * counters["datagrams"]


def test_unknown_host_is_told() -> None:
    with (
        pytest.raises(TransportError, match=r"no address is known for .*\[transport\] host"),
        open_sender(Settings(host="host.invalid")),
    ):
        pass
