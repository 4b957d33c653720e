"""Speed of the native link over loopback, sender and receiver in processes of their own.

    python benchmarks/link.py --rate 0 --mtu 1500 --size 32MiB --packets 60

Prints MB/s of packets (10^6 bytes, repair and headers not counted), the processor time of
each part per GB, and what was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

from eurydice_core.model.quantities import parse_size
from eurydice_transport_udp import Settings, UdpTransport


def main() -> None:
    arguments = parse_arguments()
    if arguments.end == "send":
        send(arguments)
    elif arguments.end == "receive":
        receive(arguments)
    else:
        measure(arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of the native link over loopback.")
    parser.add_argument("--rate", type=float, default=0, help="Mbit/s; 0 is no limit")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--size", type=parse_size, default=32 << 20, help="of a packet")
    parser.add_argument("--packets", type=int, default=60)
    parser.add_argument("--repair", type=int, default=10)
    parser.add_argument("--codec", default="auto")
    parser.add_argument("--receive-buffer", type=parse_size, default=32 << 20)
    parser.add_argument("--port", type=int, default=7499)
    parser.add_argument("--end", choices=["both", "send", "receive"], default="both")
    return parser.parse_args()


def transport(arguments: argparse.Namespace) -> UdpTransport:
    settings = Settings(
        bind="127.0.0.1",
        port=arguments.port,
        rate=arguments.rate,
        mtu=arguments.mtu,
        repair=arguments.repair,
        codec=arguments.codec,
        receive_buffer=arguments.receive_buffer,
    )
    return UdpTransport(settings)


def send(arguments: argparse.Namespace) -> None:
    packet = os.urandom(arguments.size)
    with transport(arguments).sender() as sender:
        sys.stdin.readline()
        began = time.perf_counter()
        for _ in range(arguments.packets):
            sender.send(packet)
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "cpu": cpu(), **sender.counters()}))


def receive(arguments: argparse.Namespace) -> None:
    first = last = time.perf_counter()
    packets = 0
    with transport(arguments).receiver() as receiver:
        print("ready", flush=True)
        while packets < arguments.packets and receiver.receive(3.0) is not None:
            last = time.perf_counter()
            first = first if packets else last
            packets += 1
        counters = dict(receiver.counters())
    seconds = last - first
    rate = (packets - 1) * arguments.size / 1e6 / seconds if packets > 1 else 0.0
    collecting = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "rate": rate,
                "cpu": cpu(),
                "collector_cpu": collecting.ru_utime + collecting.ru_stime,
                "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
                **counters,
            }
        )
    )


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(arguments: argparse.Namespace) -> None:
    command = [sys.executable, __file__, *sys.argv[1:], "--end"]
    pipes = {"stdout": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen([*command, "receive"], **pipes) as receiver,
        subprocess.Popen([*command, "send"], **pipes) as sender,
    ):
        receiver.stdout.readline()
        sent = json.loads(sender.communicate("go\n")[0])
        received = json.loads(receiver.communicate()[0])
    gigabytes = arguments.packets * arguments.size / 1e9
    print(
        f"sent {gigabytes * 1000 / sent['seconds']:.0f} MB/s,"
        f" received {received['rate']:.0f} MB/s,"
        f" {received['packets']} of {arguments.packets} packets;"
        f" wire {sent['wire_bytes'] * 8 / 1e6 / sent['seconds']:.0f} Mbit/s"
    )
    print(
        f"processor seconds a GB: sender {sent['cpu'] / gigabytes:.2f},"
        f" collector {received['collector_cpu'] / gigabytes:.2f},"
        f" receiver {received['cpu'] / gigabytes:.2f}"
    )
    kept = ("dropped", "lost_packets", "kernel_drops", "repaired", "refused", "duplicates", "rss")
    print(", ".join(f"{name} {received[name]}" for name in kept))


if __name__ == "__main__":
    main()
