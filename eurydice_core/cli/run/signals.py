"""SIGTERM and Ctrl-C become an event."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["stop_on_signals"]

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; the second one of a kind ends us at once.

    A signal handler must not set the event itself: it runs in the middle of whatever the
    main thread does, and where that is waiting for the event, both want the same lock. So
    Python writes the signal's number to a socket, and a thread that reads it sets the event.
    """
    stop = threading.Event()
    numbers, written = socket.socketpair()
    written.setblocking(False)

    def watch() -> None:
        while number := numbers.recv(1):
            if number[0] in STOPPING:
                stop.set()

    before = {number: signal.signal(number, only_once) for number in STOPPING}
    wakeup = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        written.close()
        watcher.join()
        numbers.close()


def only_once(number: int, _frame: FrameType | None) -> None:
    """Leave the next signal of this kind to the kernel."""
    signal.signal(number, signal.SIG_DFL)
