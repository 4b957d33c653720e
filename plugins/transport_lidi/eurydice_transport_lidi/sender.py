"""The origin's end: a TCP connection to lidis for each packet."""

from __future__ import annotations

import itertools
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping

from loguru import logger

from eurydice_core.errors import LinkDown
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketSender
from eurydice_core.model.pace import Pace
from eurydice_core.model.quantities import format_duration
from eurydice_transport_lidi.settings import Settings

__all__ = ["LidiSender"]

CHUNK_BYTES = 256 * 1024
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0


class LidiSender(PacketSender):
    """Tries each packet until lidis took all of it, or the time for that is up."""

    def __init__(
        self,
        address: tuple[str, int],
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._pace = Pace(settings.rate_mbit, clock=clock, sleep=sleep)
        self._counters: Counter[str] = Counter(packets=0, bytes=0, retries=0)

    def send(self, packet: Buffer) -> None:
        """Return once lidis has read all of the packet."""
        view = memoryview(packet).cast("B")
        give_up_at = self._clock() + self._settings.retry_for
        for attempt in itertools.count():
            try:
                self._hand_over(view)
            except OSError as error:
                delay = _retry_delay(attempt)
                if self._clock() + delay > give_up_at:
                    raise LinkDown(self._explain(error)) from error
                logger.debug("trying lidis again in {:.1f} s: {}", delay, error)
                self._counters["retries"] += 1
                self._sleep(delay)
            else:
                self._counters.update(packets=1, bytes=len(view))
                return

    def counters(self) -> Mapping[str, int]:
        """Return the packets and bytes that lidis took, and how often one was tried again."""
        return dict(self._counters)

    def _hand_over(self, packet: memoryview) -> None:
        settings = self._settings
        with socket.create_connection(self._address, settings.connect_timeout) as connection:
            connection.settimeout(settings.send_timeout)
            try:
                self._send_all(connection, packet)
                connection.shutdown(socket.SHUT_WR)
                if settings.confirm_timeout:
                    connection.settimeout(settings.confirm_timeout)
                    _wait_for_close(connection)
            except OSError:
                _reset_on_close(connection)
                raise

    def _send_all(self, connection: socket.socket, packet: memoryview) -> None:
        sent = 0
        while sent < len(packet):
            count = connection.send(packet[sent : sent + CHUNK_BYTES])
            sent += count
            self._pace.take(count)

    def _explain(self, error: OSError) -> str:
        host, port = self._address
        tried = format_duration(self._settings.retry_for)
        return (
            f"lidis at {host}:{port} did not take a packet in {tried}"
            f" ({error.strerror or error}): start it there,"
            " or correct lidis_host and lidis_port in [transport]"
        )


def _wait_for_close(connection: socket.socket) -> None:
    """Return when the peer closed in good order; a reset means that it lost bytes.

    lidis never writes: anything that answers is something else.
    """
    if connection.recv(1):
        raise ConnectionError("it answers, so it is not lidis")


def _reset_on_close(connection: socket.socket) -> None:
    """Make closing it an error for lidis, which would take an orderly close for the end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _retry_delay(attempt: int) -> float:
    longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads retries, hides nothing)
