"""Speed, cost and loss of the native link over loopback, beside two floors.

    python benchmarks/link.py                         # all of it, about a minute
    python benchmarks/link.py --mtu 9000 --rate 0     # one row

Sealed packets go through the sender and the receiver of the transport, each a process of
its own, as in the real thing. The floors are the same bytes through plain sockets: UDP
with the kernel's segmentation offload but neither coding, seal nor pace, and TCP. MB/s are
10^6 bytes of packets, repair and headers not counted; processor time is per 10^9 of them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from report import write_report

from eurydice_core.model.quantities import parse_size
from eurydice_core.protocol.elements import TransferablePart
from eurydice_core.protocol.packet import PacketBuilder, open_packet
from eurydice_transport_udp import Settings, UdpTransport

KEY = bytes(32)
RATES = (1000, 4000, 8500, 0)
MTUS = (1500, 9000)
REPAIRS = (0, 10)
LEAST_SECONDS = 2.0
CHUNK = 1 << 20
SILENCE = 2.0
SOL_UDP, UDP_SEGMENT, UDP_GRO, SO_RCVBUFFORCE = 17, 103, 104, 33
HEADINGS = ("way", "MTU", "repair", "rate", "MB/s", "sender", "collector", "receiver", "lost")


def main() -> None:
    arguments = parse_arguments()
    if arguments.end:
        {"send": send_end, "receive": receive_end}[arguments.end](arguments)
        return
    rows = [measure(one) for one in cases(arguments)]
    write_report(arguments.json, rows)


def parse_arguments(said: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of the native link over loopback.")
    parser.add_argument("--way", choices=["link", "udp", "tcp"])
    parser.add_argument("--rate", type=float, help="Mbit/s; 0 is no limit")
    parser.add_argument("--mtu", type=int)
    parser.add_argument("--repair", type=int, help="percent")
    parser.add_argument("--size", type=parse_size, default=32 << 20, help="of a packet")
    parser.add_argument("--total", type=parse_size, default=1600 << 20, help="most of a row")
    parser.add_argument("--codec", default="auto")
    parser.add_argument("--port", type=int, default=7499)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--end", choices=["send", "receive"], help=argparse.SUPPRESS)
    return parser.parse_args(said)


def cases(arguments: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """Yield every row that was asked for, the floors first."""
    print("  ".join(f"{heading:>9}" for heading in HEADINGS), flush=True)
    rows = [("tcp", 65536, 0, 0.0), *(("udp", mtu, 0, 0.0) for mtu in MTUS)]
    rows += [("link", mtu, repair, rate) for mtu in MTUS for repair in REPAIRS for rate in RATES]
    for way, mtu, repair, rate in rows:
        wanted = {"way": way, "mtu": mtu, "repair": repair, "rate": rate}
        if all(getattr(arguments, name) in (None, value) for name, value in wanted.items()):
            yield argparse.Namespace(**{**vars(arguments), **wanted})


def packets(case: argparse.Namespace) -> int:
    """Return how many packets make a row long enough to be measured."""
    total = case.rate * 125_000 * LEAST_SECONDS / 1.2 if case.rate else case.total
    return max(2, int(min(total, case.total) / case.size))


def measure(case: argparse.Namespace) -> dict[str, Any]:
    names = ("way", "rate", "mtu", "repair", "size", "total", "codec", "port")
    said = [f"--{name}={getattr(case, name)}" for name in names]
    command = [sys.executable, __file__, *said, "--end"]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "text": True,
    }
    with (
        subprocess.Popen([*command, "receive"], **pipes) as receiver,
        subprocess.Popen([*command, "send"], **pipes) as sender,
    ):
        receiver.stdout.readline()
        sender.stdout.readline()
        sent = json.loads(sender.communicate("go\n")[0])
        received = json.loads(receiver.communicate()[0])
    seconds = max(1e-9, received["last"] - sent["began"])  # one clock for all processes
    row = {
        **{name: getattr(case, name) for name in names[:5]},
        "seconds": seconds,
        "sent": sent,
        "received": received,
    }
    show(row)
    return row


def show(row: dict[str, Any]) -> None:
    sent, received = row["sent"], row["received"]
    gigabytes = sent["bytes"] / 1e9
    lost = 100 * (1 - received["bytes"] / sent["bytes"])
    figures = (
        row["way"],
        row["mtu"],
        f"{row['repair']} %",
        f"{row['rate']:g}" if row["rate"] else "-",
        f"{received['bytes'] / 1e6 / row['seconds']:.0f}",
        f"{sent['cpu'] / gigabytes:.2f}",
        f"{received['collector_cpu'] / gigabytes:.2f}" if row["way"] == "link" else "-",
        f"{received['cpu'] / gigabytes:.2f}",
        f"{lost:.1f} %" if lost else "0",
    )
    print("  ".join(f"{figure:>9}" for figure in figures), flush=True)


def send_end(case: argparse.Namespace) -> None:
    ways: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "link": send_packets,
        "udp": send_datagrams,
        "tcp": send_stream,
    }
    print(json.dumps(ways[case.way](case)))


def receive_end(case: argparse.Namespace) -> None:
    ways: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "link": receive_packets,
        "udp": receive_datagrams,
        "tcp": receive_stream,
    }
    print(json.dumps(ways[case.way](case)))


def go() -> tuple[float, float]:
    """Wait for the word, and return the time and the processor time so far."""
    print("ready", flush=True)
    sys.stdin.readline()
    return time.perf_counter(), cpu()


def cpu(process: psutil.Process | None = None) -> float:
    times = (process or psutil.Process()).cpu_times()
    return float(times.user + times.system)


def transport(case: argparse.Namespace) -> UdpTransport:
    settings = Settings(
        bind="127.0.0.1",
        port=case.port,
        rate=case.rate,
        mtu=case.mtu,
        repair=case.repair,
        codec=case.codec,
    )
    return UdpTransport(settings)


def send_packets(case: argparse.Namespace) -> dict[str, Any]:
    data = np.frombuffer(os.urandom(case.size), np.uint8)
    part = TransferablePart(
        id=uuid.uuid4(),
        profile=bytes(8),
        name="benchmark",
        metadata={},
        size=case.size,
        piece_size=case.size,
        sha1=None,
        sha256=None,
        ranges=[(0, case.size)],
    )
    stream = uuid.uuid4()
    with transport(case).sender() as sender, ThreadPoolExecutor(1) as link:
        began, before = go()
        buffers: list[bytearray | None] = [None, None]
        flight: Future[None] | None = None
        for number in range(packets(case)):  # sealed while the one before is on its way
            builder = PacketBuilder(
                stream=stream,
                sequence=number,
                sent_at_ms=0,
                parts=[part],
                buffer=buffers[number % 2],
            )
            buffers[number % 2] = builder.buffer
            # Other threads go on meanwhile, as they do while a storage is read.
            np.copyto(np.frombuffer(builder.slots[0], np.uint8), data)
            packet = builder.sealed(KEY)
            if flight:
                flight.result()
            flight = link.submit(sender.send, packet)
        if flight:
            flight.result()
        return {
            "began": began,
            "cpu": cpu() - before,
            "bytes": packets(case) * case.size,
            "counters": dict(sender.counters()),
        }


def receive_packets(case: argparse.Namespace) -> dict[str, Any]:
    with transport(case).receiver() as receiver:
        (collector,) = psutil.Process().children()
        before, collector_before = cpu(), cpu(collector)
        print("ready", flush=True)
        last, came = 0.0, 0
        while came < packets(case):
            packet = receiver.receive(SILENCE)
            if packet is None:
                break
            open_packet(packet, KEY)
            came += 1
            last = time.perf_counter()
        return {
            "last": last,
            "cpu": cpu() - before,
            "collector_cpu": cpu(collector) - collector_before,
            "bytes": came * case.size,
            "counters": dict(receiver.counters()),
        }


def send_datagrams(case: argparse.Namespace) -> dict[str, Any]:
    size = case.mtu - 28
    batch = os.urandom(min(64, 65_507 // size) * size)
    total = packets(case) * case.size // len(batch)
    ancillary = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        began, before = go()
        for _ in range(total):
            sock.sendmsg([batch], ancillary, 0, ("127.0.0.1", case.port))
        return {
            "began": began,
            "cpu": cpu() - before,
            "bytes": total * len(batch),
        }


def receive_datagrams(case: argparse.Namespace) -> dict[str, Any]:
    buffer = bytearray(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        except OSError:  # not root
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        sock.bind(("127.0.0.1", case.port))
        return drained(sock, lambda: sock.recv_into(buffer))


def send_stream(case: argparse.Namespace) -> dict[str, Any]:
    chunk = os.urandom(CHUNK)
    total = packets(case) * case.size // CHUNK
    print("ready", flush=True)
    sys.stdin.readline()
    with socket.create_connection(("127.0.0.1", case.port)) as sock:
        began, before = time.perf_counter(), cpu()
        for _ in range(total):
            sock.sendall(chunk)
        return {
            "began": began,
            "cpu": cpu() - before,
            "bytes": total * CHUNK,
        }


def receive_stream(case: argparse.Namespace) -> dict[str, Any]:
    buffer = bytearray(CHUNK)
    with socket.create_server(("127.0.0.1", case.port)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
        with connection:
            return drained(connection, lambda: connection.recv_into(buffer))


def drained(sock: socket.socket, receive: Callable[[], int]) -> dict[str, Any]:
    """Receive until nothing comes."""
    before, came = cpu(), 0
    if sock.type == socket.SOCK_DGRAM:
        print("ready", flush=True)
    sock.settimeout(60)
    last = 0.0
    with suppress(TimeoutError):
        while size := receive():
            last = time.perf_counter()
            if not came:
                sock.settimeout(SILENCE)
            came += size
    return {"last": last, "cpu": cpu() - before, "bytes": came}


if __name__ == "__main__":
    main()
