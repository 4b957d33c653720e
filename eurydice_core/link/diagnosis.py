"""From what was counted to what it means and what to do about it; no input or output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from eurydice_core.link.kernel import Counters, Limits
from eurydice_core.model.states import Side

__all__ = ["Diagnosis", "Finding", "Level", "LinkFacts", "Place", "concluded", "diagnose"]

DEFAULT_BACKLOG = 1000
DEFAULT_BUDGET = 300


class Level(StrEnum):
    """How bad it is."""

    LOSS = "loss"
    """Datagrams are lost here, now or with what is set."""
    NOTE = "note"
    """Was, or may become, a loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    place: str
    """Where on the way: the card, the kernel, the socket, the interface ..."""
    what: str
    commands: Sequence[str] = ()
    """What to type, as root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """The link of this side, as far as its transport says it."""

    side: Side
    interfaces: Sequence[str]
    """Those that the link may use."""
    host: str | None = None
    port: int | None = None
    mtu: int | None = None
    receive_buffer: int | None = None
    granted_buffer: int | None = None
    """What the kernel gives where `receive_buffer` is asked for."""
    is_neighbour: bool = False
    """Whether `host` is reached without a router, and is not this machine."""
    watched: bool = False
    """Whether the counters are of a moment ago, and not of all the time since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that was found, and what was looked at without finding anything."""

    findings: Sequence[Finding]
    sound: Sequence[str]

    @property
    def is_losing(self) -> bool:
        """Tell whether anything has to be done."""
        return any(finding.level is Level.LOSS for finding in self.findings)

    def beside(self, other: Diagnosis) -> Diagnosis:
        """Return both of them as one."""
        return Diagnosis(
            findings=[*self.findings, *other.findings], sound=[*self.sound, *other.sound]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a check looks, and what it says of what it finds there."""

    place: str
    watched: bool
    """Whether what was counted is of a moment ago, and not of all the time since the start."""

    def loss(self, what: str, *commands: str) -> Finding:
        """Return what has to be mended."""
        return Finding(level=Level.LOSS, place=self.place, what=what, commands=commands)

    def counted(self, what: str, *commands: str) -> Finding:
        """Return what went wrong: a loss if it was just now, and else perhaps long ago."""
        return self.loss(what, *commands) if self.watched else self.note(what, *commands)

    def note(self, what: str, *commands: str) -> Finding:
        """Return what is worth knowing."""
        return Finding(level=Level.NOTE, place=self.place, what=what, commands=commands)


def concluded(places: Iterable[tuple[str, Iterable[Finding]]]) -> Diagnosis:
    """Return what was found in each place, and where nothing was."""
    findings: list[Finding] = []
    sound: list[str] = []
    for place, of_place in places:
        found = list(of_place)
        findings += found
        if not found:
            sound.append(place)
    return Diagnosis(findings=findings, sound=sound)


def diagnose(facts: LinkFacts, limits: Limits, counters: Counters) -> Diagnosis:
    """Look at every place on this side where datagrams can be lost, in their order."""

    def case(place: str) -> Case:
        return Case(
            place=place, watched=facts.watched, facts=facts, limits=limits, counters=counters
        )

    return concluded(
        (place, check(case(place)))
        for place, check in CHECKS[facts.side].items()
        if getattr(facts, NEEDED.get(place, "side")) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Place):
    """What one check looks at."""

    facts: LinkFacts
    limits: Limits
    counters: Counters

    def statistics(self, *names: str) -> Iterator[tuple[str, int]]:
        """Yield the interfaces of the link for which any of these counters is not 0."""
        for interface in self.facts.interfaces:
            counted = self.counters.interfaces.get(interface, {})
            count = sum(counted.get(name, 0) for name in names)
            if count:
                yield interface, count


def interface_state(case: Case) -> Iterator[Finding]:
    for name in case.facts.interfaces:
        interface = case.limits.interfaces.get(name)
        if interface is not None and not interface.is_up:
            yield case.loss(f"{name} is down: nothing passes", f"ip link set {name} up")


def interface_mtu(case: Case) -> Iterator[Finding]:
    wanted = case.facts.mtu
    for name in case.facts.interfaces:
        interface = case.limits.interfaces.get(name)
        if interface is None or wanted is None or interface.mtu >= wanted:
            continue
        what = f"{name} carries {interface.mtu} bytes and [transport] mtu is {wanted}"
        command = f"ip link set {name} mtu {wanted}"
        if case.facts.side is Side.ORIGIN:
            yield case.loss(f"{what}: no packet can be sent; lower mtu, or run", command)
        else:
            yield case.note(
                f"{what}: if the origin sends that size the card drops all of it; set the same mtu"
                " on both sides, or run",
                command,
            )


def card(case: Case) -> Iterator[Finding]:
    for name, count in case.statistics("rx_missed_errors", "rx_fifo_errors", "rx_over_errors"):
        yield case.counted(
            f"{name} had no room for {count:,} frames: its ring is too small or emptied too late",
            f"ethtool -g {name}    # shows the largest ring it can have",
            f"ethtool -G {name} rx 4096",
        )
    for name, count in case.statistics("rx_crc_errors", "rx_frame_errors"):
        yield case.counted(
            f"{name} received {count:,} damaged frames: look at the fibre, the transceivers and"
            " the diode; no setting mends that"
        )
    for name, count in case.statistics("rx_length_errors"):
        yield case.counted(
            f"{name} received {count:,} frames of a length it does not take: lower [transport] mtu"
            " at the origin, or raise it here",
            f"ip link set {name} mtu 9000",
        )
    for name, count in case.statistics("rx_dropped"):
        yield case.note(
            f"{name} left {count:,} frames alone: of protocols that nobody here speaks, or for want"
            " of memory; if it grows while only the link is busy, frames of the link are lost"
        )


def backlog(case: Case) -> Iterator[Finding]:
    if case.counters.backlog_drops:
        now = case.limits.sysctls.get("net.core.netdev_max_backlog", DEFAULT_BACKLOG)
        yield case.counted(
            f"the queue behind the card overflowed {case.counters.backlog_drops:,} times",
            f"sysctl -w net.core.netdev_max_backlog={max(10 * DEFAULT_BACKLOG, 2 * now)}",
        )
    if case.counters.budget_ends:
        now = case.limits.sysctls.get("net.core.netdev_budget", DEFAULT_BUDGET)
        yield case.note(
            f"the kernel stopped emptying a card before it was empty {case.counters.budget_ends:,}"
            " times; harmless unless the card has no room at the same time",
            f"sysctl -w net.core.netdev_budget={max(2 * DEFAULT_BUDGET, 2 * now)}",
        )


def fragments(case: Case) -> Iterator[Finding]:
    failed = case.counters.ip.get("ReasmFails", 0)
    if failed:
        yield case.counted(
            f"{failed:,} datagrams in fragments could not be put together: something on the way"
            " cuts them; lower [transport] mtu at the origin to what all of the way carries"
        )


def udp(case: Case) -> Iterator[Finding]:
    full = case.counters.udp.get("RcvbufErrors", 0)
    if full:
        yield case.counted(
            f"receive buffers of this machine had no room for {full:,} UDP datagrams; whether it"
            " was the link's, the line about the receiver's socket says",
            *larger_buffer(case),
        )
    memory = case.counters.udp.get("MemErrors", 0)
    if memory:
        yield case.counted(
            f"all UDP buffers together were too large {memory:,} times, so datagrams were dropped",
            "sysctl net.ipv4.udp_mem    # in pages of 4096 bytes; double its three numbers",
        )
    damaged = case.counters.udp.get("InCsumErrors", 0)
    if damaged:
        yield case.counted(
            f"{damaged:,} UDP datagrams came damaged: look at the fibre, the transceivers and the"
            " diode; no setting mends that"
        )


def receive_buffer(case: Case) -> Iterator[Finding]:
    wanted, granted = case.facts.receive_buffer, case.facts.granted_buffer
    if wanted and granted is not None and granted < wanted:
        yield case.loss(
            f"the kernel gives {granted:,} bytes of receive buffer where [transport] asks for"
            f" {wanted:,}: whatever comes beyond it while the receiver is busy is lost",
            *larger_buffer(case),
        )


def receiver_socket(case: Case) -> Iterator[Finding]:
    port = case.facts.port
    if port is None:
        return
    sock = case.counters.sockets.get(port)
    if sock is None:
        yield case.loss(
            f"nothing listens on UDP port {port}: start the receiver with eurydice run receiver"
        )
    elif sock.drops:
        yield case.loss(
            f"the receive buffer of port {port} had no room for {sock.drops:,} datagrams"
            f" ({sock.waiting:,} bytes wait in it now): the receiver's machine is too slow for the"
            " rate; lower [transport] rate at the origin, or enlarge the buffer",
            *larger_buffer(case),
        )


def neighbour(case: Case) -> Iterator[Finding]:
    host = case.facts.host
    if case.facts.is_neighbour and host not in case.limits.permanent_neighbours:
        where = next(iter(case.facts.interfaces), "eth1")
        yield case.loss(
            f"{host} has no permanent hardware address here, and through a diode nobody answers"
            " who asks for it",
            f"ip neigh replace {host} lladdr HARDWARE_ADDRESS dev {where} nud permanent",
        )


def sending(case: Case) -> Iterator[Finding]:
    for name, count in case.statistics("tx_dropped", "tx_errors", "tx_fifo_errors"):
        yield case.counted(
            f"{name} did not send {count:,} frames: lower [transport] rate, or give it a longer"
            " queue",
            f"ip link set {name} txqueuelen 10000",
        )


def larger_buffer(case: Case) -> tuple[str, ...]:
    """Return the commands that let a socket have a larger buffer, if that is what it lacks."""
    wanted = case.facts.receive_buffer
    if not wanted or case.limits.sysctls.get("net.core.rmem_max", wanted) >= wanted:
        return ()
    return (
        f"sysctl -w net.core.rmem_max={wanted}",
        f"echo net.core.rmem_max={wanted} > /etc/sysctl.d/90-eurydice.conf    # for the next start",
    )


Check = Callable[[Case], Iterator[Finding]]

NEEDED = {
    "MTU": "mtu",
    "neighbour": "host",
    "receive buffer": "receive_buffer",
    "receiver's socket": "port",
}
"""Place -> the fact without which nothing can be said of it, as with other transports."""

CHECKS: dict[Side, dict[str, Check]] = {
    Side.ORIGIN: {
        "interface": interface_state,
        "MTU": interface_mtu,
        "neighbour": neighbour,
        "sending card": sending,
    },
    Side.DESTINATION: {
        "interface": interface_state,
        "MTU": interface_mtu,
        "receiving card": card,
        "kernel queue": backlog,
        "fragments": fragments,
        "UDP": udp,
        "receive buffer": receive_buffer,
        "receiver's socket": receiver_socket,
    },
}
"""Side -> places on the way through it, in the order that a byte passes them."""
