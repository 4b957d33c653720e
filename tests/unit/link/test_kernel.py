from __future__ import annotations

from pathlib import Path

import pytest

from eurydice_core.link.kernel import Counters, Interface, UdpSocket, read_counters, read_limits

SNMP = """\
Ip: Forwarding DefaultTTL InReceives ReasmFails
Ip: 2 64 1000 3
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors MemErrors
Udp: 1727048 1618 39995 1768697 39990 0 5 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors MemErrors
UdpLite: 0 0 0 0 0 0 0 0
"""
SNMP6 = """\
Ip6InReceives                   	85
Ip6ReasmFails                   	4
Udp6InDatagrams                 	19
Udp6RcvbufErrors                	10
UdpLite6InDatagrams             	7
"""
SOFTNET = """\
00116f6a 00000002 00000005 00000000 00000000 00000000 00000000 00000000 00000000 00000000
00139d96 0000000a 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 9453: 0100007F:1CE8 00000000:0000 07 00000000:00000FC0 00:00000000 00000000     0        0 167884 2 00000000c34c0c1a 12
11612: 00000000:9B5F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 166549 2 000000001cec0017 0
"""  # noqa: E501 - as the kernel writes it
UDP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 2345: 00000000000000000000000000000000:1CE8 00000000000000000000000000000000:0000 07 00000000:00000040 00:00000000 00000000  1000        0 23456 2 0000000000000000 30
"""  # noqa: E501 - as the kernel writes it
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
10.9.8.2         0x1         0x6         52:54:00:12:34:56     *        eth1
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root directory with the files of a kernel."""
    files = {
        "proc/net/snmp": SNMP,
        "proc/net/snmp6": SNMP6,
        "proc/net/softnet_stat": SOFTNET,
        "proc/net/udp": UDP,
        "proc/net/udp6": UDP6,
        "proc/net/arp": ARP,
        "proc/sys/net/core/rmem_max": "212992\n",
        "sys/class/net/eth1/mtu": "9000\n",
        "sys/class/net/eth1/operstate": "up\n",
        "sys/class/net/eth1/statistics/rx_missed_errors": "77\n",
        "sys/class/net/eth2/mtu": "1500\n",
        "sys/class/net/eth2/operstate": "down\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "sys/class/net/bonding_masters").write_text("")
    return tmp_path


def test_both_versions_of_ip_count_together(machine: Path) -> None:
    counters = read_counters(machine)
    assert counters.udp["RcvbufErrors"] == 40_000
    assert counters.udp["InDatagrams"] == 1_727_067
    assert counters.udp["InCsumErrors"] == 5
    assert counters.ip["ReasmFails"] == 7


def test_counters_of_all_processors_count_together(machine: Path) -> None:
    counters = read_counters(machine)
    assert (counters.backlog_drops, counters.budget_ends) == (12, 5)


def test_sockets_are_known_by_their_port(machine: Path) -> None:
    assert read_counters(machine).sockets == {
        7400: UdpSocket(waiting=0xFC0 + 0x40, drops=42),
        39775: UdpSocket(),
    }


def test_interfaces_are_read_as_they_are_set(machine: Path) -> None:
    limits = read_limits(machine)
    assert limits.interfaces == {
        "eth1": Interface(name="eth1", mtu=9000, is_up=True),
        "eth2": Interface(name="eth2", mtu=1500, is_up=False),
    }
    assert read_counters(machine).interfaces == {"eth1": {"rx_missed_errors": 77}}


def test_only_addresses_set_by_hand_are_permanent(machine: Path) -> None:
    limits = read_limits(machine)
    assert limits.permanent_neighbours == {"10.9.8.2"}
    assert limits.sysctls == {"net.core.rmem_max": 212_992}


def test_kernel_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    assert read_counters(tmp_path) == Counters()
    assert read_limits(tmp_path).interfaces == {}


def test_what_was_counted_since_is_the_difference(machine: Path) -> None:
    before = read_counters(machine)
    (machine / "proc/net/snmp").write_text(SNMP.replace("39990", "40100"))
    (machine / "proc/net/udp").write_text(UDP.replace(" 12\n", " 15\n"))
    (machine / "sys/class/net/eth1/statistics/rx_missed_errors").write_text("80\n")
    since = read_counters(machine).since(before)
    assert since.udp["RcvbufErrors"] == 110
    assert since.sockets[7400].drops == 3
    assert since.interfaces["eth1"]["rx_missed_errors"] == 3
    assert since.ip["InReceives"] == since.backlog_drops == 0


def test_this_machine_can_be_read() -> None:
    assert read_limits().interfaces["lo"].is_up
    assert read_counters().udp["OutDatagrams"] >= 0
