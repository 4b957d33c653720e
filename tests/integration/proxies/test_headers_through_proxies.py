"""Headers that reach the API through the shipped proxy files, from hostile clients."""

from __future__ import annotations

import queue
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.proxies.conftest import GROUP, Proxy, public_directory, running

pytestmark = pytest.mark.service

LOCATIONS = ["/", "/admin/", "/admin/users", "/api/v1/user/me/", "/healthz", "/metrics", "/pages/"]
FORGED = "203.0.113.66"
IDENTITY = ["remote-user", "x-remote-user", "x-forwarded-user"]
FORWARDED = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "forwarded",
    "via",
]
OTHER = ["x-eurydice-proxy-secret", "x-request-id"]
"""Headers that the API believes from a proxy."""
SPELLINGS = [
    "{name}: {value}",
    "{upper}: {value}",
    "{title}: {value}",
    "{underscored}: {value}",
    "{half_underscored}: {value}",
    "{upper_underscored}: {value}",
    "{name}:{value}",
    "{name}:   {value}   ",
    "{name}:\t{value}",
    "{name}: {value}\r\n{name}: {value}",
    "{name}: {value}\r\n{upper}: {value}",
    "{name}: \r\n{name}: {value}",
    "{name}: x\r\n {value}",
    "X-Padding: x\r\n {name}: {value}",
    "{name} : {value}",
    "{name}\t: {value}",
    " {name}: {value}",
    "{name}\x00: {value}",
    "{name}: {value}\x00",
    "{name}: {value}\n{name}: {value}",
    "X-Padding: x\r{name}: {value}",
    "X-Padding: x\n{name}: {value}",
    "X-Padding: " + "x" * 4000 + "\r\n{name}: {value}",
    "{name}: " + "x" * 6000 + "{value}",
    "Connection: {name}\r\n{name}: {value}",
    "Connection: x-forwarded-for, x-remote-user, x-forwarded-proto\r\n{name}: {value}",
]


class Upstream:
    """A server in the API's place that remembers the heads of requests."""

    def __init__(self, path: Path) -> None:
        self.heads: queue.Queue[bytes] = queue.Queue()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        if GROUP:
            shutil.chown(path, group=GROUP)
            path.chmod(0o660)
        self.listener.listen(64)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (chunk := connection.recv(65536)):
                    head += chunk
                self.heads.put(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nreached"
                )

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def take(self) -> list[bytes]:
        heads = []
        while not self.heads.empty():
            heads.append(self.heads.get())
        return heads


@pytest.fixture(scope="module")
def proxied(proxy_program, certificate) -> Iterator[tuple[Proxy, Upstream]]:
    """A proxy in front of the server that remembers."""
    name, program = proxy_program
    with public_directory() as place:
        upstream = Upstream(place / "api.sock")
        try:
            with running(name, program, place, place / "api.sock", certificate) as proxy:
                yield proxy, upstream
        finally:
            upstream.close()


def spell(spelling: str, name: str, value: str) -> str:
    first, _, rest = name.partition("-")
    return spelling.format(
        name=name,
        upper=name.upper(),
        title=name.title(),
        underscored=name.replace("-", "_"),
        half_underscored=f"{first}_{rest}" if rest else first,
        upper_underscored=name.upper().replace("-", "_"),
        value=value,
    )


def fields(head: bytes) -> dict[str, list[str]]:
    """Return the values of each header that arrived, by name as it was written, lower case."""
    found: dict[str, list[str]] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.lower(), []).append(value.strip())
    return found


def assert_nothing_forged(heads: list[bytes], allowed_host: str) -> None:
    for head in heads:
        found = fields(head)
        known = {name.replace("_", "-"): values for name, values in found.items()}
        for name in IDENTITY:
            assert name not in known, head
        assert known.get("x-forwarded-for") == ["127.0.0.1"], head
        assert known.get("x-forwarded-proto") == ["https"], head
        assert set(known.get("x-forwarded-host", [])) <= {allowed_host}, head
        for name in [*FORWARDED, *OTHER]:
            assert FORGED not in " ".join(known.get(name, [])), head
        assert len(known.get("host", [])) == 1, head


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_forged_header_reaches_the_api(proxied, location):
    proxy, upstream = proxied
    upstream.take()
    for spelling in SPELLINGS:
        forged = [spell(spelling, name, FORGED) for name in [*IDENTITY, *FORWARDED, *OTHER]]
        if "x" * 4000 in spelling:
            forged = forged[:2]  # more would be refused for their length alone
        answer = proxy.ask(location, *forged)
        assert answer[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 400"), (spelling, answer)
        assert_nothing_forged(upstream.take(), "origin.example.org")


@pytest.mark.parametrize(
    "head",
    [
        "GET /admin/ HTTP/1.0\r\n{forged}\r\n\r\n",
        "GET /admin/ HTTP/1.0\r\nHost: origin.example.org\r\n{forged}\r\n\r\n",
        "GET http://origin.example.org/admin/ HTTP/1.1\r\nHost: other.example\r\n"
        "Connection: close\r\n{forged}\r\n\r\n",
        "GET https://origin.example.org/admin/ HTTP/1.1\r\nHost: origin.example.org\r\n"
        "Connection: close\r\n{forged}\r\n\r\n",
        "GET /admin/ HTTP/1.1\r\nHost: origin.example.org\r\nHost: other.example\r\n"
        "Connection: close\r\n{forged}\r\n\r\n",
        "GET //admin/ HTTP/1.1\r\nHost: origin.example.org\r\nConnection: close\r\n"
        "{forged}\r\n\r\n",
        "GET /%61dmin/ HTTP/1.1\r\nHost: origin.example.org\r\nConnection: close\r\n"
        "{forged}\r\n\r\n",
        "GET /x/../admin/ HTTP/1.1\r\nHost: origin.example.org\r\nConnection: close\r\n"
        "{forged}\r\n\r\n",
        "GET /admin/ HTTP/1.1\r\nHost: origin.example.org\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n0\r\n{forged}\r\n\r\n",
        "POST /admin/ HTTP/1.1\r\nHost: origin.example.org\r\nContent-Length: 0\r\n\r\n"
        "GET /admin/ HTTP/1.1\r\nHost: origin.example.org\r\nConnection: close\r\n"
        "{forged}\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: origin.example.org\r\nConnection: close\r\n{forged}\r\n\r\n",
    ],
    ids=lambda head: ascii(head[:40]),
)
def test_odd_requests_bring_no_forged_header(proxied, head):
    proxy, upstream = proxied
    upstream.take()
    forged = "\r\n".join(f"{name}: {FORGED}" for name in [*IDENTITY, *FORWARDED, *OTHER])
    proxy.send(head.format(forged=forged).encode())
    for received in upstream.take():
        known = fields(received)
        assert not set(IDENTITY) & set(known), received
        assert known["x-forwarded-for"] == ["127.0.0.1"], received
        assert known["x-forwarded-proto"] == ["https"], received
        assert FORGED not in received.decode("latin-1"), received


def test_plain_http_is_only_redirected(proxied):
    proxy, upstream = proxied
    upstream.take()
    with socket.create_connection(("127.0.0.1", proxy.plain_port), timeout=60) as connection:
        connection.sendall(
            b"GET /admin/ HTTP/1.1\r\nHost: origin.example.org\r\nX-Remote-User: root\r\n"
            b"Connection: close\r\n\r\n"
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 308")
    assert b"\r\nLocation: https://origin.example.org/admin/\r\n" in answer
    assert upstream.take() == []


@pytest.mark.parametrize("how", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_upload_is_passed_on_while_it_comes(proxied, how):
    """The head reaches the API before the body is whole; Apache gathers 16 KiB first."""
    proxy, upstream = proxied
    upstream.take()
    data = b"x" * 100_000
    body = data if "Length" in how else b"%x\r\n%b\r\n" % (len(data), data)
    head = "POST /api/v1/transferables/ HTTP/1.1\r\nHost: origin.example.org\r\n" + how
    with proxy.connect() as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        received = upstream.heads.get(timeout=60)
    assert how.lower().encode() in received.lower()


def test_the_files_pass_on_no_name_with_an_underscore(proxied):
    proxy, upstream = proxied
    upstream.take()
    names = [*IDENTITY, *FORWARDED, *OTHER]
    proxy.ask("/", *[f"{name.replace('-', '_')}: {FORGED}" for name in names if "-" in name])
    (head,) = upstream.take()
    assert FORGED not in head.decode("latin-1")
