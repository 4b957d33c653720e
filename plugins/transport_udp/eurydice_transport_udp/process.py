"""The collecting process, seen from the receiver: started, listened to, ended."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from contextlib import ExitStack

from eurydice_core.errors import TransportError
from eurydice_core.model.quantities import format_size
from eurydice_core.private_files import PRIVATE
from eurydice_transport_udp.arena import Arena
from eurydice_transport_udp.assembly import OPEN_PACKETS, Event, EventKind
from eurydice_transport_udp.collector import EVENT_BYTES, pack_key, pack_release, unpack_event
from eurydice_transport_udp.settings import Settings

__all__ = ["CollectorEnded", "CollectorProcess"]

START_SECONDS = 60.0


class CollectorEnded(Exception):
    """The collecting process is gone, with what it had in hand."""


def _shared_memory(fd: int, slots: int, settings: Settings) -> Arena:
    try:
        return Arena(fd, slots, settings.max_packet)
    except (OSError, MemoryError) as error:
        size = format_size(Arena.size(slots, settings.max_packet))
        raise TransportError(
            f"too little memory for the packets that arrive: {size} of address space for"
            f" {slots} packets of {format_size(settings.max_packet)}; lower [transport]"
            " buffer_packets or max_packet, or raise the limit (ulimit -v, or MemoryMax= of the"
            " service)"
        ) from error


class CollectorProcess:
    """One run of the collecting process, with memory and a socket pair of its own."""

    def __init__(self, data: socket.socket, settings: Settings, key: bytes = b"") -> None:
        self._key = key
        self._closing = ExitStack()
        try:
            self._start(data, settings)
        except (OSError, MemoryError) as error:
            self._closing.close()
            raise TransportError(
                "the collecting process of the link did not start"
                f" ({getattr(error, 'strerror', None) or error or 'out of memory'}): see that"
                " memory, processes (TasksMax) and descriptors (LimitNOFILE) are enough"
            ) from error
        except BaseException:
            self._closing.close()
            raise

    def next_event(self, timeout_seconds: float) -> Event | None:
        """Return what the process tells next, or None if it stays silent for that time.

        Raises:
            CollectorEnded: it cannot tell anything any more.
        """
        if self._control.fileno() < 0:
            raise CollectorEnded
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self._control, select.POLLIN)
        if not poll.poll(timeout_seconds * 1000):
            return None
        try:
            message = self._control.recv(EVENT_BYTES)
        except ConnectionResetError:
            message = b""
        if not message:
            raise CollectorEnded
        return unpack_event(message)

    def release(self, slot: int) -> None:
        """Give a slot back."""
        try:
            self._control.send(pack_release(slot))
        except OSError:
            return  # the next event says so

    def close(self) -> None:
        """End the process; what it had not handed over is lost."""
        self._closing.close()

    def _start(self, data: socket.socket, settings: Settings) -> None:
        slots = OPEN_PACKETS + settings.buffer_packets
        fd = os.memfd_create("eurydice-packets")
        try:
            os.fchmod(fd, PRIVATE.file_mode)  # shown in /proc of both processes
            self.arena = _shared_memory(fd, slots, settings)
            self._closing.callback(self.arena.close)
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._closing.callback(self._control.close)
            buffer = (settings.buffer_packets, settings.buffer_size)
            limits = (slots, settings.max_packet, *buffer, int(settings.one_sender))
            self._control.send(pack_key(self._key))  # arguments are for everybody to read
            with theirs:
                self._spawn((data.fileno(), theirs.fileno(), fd), limits, settings)
        finally:
            os.close(fd)
        self._await_start()

    def _spawn(
        self, descriptors: tuple[int, ...], limits: tuple[int, ...], settings: Settings
    ) -> None:
        numbers = [str(number) for number in (*descriptors, *limits)]
        program = "from eurydice_transport_udp.collector import main; main()"
        self._process = subprocess.Popen(  # noqa: S603 - our own program and our own numbers
            # -P: the current directory is no place to import from
            [sys.executable, "-P", "-c", program, *numbers, str(settings.reassembly_timeout)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C at a terminal is for the receiver
        )
        self._closing.callback(self._end)

    def _await_start(self) -> None:
        try:
            event = self.next_event(START_SECONDS)
        except CollectorEnded:
            event = None
        if event is None or event.kind is not EventKind.STARTED:
            raise TransportError(
                "the collecting process of the link did not start: its error is above;"
                f" check that {sys.executable} can import eurydice_transport_udp, and that there"
                " is memory for [transport] buffer_packets of max_packet"
            )

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
