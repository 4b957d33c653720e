"""A proxy in front of the S3 server that does to requests what networks and servers do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Fault", "Proxy", "proxy_to"]

Fault = Literal["reset", "hang", "cut", "503", "507"]

ANSWERS = {
    "503": ("503 Slow Down", "SlowDown", "please reduce your request rate"),
    "507": ("507 Insufficient Storage", "XMinioStorageFull", "the drives are full"),
}
CUT_AFTER = 100_000


@dataclass
class Proxy:
    """What to do to which requests, and what came."""

    url: str = ""
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    """Pairs of what the request line begins with and what becomes of it; each once."""
    seen: list[str] = field(default_factory=list)

    def fault_of(self, request: str) -> Fault | None:
        """Return what becomes of a request, and count it as done."""
        for pair in self.faults:
            if request.startswith(pair[0]):
                self.faults.remove(pair)
                return pair[1]
        return None


@contextmanager
def proxy_to(endpoint_url: str, *, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own."""
    proxy = Proxy()
    ready, loop = threading.Event(), asyncio.new_event_loop()
    upstream = urlsplit(endpoint_url)
    place = (upstream.hostname or "127.0.0.1", upstream.port or 80)
    stop = asyncio.Event()

    async def serve() -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await _carry(proxy, reader, writer, place)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        proxy.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        ready.set()
        await stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for what was aborted to be closed

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _carry(
    proxy: Proxy,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    place: tuple[str, int],
) -> None:
    """Carry one request and its answer: a connection each."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    request = line.decode()
    fault = proxy.fault_of(request)
    proxy.seen.append(request.rpartition(" ")[0])
    if fault == "reset":
        no_linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        return
    if fault == "hang":
        await asyncio.Event().wait()
    if fault in ANSWERS:
        writer.write(_refusal(*ANSWERS[fault]))
        await writer.drain()
        # What is still unread when a socket is closed makes it a reset.
        while await reader.read(2**16):
            continue
        return
    up_reader, up_writer = await asyncio.open_connection(*place)
    try:
        up_writer.write(line + b"\r\nConnection: close\r\n" + rest)
        up = asyncio.create_task(_pump(reader, up_writer))
        await _pump(up_reader, writer, CUT_AFTER if fault == "cut" else None)
        if fault != "cut":
            writer.close()
            await writer.wait_closed()
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)
    finally:
        up_writer.transport.abort()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None = None
) -> None:
    carried = 0
    while (limit is None or carried < limit) and (data := await source.read(2**16)):
        sink.write(data)
        await sink.drain()
        carried += len(data)


def _refusal(status: str, code: str, message: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
