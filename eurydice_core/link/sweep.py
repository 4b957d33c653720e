"""A sweep of rates, as both ends of a calibration see it; no input or output.

Nothing comes back through a diode, so every packet of a sweep says all of it: which
rates there are, which one this is, and how many packets the one before really had.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blake3 import blake3

from eurydice_core.model.buffer import Buffer

__all__ = [
    "MAX_SECONDS",
    "OVERHEAD",
    "Mark",
    "StepResult",
    "Sweep",
    "SweepReceiver",
    "highest",
    "possible_rate",
    "read_mark",
    "write_packet",
]

MAGIC = b"EURYCAL1"
HEADER = struct.Struct(">8s16sddHdHIId?")
DIGEST_SIZE = 32
OVERHEAD = HEADER.size + DIGEST_SIZE
BYTES_PER_MBIT = 125_000
CODING = 1.25
"""Bytes on the wire for each byte of a packet, about."""
FASTEST_SHARE = 0.75
"""A sender that stays below this share of a rate cannot go faster."""
MIN_PACKET = 128 << 10  # smaller ones have more repair, and tell less
MAX_PACKET = 8 << 20
PACKETS_A_STEP = 12
MAX_RATE = 1_000_000.0
MAX_STEPS = 100
MAX_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rates from the lowest to the highest, each tried for the same time."""

    lowest: float
    """Mbit/s."""
    highest: float
    steps: int
    seconds: float
    """For each step."""

    @property
    def is_sound(self) -> bool:
        """Tell whether this can be done at all."""
        rates_are = 0 < self.lowest <= self.highest <= MAX_RATE
        return rates_are and 1 <= self.steps <= MAX_STEPS and 0 < self.seconds <= MAX_SECONDS

    def rate(self, step: int) -> float:
        """Return the rate of a step; they grow by the same factor."""
        if self.steps == 1:
            return self.lowest
        return float(self.lowest * (self.highest / self.lowest) ** (step / (self.steps - 1)))

    def packet_size(self, step: int) -> int:
        """Return the size of the packets of a step."""
        data = self.rate(step) * BYTES_PER_MBIT * self.seconds / CODING
        return max(MIN_PACKET, min(MAX_PACKET, int(data / PACKETS_A_STEP)))

    def packets(self, step: int) -> int:
        """Return how many packets a step is meant to have."""
        data = self.rate(step) * BYTES_PER_MBIT * self.seconds / CODING
        return max(1, round(data / self.packet_size(step)))


@dataclass(frozen=True, slots=True)
class Mark:
    """What one packet of a sweep says."""

    run: bytes
    """16 random bytes that tell one calibration from another."""
    sweep: Sweep
    step: int
    """From 0."""
    number: int
    sent_before: int
    """Packets of the step before, as they were sent."""
    seconds_before: float
    """How long that took."""
    is_over: bool = False
    """Whether the step before was the last."""


@dataclass(slots=True)
class StepResult:
    """What came of one rate."""

    rate: float
    """Mbit/s; where the sender was too slow for what was set, what it reached."""
    sent: int = 0
    """Packets; as far as it is known."""
    received: int = 0
    bytes: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    """What the transport counted meanwhile, such as `repaired`."""

    @property
    def is_whole(self) -> bool:
        """Tell whether every packet came."""
        return 0 < self.sent <= self.received

    @property
    def is_lossless(self) -> bool:
        """Tell whether every packet came, and none had to be repaired."""
        return self.is_whole and not self.counted.get("repaired")


def write_packet(mark: Mark, size: int) -> memoryview:
    """Return a packet of this size that carries a mark; the rest is padding."""
    sweep = mark.sweep
    packet = memoryview(bytearray(size))
    HEADER.pack_into(
        packet,
        0,
        MAGIC,
        mark.run,
        sweep.lowest,
        sweep.highest,
        sweep.steps,
        sweep.seconds,
        mark.step,
        mark.number,
        mark.sent_before,
        mark.seconds_before,
        mark.is_over,
    )
    packet[-DIGEST_SIZE:] = digest(packet)
    return packet


def read_mark(packet: Buffer) -> Mark | None:
    """Return the mark of a packet, or None if it is none of a sweep, or damaged."""
    view = memoryview(packet)
    if len(view) < OVERHEAD or bytes(view[: len(MAGIC)]) != MAGIC:
        return None
    if digest(view) != view[-DIGEST_SIZE:]:
        return None
    _, run, lowest, high, steps, seconds, step, number, before, took, over = HEADER.unpack_from(
        view
    )
    sweep = Sweep(lowest, high, steps, seconds)
    is_sound = sweep.is_sound and step < steps + over and took >= 0
    return Mark(run, sweep, step, number, before, took, over) if is_sound else None


def digest(packet: memoryview) -> bytes:
    """Return what stands at the end of a packet; as much work as the seal of a real one."""
    return blake3(packet[:-DIGEST_SIZE], max_threads=blake3.AUTO).digest()


class SweepReceiver:
    """Counts what comes of a sweep, step by step."""

    def __init__(self) -> None:
        self.results: list[StepResult] = []
        """One a step, once the first packet told of them."""
        self.is_over = False
        self._run: bytes | None = None
        self._step = 0
        self._seen: set[tuple[int, int]] = set()
        self._counters: Mapping[str, int] = {}

    def take(self, packet: Buffer | None, counters: Mapping[str, int]) -> Sequence[StepResult]:
        """Take a packet, and what the transport counted so far; return steps that ended."""
        mark = read_mark(packet) if packet is not None else None
        if mark is None or not self._is_ours(mark):
            self._count(counters)
            return []
        ended: Sequence[StepResult] = []
        if mark.step > self._step:
            self._end(mark.step - 1, mark)
            ended = self.results[self._step : mark.step]
            self._step = mark.step
        self._count(counters)
        if mark.is_over:
            self.is_over = True
            del self.results[mark.step :]
        elif (mark.step, mark.number) not in self._seen:
            self._seen.add((mark.step, mark.number))
            result = self.results[mark.step]
            result.received += 1
            result.bytes += memoryview(packet or b"").nbytes
            result.sent = max(result.sent, mark.number + 1)
        return ended

    def rest(self) -> Sequence[StepResult]:
        """Return the steps that did not end, of which nothing more comes."""
        return [] if self.is_over else self.results[self._step :]

    def _end(self, step: int, mark: Mark) -> None:
        """Take what the sender says of a step in the packets of the next one."""
        result = self.results[step]
        result.sent = mark.sent_before
        size = mark.sent_before * mark.sweep.packet_size(step)
        result.rate = possible_rate(result.rate, size, mark.seconds_before)

    def _is_ours(self, mark: Mark) -> bool:
        """Take the first calibration that is heard, and no other."""
        if self._run is None and not mark.is_over:
            self._run = mark.run
            self.results = [StepResult(mark.sweep.rate(step)) for step in range(mark.sweep.steps)]
        return mark.run == self._run and mark.step <= len(self.results)

    def _count(self, counters: Mapping[str, int]) -> None:
        """Give what was counted since the last time to the step of the latest packet."""
        if self._step < len(self.results):
            counted = self.results[self._step].counted
            for name, count in counters.items():
                counted[name] = counted.get(name, 0) + count - self._counters.get(name, 0)
        self._counters = dict(counters)


def possible_rate(rate: float, size: int, seconds: float) -> float:
    """Return the rate, or the lower one at which that many bytes of packets were sent."""
    reached = size * CODING / BYTES_PER_MBIT / max(seconds, 1e-9)
    return rate if reached >= FASTEST_SHARE * rate else reached


def highest(results: Sequence[StepResult], *, lossless: bool) -> float | None:
    """Return the highest rate up to which all went well; None if not even the lowest did."""
    good = None
    for result in results:
        if not (result.is_lossless if lossless else result.is_whole):
            break
        good = result.rate
    return good
