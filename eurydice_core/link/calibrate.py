"""Both ends of a calibration, over whatever transport is configured."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from eurydice_core.interfaces.transport import PacketReceiver, PacketSender
from eurydice_core.link.sweep import (
    MAX_SECONDS,
    OVERHEAD,
    Mark,
    StepResult,
    Sweep,
    SweepReceiver,
    possible_rate,
    write_packet,
)

__all__ = ["SentStep", "receive_sweep", "send_sweep"]

PAUSE = 0.3
"""Seconds between steps, for a receiver to catch up."""
ENDINGS = 3
POLL = 0.25


@dataclass(frozen=True, slots=True)
class SentStep:
    """What the sending end knows of a step."""

    rate: float
    """Mbit/s, as it was set."""
    packets: int
    bytes: int
    seconds: float

    @property
    def kept_up(self) -> bool:
        """Tell whether this machine sends that fast."""
        return possible_rate(self.rate, self.bytes, self.seconds) == self.rate


def send_sweep(
    open_sender: Callable[[float], AbstractContextManager[PacketSender]], sweep: Sweep
) -> Iterator[SentStep]:
    """Send every step, and yield it when it is through; end where this machine is too slow.

    Raises:
        LinkDown: the link does not take packets.
    """
    run = secrets.token_bytes(16)
    before = SentStep(sweep.lowest, 0, 0, 0.0)
    for step in range(sweep.steps):
        with open_sender(sweep.rate(step)) as sender:
            before = send_step(sender, run, sweep, step, before)
        yield before
        time.sleep(PAUSE)
        if not before.kept_up:
            break
    with open_sender(sweep.lowest) as sender:
        for number in range(ENDINGS):
            mark = mark_of(run, sweep, step + 1, number, before, is_over=True)
            sender.send(write_packet(mark, OVERHEAD))


def send_step(
    sender: PacketSender, run: bytes, sweep: Sweep, step: int, before: SentStep
) -> SentStep:
    size = sweep.packet_size(step)
    began = time.monotonic()
    count = 0
    while count < sweep.packets(step) and time.monotonic() - began <= MAX_SECONDS:
        sender.send(write_packet(mark_of(run, sweep, step, count, before), size))
        count += 1
    seconds = max(1e-9, time.monotonic() - began)
    return SentStep(sweep.rate(step), count, count * size, seconds)


def mark_of(
    run: bytes, sweep: Sweep, step: int, number: int, before: SentStep, *, is_over: bool = False
) -> Mark:
    return Mark(run, sweep, step, number, before.packets, before.seconds, is_over)


def receive_sweep(
    receiver: PacketReceiver, *, wait: float, silence: float = 3 * MAX_SECONDS
) -> Iterator[StepResult]:
    """Yield each step when the next one begins; end with the sweep, or when nothing comes."""
    sweep = SweepReceiver()
    deadline = time.monotonic() + wait
    while not sweep.is_over and time.monotonic() < deadline:
        packet = receiver.receive(POLL)
        if packet is not None:
            deadline = time.monotonic() + silence
        yield from sweep.take(packet, receiver.counters())
    yield from sweep.rest()
