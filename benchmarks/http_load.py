"""HTTP clients that cost little: raw sockets, in a process of their own.

    python benchmarks/http_load.py '{"do": "repeat", ...}'

Reads what to do as JSON, prints what it measured as JSON. A client in the server's process
would take turns with it, and a convenient one would be slower than what it measures.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import threading
import time
from typing import Any

CHUNK = 1 << 20
OCTETS = "Content-Type: application/octet-stream\r\n"


def main() -> None:
    job = json.loads(sys.argv[1])
    does = {"repeat": repeat, "send": send, "fetch": fetch, "trickle": trickle}
    print(json.dumps(does[job["do"]](job)), flush=True)


def connect(job: dict[str, Any]) -> socket.socket:
    connection = socket.create_connection((job["host"], job["port"]))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(job: dict[str, Any], method: str, *lines: str) -> bytes:
    token = f"Authorization: Token {job['token']}\r\n" if job.get("token") else ""
    return f"{method} {job['path']} HTTP/1.1\r\nHost: x\r\n{token}{''.join(lines)}\r\n".encode()


def answer(connection: socket.socket, buffer: memoryview) -> tuple[int, bytes]:
    """Receive one answer; return its length and the start of its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        some = connection.recv(CHUNK)
        if not some:
            raise SystemExit(f"the server closed the connection: {received!r}")
        received += some
    headers, _, body = received.partition(b"\r\n\r\n")
    if headers[9:10] != b"2":
        raise SystemExit(f"{headers.decode()}\n{body.decode()}")
    lines = headers.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    left = length - len(body)
    while left:
        left -= connection.recv_into(buffer)
    return length, body


def repeat(job: dict[str, Any]) -> dict[str, Any]:
    """Send the same small request again and again, from several clients at once."""
    body = os.urandom(job.get("size", 0))
    lines = (OCTETS, "Metadata-Name: small.bin\r\n", f"Content-Length: {len(body)}\r\n")
    message = head(job, job["method"], *(lines if job["method"] == "POST" else ())) + body
    latencies: list[float] = []
    until = time.perf_counter() + job["seconds"]
    left = iter(range(job.get("count", sys.maxsize)))  # one for all clients; it is atomic

    def client() -> None:
        buffer = memoryview(bytearray(CHUNK))
        with connect(job) as connection:
            while (began := time.perf_counter()) < until and next(left, None) is not None:
                connection.sendall(message)
                answer(connection, buffer)
                latencies.append(time.perf_counter() - began)

    clients = [threading.Thread(target=client) for _ in range(job["clients"])]
    began = time.perf_counter()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    seconds = time.perf_counter() - began
    latencies.sort()
    return {
        "count": len(latencies),
        "per_second": len(latencies) / seconds,
        "median_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
    }


def send(job: dict[str, Any]) -> dict[str, Any]:
    """Upload one large file from memory."""
    chunk = os.urandom(CHUNK)
    buffer = memoryview(bytearray(CHUNK))
    with connect(job) as connection:
        began = time.perf_counter()
        connection.sendall(head(job, "POST", OCTETS, f"Content-Length: {job['size']}\r\n"))
        for _ in range(job["size"] // CHUNK):
            connection.sendall(chunk)
        answer(connection, buffer)
        return {"seconds": time.perf_counter() - began, "bytes": job["size"]}


def fetch(job: dict[str, Any]) -> dict[str, Any]:
    """Download one large file, and throw it away."""
    buffer = memoryview(bytearray(CHUNK))
    with connect(job) as connection:
        began = time.perf_counter()
        connection.sendall(head(job, "GET"))
        length, _ = answer(connection, buffer)
        return {"seconds": time.perf_counter() - began, "bytes": length}


def trickle(job: dict[str, Any]) -> dict[str, Any]:
    """Upload from many clients at once, each a little every second; told to stop by a line."""
    piece = bytes(job["rate"])
    clients = [connect(job) for _ in range(job["clients"])]
    for client in clients:
        client.sendall(head(job, "POST", OCTETS, "Content-Length: 1000000000\r\n"))
    print("ready", flush=True)
    sent = 0
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while not selector.select(0):
            began = time.perf_counter()
            for client in clients:
                client.sendall(piece)
                sent += len(piece)
            time.sleep(max(0.0, 1 - (time.perf_counter() - began)))
    return {"bytes": sent, "clients": len(clients)}


if __name__ == "__main__":
    main()
