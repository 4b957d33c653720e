"""The process that takes datagrams from the kernel, and does nothing else.

A diode cannot be told to wait, and the kernel's buffer is small, so this must not share
an interpreter lock with whoever unpacks, decodes and stores. It places symbols into memory
shared with the receiver and says over a socket pair which slot holds a whole packet.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from eurydice_transport_udp.arena import Arena, Counter
from eurydice_transport_udp.assembly import Assembler, Event, EventKind
from eurydice_transport_udp.messages import MessageReader

__all__ = [
    "EVENT_BYTES",
    "collect",
    "main",
    "pack_event",
    "pack_key",
    "pack_release",
    "unpack_event",
]

MAX_PENDING_EVENTS = 1000
NICENESS = -10  # others can wait
FEW_MESSAGES = 4
NAP_BYTES_PER_SECOND = 20e9  # several times what any link brings
LONGEST_NAP = 1500e-6
SHORTEST_NAP = 50e-6
EVENT = struct.Struct("=BHI32s")
EVENT_BYTES = EVENT.size + 512
RELEASE = struct.Struct("=H")
KEY_MESSAGE = b"key"  # an empty message would mean that the other end is closed


def pack_event(event: Event) -> bytes:
    """Return an event as a message to the receiver."""
    return EVENT.pack(event.kind, event.slot, event.missing, event.facts) + event.text.encode()


def unpack_event(message: bytes) -> Event:
    """Return the event of a message."""
    kind, slot, missing, facts = EVENT.unpack_from(message)
    return Event(EventKind(kind), facts, slot, missing, message[EVENT.size :].decode())


def pack_release(slot: int) -> bytes:
    """Return the message that gives a slot back."""
    return RELEASE.pack(slot)


def pack_key(key: bytes) -> bytes:
    """Return the first message to the collecting process: the key of the link's datagrams."""
    return KEY_MESSAGE + key


class ReceiverGone(Exception):
    """Nobody listens to this process any more."""


def collect(
    reader: MessageReader,
    control: socket.socket,
    assembler: Assembler,
    arena: Arena,
    nap_seconds: float = 0.0,
) -> None:
    """Receive until the receiver hangs up.

    After a reading that found little this naps, so that at high speed one call finds several
    messages: being woken for each of them costs more than taking it.
    """
    with suppress(ReceiverGone):
        while True:
            trains = reader.read()
            now = time.monotonic()
            for train in trains:
                assembler.feed(train.datagrams, train.size, now, train.source)
            if reader.dropped is not None:
                arena.counts[Counter.KERNEL_DROPS] = reader.dropped  # the kernel's own count
            if not trains:
                assembler.release(returned_slots(control))
                assembler.expire(now)
            tell(control, assembler.events)
            if 0 < reader.messages < FEW_MESSAGES:
                time.sleep(nap_seconds)


def tell(control: socket.socket, events: deque[Event]) -> None:
    """Send events on, keeping those the receiver has no room for.

    Raises:
        ReceiverGone: nobody takes them.
    """
    while events:
        try:
            control.send(pack_event(events[0]), socket.MSG_DONTWAIT)
        except BlockingIOError:
            if len(events) > MAX_PENDING_EVENTS:
                ready = [event for event in events if event.kind is EventKind.READY]
                events.clear()
                events.extend(ready)
            return
        except (BrokenPipeError, ConnectionResetError):
            raise ReceiverGone from None
        events.popleft()


def returned_slots(control: socket.socket) -> Iterator[int]:
    """Yield the slots that the receiver has emptied since it was asked last.

    Raises:
        ReceiverGone: it will empty none any more.
    """
    while True:
        try:
            message = control.recv(RELEASE.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            raise ReceiverGone from None
        if not message:
            raise ReceiverGone
        yield from RELEASE.unpack(message)


def main() -> None:
    """Run in a process of its own: descriptors and limits come as arguments."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the receiver ends us, after its own last packet
    with suppress(PermissionError):  # without the right to it, the receive buffer must bridge more
        os.nice(NICENESS)
    arguments = sys.argv[1:]
    data_fd, control_fd, arena_fd, slots, max_packet, packets, size, one = map(int, arguments[:8])
    try:
        arena = Arena(arena_fd, slots, max_packet)
    except (OSError, MemoryError) as error:
        sys.exit(f"too little memory for the packets that arrive: {error}")
    with socket.socket(fileno=data_fd) as data, socket.socket(fileno=control_fd) as control:
        assembler = Assembler(
            arena,
            buffer_packets=packets,
            buffer_size=size,
            timeout=float(arguments[8]),
            one_sender=bool(one),
            returned=partial(returned_slots, control),
            key=control.recv(EVENT_BYTES).removeprefix(KEY_MESSAGE),
        )
        try:
            control.send(pack_event(Event(EventKind.STARTED)))
        except ConnectionError:
            return  # the receiver ended meanwhile
        collect(MessageReader(data), control, assembler, arena, nap_seconds(data))


def nap_seconds(data: socket.socket) -> float:
    """Return how long the kernel's buffer can do without being read, with a lot in reserve."""
    room = data.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    seconds = min(room / NAP_BYTES_PER_SECOND, LONGEST_NAP)
    return seconds if seconds >= SHORTEST_NAP else 0.0
