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
from contextlib import suppress

import numpy as np

from eurydice_transport_udp.arena import Arena, Counter
from eurydice_transport_udp.assembly import Assembler, Event, EventKind
from eurydice_transport_udp.sockets import Ancillary, overflow_count, segment_size

__all__ = ["EVENT_BYTES", "collect", "main", "pack_event", "pack_release", "unpack_event"]

BUFFER_BYTES = 1 << 16
ANCILLARY_BYTES = 128
MAX_PENDING_EVENTS = 1000
NICENESS = -10  # others can wait
EVENT = struct.Struct("=BHI32s")
EVENT_BYTES = EVENT.size + 512
RELEASE = struct.Struct("=H")


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


def collect(
    data: socket.socket, control: socket.socket, assembler: Assembler, arena: Arena
) -> None:
    """Receive until the receiver hangs up."""
    buffer = np.empty(BUFFER_BYTES, np.uint8)
    while True:
        try:
            size, ancillary, _, source = data.recvmsg_into([buffer.data], ANCILLARY_BYTES)
        except BlockingIOError:  # nothing came for a while
            size, ancillary, source = None, [], ()
        # Slots given back while waiting must count before what came is judged.
        if (size is None or assembler.lent) and not take_back(control, assembler):
            return
        now = time.monotonic()
        if size is None:
            assembler.expire(now)
        else:
            assembler.feed(buffer[:size], segment_size(ancillary, size), now, source[:2])
            note_overflow(arena, ancillary)
        if not tell(control, assembler.events):
            return


def note_overflow(arena: Arena, ancillary: Ancillary) -> None:
    """Keep the kernel's own count of what it had no room for."""
    dropped = overflow_count(ancillary)
    if dropped is not None:
        arena.counts[Counter.KERNEL_DROPS] = dropped


def tell(control: socket.socket, events: deque[Event]) -> bool:
    """Send events on, keeping those the receiver has no room for; False if it is gone."""
    while events:
        try:
            control.send(pack_event(events[0]), socket.MSG_DONTWAIT)
        except BlockingIOError:
            if len(events) > MAX_PENDING_EVENTS:
                ready = [event for event in events if event.kind is EventKind.READY]
                events.clear()
                events.extend(ready)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False
        events.popleft()
    return True


def take_back(control: socket.socket, assembler: Assembler) -> bool:
    """Take slots back that the receiver has emptied; False if it is gone."""
    while True:
        try:
            message = control.recv(RELEASE.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if not message:
            return False
        assembler.release(RELEASE.unpack(message))


def main() -> None:
    """Run in a process of its own: descriptors and limits come as arguments."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the receiver ends us, after its own last packet
    with suppress(PermissionError):  # without the right to it, the receive buffer must bridge more
        os.nice(NICENESS)
    arguments = sys.argv[1:]
    data_fd, control_fd, arena_fd, slots, max_packet, packets, size = map(int, arguments[:7])
    arena = Arena(arena_fd, slots, max_packet)
    assembler = Assembler(
        arena, buffer_packets=packets, buffer_size=size, timeout=float(arguments[7])
    )
    with socket.socket(fileno=data_fd) as data, socket.socket(fileno=control_fd) as control:
        control.send(pack_event(Event(EventKind.STARTED)))
        collect(data, control, assembler, arena)
