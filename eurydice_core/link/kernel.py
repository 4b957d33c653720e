"""What the kernel of this machine counted, and how it is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Counters", "Interface", "Limits", "UdpSocket", "read_counters", "read_limits"]

SYSCTLS = (
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.netdev_max_backlog",
    "net.core.netdev_budget",
)
PERMANENT = 0x4  # of the flags in /proc/net/arp


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpSocket:
    """What the kernel holds and has dropped for the sockets of one port."""

    waiting: int = 0
    """Bytes that the program has not read yet."""
    drops: int = 0
    """Datagrams there was no room for, since the socket was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What only ever grows, since the machine started."""

    udp: Mapping[str, int] = field(default_factory=dict)
    """Of /proc/net/snmp and snmp6, IPv4 and IPv6 together, such as `RcvbufErrors`."""
    ip: Mapping[str, int] = field(default_factory=dict)
    backlog_drops: int = 0
    """What the queue between network card and protocols had no room for."""
    budget_ends: int = 0
    """How often the kernel stopped emptying a network card before it was empty."""
    interfaces: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Statistics by interface, such as `rx_missed_errors`."""
    sockets: Mapping[int, UdpSocket] = field(default_factory=dict)
    """By local port."""

    def since(self, earlier: Counters) -> Counters:
        """Return what was counted after another reading."""
        return Counters(
            udp=grown(self.udp, earlier.udp),
            ip=grown(self.ip, earlier.ip),
            backlog_drops=self.backlog_drops - earlier.backlog_drops,
            budget_ends=self.budget_ends - earlier.budget_ends,
            interfaces={
                name: grown(statistics, earlier.interfaces.get(name, {}))
                for name, statistics in self.interfaces.items()
            },
            sockets={
                port: UdpSocket(
                    waiting=sock.waiting,
                    drops=max(0, sock.drops - earlier.sockets.get(port, UdpSocket()).drops),
                )
                for port, sock in self.sockets.items()
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface as it is set."""

    name: str
    mtu: int
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How the machine is set."""

    sysctls: Mapping[str, int] = field(default_factory=dict)
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    permanent_neighbours: frozenset[str] = frozenset()
    """IPv4 addresses whose hardware address was set by hand."""


def read_counters(root: Path = Path("/")) -> Counters:
    """Read what has been counted so far; what this kernel does not say is left out."""
    tables = {**snmp_tables(text_of(root / "proc/net/snmp"))}
    six = snmp6_table(text_of(root / "proc/net/snmp6"))
    softnet = [line.split() for line in text_of(root / "proc/net/softnet_stat").splitlines()]
    return Counters(
        udp=added(tables.get("Udp", {}), beginning_with("Udp6", six)),
        ip=added(tables.get("Ip", {}), beginning_with("Ip6", six)),
        backlog_drops=sum(int(columns[1], 16) for columns in softnet),
        budget_ends=sum(int(columns[2], 16) for columns in softnet),
        interfaces={
            path.name: {file.name: number_in(file) for file in (path / "statistics").iterdir()}
            for path in interface_paths(root)
            if (path / "statistics").is_dir()
        },
        sockets=udp_sockets(
            text_of(root / "proc/net/udp") + "\n" + text_of(root / "proc/net/udp6")
        ),
    )


def read_limits(root: Path = Path("/")) -> Limits:
    """Read how the machine is set."""
    return Limits(
        sysctls={
            name: number_in(root / "proc/sys" / name.replace(".", "/"))
            for name in SYSCTLS
            if (root / "proc/sys" / name.replace(".", "/")).exists()
        },
        interfaces={
            path.name: Interface(
                name=path.name,
                mtu=number_in(path / "mtu"),
                is_up=text_of(path / "operstate").strip() != "down",
            )
            for path in interface_paths(root)
        },
        permanent_neighbours=frozenset(permanent_neighbours(text_of(root / "proc/net/arp"))),
    )


def snmp_tables(text: str) -> dict[str, dict[str, int]]:
    """Return the tables of /proc/net/snmp: a line of names, and a line of numbers, each."""
    tables: dict[str, dict[str, int]] = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        name, _, columns = names.partition(":")
        values = map(int, numbers.partition(":")[2].split())
        tables[name] = dict(zip(columns.split(), values, strict=False))
    return tables


def snmp6_table(text: str) -> dict[str, int]:
    """Return /proc/net/snmp6: one name and number a line."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def udp_sockets(text: str) -> dict[int, UdpSocket]:
    """Return /proc/net/udp and udp6 by local port."""
    found: dict[int, UdpSocket] = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 13 or not columns[0].endswith(":"):
            continue
        port = int(columns[1].rpartition(":")[2], 16)
        waiting = int(columns[4].partition(":")[2], 16)
        before = found.get(port, UdpSocket())
        found[port] = UdpSocket(
            waiting=before.waiting + waiting, drops=before.drops + int(columns[12])
        )
    return found


def permanent_neighbours(text: str) -> Iterator[str]:
    """Yield the addresses of /proc/net/arp that nobody has to be asked for."""
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 3 and int(columns[2], 16) & PERMANENT:
            yield columns[0]


def interface_paths(root: Path) -> list[Path]:
    place = root / "sys/class/net"
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def number_in(path: Path) -> int:
    """Return the number in a file; 0 where the kernel has none, as of a card that is off."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def beginning_with(prefix: str, table: Mapping[str, int]) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count for name, count in table.items() if name.startswith(prefix)
    }


def added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def grown(now: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, count - earlier.get(name, 0)) for name, count in now.items()}
