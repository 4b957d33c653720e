"""The destination's end: a TCP server that lidir connects to, once for each packet."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address

from loguru import logger

from eurydice_core.errors import TransportError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.model.line_limit import LineLimit
from eurydice_core.model.quantities import format_size
from eurydice_core.os_advice import advice, is_shortage
from eurydice_transport_lidi.connection import Connection
from eurydice_transport_lidi.settings import Settings

__all__ = ["LidiReceiver"]

SCRATCH_BYTES = 1024 * 1024
ACCEPT_AGAIN_SECONDS = 1.0
WAITING_SECONDS = 0.5
PAUSE_SECONDS = 0.1


class LidiReceiver(PacketReceiver):
    """Reads several connections at once, in one thread of its own.

    A connection is accepted only while there is room for its packet, so memory is
    bounded and nothing is dropped for being early: lidir waits, and TCP tells it to.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._counters: Counter[str] = Counter(packets=0, bytes=0, dropped=0, empty=0, refused=0)
        self._lines = LineLimit(clock=clock)
        self._ready: deque[bytearray] = deque()
        self._arrived = threading.Condition()
        self._connections: set[Connection] = set()
        self._accept_again_at = 0.0
        self._replace_again_at = 0.0
        """When a waiting connection may next take the place of a slow one."""
        self._closing = False
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._listener = _listen(settings.packet_receiver_host, settings.packet_receiver_port)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="lidi-receiver", daemon=True)
        self._thread.start()

    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the next packet, whole or not: what lidi hands over carries no mark of its end."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._ready, timeout_seconds):
                return None
            packet = self._ready.popleft()
        self._wake()  # there is room again
        return packet

    def counters(self) -> Mapping[str, int]:
        """Return what came whole, what was `dropped`, `empty` connections and `refused` ones."""
        return dict(self._counters)

    def close(self) -> None:
        """Stop listening; packets that nobody took are lost."""
        self._closing = True
        self._wake()
        self._thread.join()
        for held in (self._listener, self._wake_in, self._wake_out, self._selector):
            held.close()
        for connection in self._connections:
            connection.peer.close()
        lost = len(self._ready) + len(self._connections)
        if lost:
            logger.warning("{} packets were not ingested when the receiver stopped", lost)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # woken many times already, it is about to look
            self._wake_in.send(b"\0")

    def _serve(self) -> None:
        while not self._closing:
            try:
                self._step()
            except Exception as error:  # one bad connection must not end the link
                if self._lines.admit("failure"):
                    logger.opt(exception=error).error("failure in the lidi receiver; going on")
                time.sleep(PAUSE_SECONDS)  # what fails at once would fail for ever

    def _step(self) -> None:
        self._listen_while_there_is_room()
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_out:
                self._wake_out.recv(4096)
            else:
                self._read(key.data)
        self._expire()
        for kind, count in self._lines.withheld():
            logger.warning(
                "{} more times in the lidi receiver since the last line: {}", count, kind
            )

    def _listen_while_there_is_room(self) -> None:
        now = self._clock()
        may_replace = bool(self._connections) and now >= self._replace_again_at
        wanted = now >= self._accept_again_at and (self._has_room() or may_replace)
        listening = self._listener in self._selector.get_map()
        if wanted and not listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
        elif listening and not wanted:
            self._selector.unregister(self._listener)

    def _has_room(self) -> bool:
        held = len(self._connections) + len(self._ready)
        return held < self._settings.receiver_buffer_max_items

    def _make_room(self) -> bool:
        """Drop a connection that is too slow for one that waits; tell whether there is room."""
        now = self._clock()
        slow = [connection for connection in self._connections if connection.is_slow(now)]
        if not self._has_room() and slow:
            slowest = min(slow, key=lambda connection: len(connection.packet))
            self._drop(slowest, "it is too slow, and another connection waits")
        return self._has_room()

    def _seconds_to_wait(self) -> float | None:
        now = self._clock()
        moments = [connection.deadline for connection in self._connections]
        moments += [at for at in (self._accept_again_at, self._replace_again_at) if at > now]
        return max(0.0, min(moments) - now) if moments else None

    def _accept(self) -> None:
        if not self._make_room():  # looked at again when something ends, or in a moment
            self._replace_again_at = self._clock() + WAITING_SECONDS
            return
        try:
            peer, address = self._listener.accept()
        except OSError as error:  # no file descriptors left, or the peer has gone already
            if self._lines.admit("no connection"):
                logger.warning("cannot accept a connection from lidir: {}", error)
            self._accept_again_at = self._clock() + ACCEPT_AGAIN_SECONDS
            return
        if not self._is_trusted(address[0]):
            self._counters["refused"] += 1
            if self._lines.admit("connection refused"):
                logger.warning("connection from {} refused: not in lidir_networks", address[0])
            peer.close()
            return
        connection = Connection(
            peer, self._clock(), self._settings.read_timeout, self._settings.packet_timeout
        )
        self._connections.add(connection)
        self._selector.register(peer, selectors.EVENT_READ, connection)

    def _is_trusted(self, host: str) -> bool:
        networks = self._settings.lidir_networks
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return not networks or any(mapped in network for network in networks)

    def _read(self, connection: Connection) -> None:
        try:
            more = connection.read(self._scratch, self._clock())
        except OSError as error:
            self._drop(connection, f"the connection broke ({error.strerror or error})")
            return
        if len(connection.packet) > self._settings.max_packet:
            limit = format_size(self._settings.max_packet)
            self._drop(connection, f"it is longer than max_packet ({limit})")
        elif not more:
            self._finish(connection)

    def _expire(self) -> None:
        now = self._clock()
        for connection in [c for c in self._connections if c.deadline <= now]:
            self._drop(connection, "lidir did not finish it in time")

    def _finish(self, connection: Connection) -> None:
        size = len(connection.packet)
        if size:
            self._counters.update(packets=1, bytes=size)
            with self._arrived:
                self._ready.append(connection.packet)
                self._arrived.notify()
        else:
            self._counters["empty"] += 1
        self._forget(connection)

    def _drop(self, connection: Connection, reason: str) -> None:
        size = len(connection.packet)
        self._counters["dropped" if size else "empty"] += 1
        if self._lines.admit(reason):
            logger.warning("packet from lidir dropped after {} bytes: {}", size, reason)
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.peer)
        connection.peer.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=128)
    except OSError as error:
        raise TransportError(
            f"cannot listen for lidir on {host}:{port} ({error.strerror or error}): "
            + (
                advice(error)
                if is_shortage(error)
                else "free that port, or change packet_receiver_host and packet_receiver_port in"
                " [transport]"
            )
        ) from error
    listener.setblocking(False)
    return listener
