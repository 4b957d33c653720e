"""Latency of a known user of HTTP Basic while attackers send wrong passwords.

    python benchmarks/password_flood.py --attackers 50 --seconds 10

Each attacker has an address of its own (told by a trusted proxy's header) and a new user
name for each request, so that no lockout ends its flood. Everything runs on one machine,
so that attackers, hashes and the user share its processors.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sites import directory, served, side

from eurydice_core.model.states import Side

PASSWORD = "correct horse"
KNOWN, NEW = "192.0.2.1", "192.0.2.2"
"""Addresses of the remembered user, and of those who send their first request."""
PAUSE = 0.05
"""Seconds between two requests of a user."""
SECRET = "s" * 32
"""Of the proxy that tells the addresses."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of HTTP Basic under a flood.")
    parser.add_argument("--attackers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    with directory(None) as path, side(path, Side.ORIGIN) as (installation, _, table):
        for name in ("bob", "carol", "dave"):
            installation.accounts.add(name)
        for name in ("alice", "bob", "carol", "dave"):
            installation.accounts.set_password(name, PASSWORD)
        table["auth"] = {"plugins": ["auth_basic"], "auth_basic": {"allow_http": True}}
        proxy = {"trusted_proxies": ["127.0.0.1"], "proxy_secret": SECRET}
        table["api"] |= {**proxy, "lockout_attempts": 1000}
        with served(table) as server:
            flood(server.port, arguments.attackers, arguments.seconds)


def flood(port: int, attackers: int, seconds: float) -> None:
    """Flood with wrong passwords; measure a remembered user, and new ones' first requests."""
    answers: Counter[int] = Counter()
    request(port, KNOWN, "alice", PASSWORD)
    until = time.monotonic() + seconds

    def attack(number: int) -> None:
        count = 0
        while time.monotonic() < until:
            count += 1
            name = f"user{number}-{count}"
            answers[request(port, f"198.51.100.{number}", name, "wrong horse")] += 1

    with ThreadPoolExecutor(attackers + 1) as pool:
        attacks = [pool.submit(attack, number) for number in range(attackers)]
        new = pool.submit(measure, port, until, ["bob", "carol", "dave"], NEW)
        known = measure(port, until, ["alice"] * int(seconds / PAUSE), KNOWN)
        for one in attacks:
            one.result()
    print(f"{attackers} attackers: {dict(answers)}")
    report("remembered user", *known)
    report("first requests of others", *new.result())


def measure(
    port: int, until: float, names: list[str], address: str
) -> tuple[list[float], Counter[int]]:
    """Return the latencies in seconds and the statuses of requests, one after the other."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    for name in names:
        if time.monotonic() >= until:
            break
        began = time.monotonic()
        statuses[request(port, address, name, PASSWORD)] += 1
        latencies.append(time.monotonic() - began)
        time.sleep(PAUSE)
    return latencies, statuses


def report(what: str, latencies: list[float], statuses: Counter[int]) -> None:
    median = statistics.median(latencies) * 1000
    print(
        f"{what}: {len(latencies)} requests, {dict(statuses)},"
        f" median {median:.0f} ms, longest {max(latencies) * 1000:.0f} ms"
    )


def request(port: int, address: str, username: str, password: str) -> int:
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        headers = {
            "Authorization": f"Basic {credentials}",
            "X-Forwarded-For": address,
            "X-Eurydice-Proxy-Secret": SECRET,
        }
        connection.request("GET", "/api/v1/user/me/", headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


if __name__ == "__main__":
    main()
