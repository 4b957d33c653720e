from __future__ import annotations

from dataclasses import replace

import pytest

from eurydice_core.link.diagnosis import CHECKS, Diagnosis, Level, LinkFacts, diagnose
from eurydice_core.link.kernel import Counters, Interface, Limits, UdpSocket
from eurydice_core.model.states import Side

MIB = 1 << 20
DESTINATION = LinkFacts(
    side=Side.DESTINATION,
    interfaces=["eth1"],
    host="10.9.8.2",
    port=7400,
    mtu=9000,
    receive_buffer=32 * MIB,
    granted_buffer=32 * MIB,
)
ORIGIN = replace(DESTINATION, side=Side.ORIGIN, is_neighbour=True)
LIMITS = Limits(
    sysctls={"net.core.rmem_max": 32 * MIB, "net.core.netdev_max_backlog": 1000},
    interfaces={"eth1": Interface(name="eth1", mtu=9000, is_up=True)},
    permanent_neighbours=frozenset({"10.9.8.2"}),
)
SOUND = Counters(sockets={7400: UdpSocket()})


def found(diagnosis: Diagnosis) -> list[tuple[Level, str]]:
    return [(finding.level, finding.place) for finding in diagnosis.findings]


@pytest.mark.parametrize("facts", [ORIGIN, DESTINATION], ids=lambda facts: facts.side)
def test_sound_machine_has_nothing_to_tell(facts: LinkFacts) -> None:
    diagnosis = diagnose(facts, LIMITS, SOUND)
    assert diagnosis.findings == []
    assert list(diagnosis.sound) == list(CHECKS[facts.side])
    assert not diagnosis.is_losing


@pytest.mark.parametrize(
    ("counters", "place", "said", "command"),
    [
        (
            Counters(interfaces={"eth1": {"rx_missed_errors": 5000}}),
            "receiving card",
            "eth1 had no room for 5,000 frames",
            "ethtool -G eth1 rx 4096",
        ),
        (
            Counters(interfaces={"eth1": {"rx_crc_errors": 3}}),
            "receiving card",
            "3 damaged frames",
            None,
        ),
        (
            Counters(interfaces={"eth1": {"rx_length_errors": 3}}),
            "receiving card",
            "of a length it does not take",
            "ip link set eth1 mtu 9000",
        ),
        (
            Counters(backlog_drops=9),
            "kernel queue",
            "overflowed 9 times",
            "sysctl -w net.core.netdev_max_backlog=10000",
        ),
        (Counters(ip={"ReasmFails": 4}), "fragments", "4 datagrams in fragments", None),
        (
            Counters(udp={"RcvbufErrors": 39_995}),
            "UDP",
            "no room for 39,995 UDP datagrams",
            None,
        ),
        (Counters(udp={"InCsumErrors": 2}), "UDP", "2 UDP datagrams came damaged", None),
        (
            Counters(udp={"MemErrors": 2}),
            "UDP",
            "all UDP buffers together",
            "sysctl net.ipv4.udp_mem    # in pages of 4096 bytes; double its three numbers",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("watched", [False, True])
def test_what_was_counted_is_told_with_its_place_and_remedy(
    counters: Counters, place: str, said: str, command: str | None, *, watched: bool
) -> None:
    counters = replace(counters, sockets={7400: UdpSocket()})
    diagnosis = diagnose(replace(DESTINATION, watched=watched), LIMITS, counters)
    assert found(diagnosis) == [(Level.LOSS if watched else Level.NOTE, place)]
    assert said in diagnosis.findings[0].what
    assert (command is None) is (not diagnosis.findings[0].commands)
    assert command is None or command in diagnosis.findings[0].commands
    assert diagnosis.is_losing is watched


def test_counters_of_other_interfaces_do_not_matter() -> None:
    counters = replace(SOUND, interfaces={"eth0": {"rx_missed_errors": 5000}})
    assert diagnose(DESTINATION, LIMITS, counters).findings == []


def test_drops_of_the_receivers_own_socket_are_a_loss() -> None:
    counters = Counters(sockets={7400: UdpSocket(waiting=4096, drops=17)})
    diagnosis = diagnose(DESTINATION, LIMITS, counters)
    assert found(diagnosis) == [(Level.LOSS, "receiver's socket")]
    assert "no room for 17 datagrams (4,096 bytes wait" in diagnosis.findings[0].what


def test_receiver_that_does_not_listen_is_told() -> None:
    diagnosis = diagnose(DESTINATION, LIMITS, Counters(sockets={80: UdpSocket()}))
    assert "nothing listens on UDP port 7400" in diagnosis.findings[0].what


def test_buffer_the_kernel_does_not_give_is_told_with_the_line_that_raises_it() -> None:
    limits = replace(LIMITS, sysctls={"net.core.rmem_max": 212_992})
    facts = replace(DESTINATION, granted_buffer=212_992)
    (finding,) = diagnose(facts, limits, SOUND).findings
    assert finding.level is Level.LOSS
    assert list(finding.commands) == [
        "sysctl -w net.core.rmem_max=33554432",
        "echo net.core.rmem_max=33554432 > /etc/sysctl.d/90-eurydice.conf    # for the next start",
    ]


def test_interface_that_is_down_is_told() -> None:
    limits = replace(LIMITS, interfaces={"eth1": Interface(name="eth1", mtu=9000, is_up=False)})
    (finding,) = diagnose(ORIGIN, limits, SOUND).findings
    assert finding.what == "eth1 is down: nothing passes"


@pytest.mark.parametrize(
    ("facts", "level"), [(ORIGIN, Level.LOSS), (DESTINATION, Level.NOTE)], ids=["origin", "dest"]
)
def test_interface_that_carries_less_than_is_sent_is_told(facts: LinkFacts, level: Level) -> None:
    limits = replace(LIMITS, interfaces={"eth1": Interface(name="eth1", mtu=1500, is_up=True)})
    diagnosis = diagnose(facts, limits, SOUND)
    assert found(diagnosis) == [(level, "MTU")]
    assert diagnosis.findings[0].commands == ("ip link set eth1 mtu 9000",)


def test_neighbour_that_would_have_to_answer_is_told() -> None:
    limits = replace(LIMITS, permanent_neighbours=frozenset())
    (finding,) = diagnose(ORIGIN, limits, SOUND).findings
    assert finding.commands == (
        "ip neigh replace 10.9.8.2 lladdr HARDWARE_ADDRESS dev eth1 nud permanent",
    )
    assert diagnose(replace(ORIGIN, is_neighbour=False), limits, SOUND).findings == []


def test_card_that_does_not_send_is_told() -> None:
    counters = Counters(interfaces={"eth1": {"tx_dropped": 6}})
    assert found(diagnose(ORIGIN, LIMITS, counters)) == [(Level.NOTE, "sending card")]


def test_transport_without_a_port_is_examined_for_the_rest() -> None:
    facts = LinkFacts(side=Side.DESTINATION, interfaces=["eth1"])
    diagnosis = diagnose(facts, Limits(), Counters())
    assert diagnosis.findings == []
    assert set(CHECKS[Side.DESTINATION]) - set(diagnosis.sound) == {
        "MTU",
        "receive buffer",
        "receiver's socket",
    }
