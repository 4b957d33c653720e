"""Debian's nginx and Apache, run with the files of deploy/proxy."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GROUP = "www-data" if os.geteuid() == 0 else None
"""Group of the proxies' processes: they leave root's identity; without root they are ours."""
NGINX_MAIN = """
daemon off;
{user}
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {place}/nginx-body;
    proxy_temp_path {place}/nginx-proxy;
    fastcgi_temp_path {place}/nginx-fastcgi;
    uwsgi_temp_path {place}/nginx-uwsgi;
    scgi_temp_path {place}/nginx-scgi;
    include {place}/site.conf;
}}
"""
APACHE_MODULES = (
    "mpm_event authz_core authz_host headers alias proxy proxy_http reqtimeout setenvif"
    " socache_shmcb ssl"
)
APACHE_MAIN = """
ServerRoot {place}
PidFile {place}/apache.pid
ErrorLog {place}/error.log
Mutex file:{place} default
ServerName localhost
{user}
{modules}
Listen 127.0.0.1:{plain_port}
Listen 127.0.0.1:{port}
Include {place}/site.conf
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    name: str
    port: int
    plain_port: int
    certificate: Path

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Open a TLS connection, for requests that no HTTP client would send."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        raw = socket.create_connection(("127.0.0.1", self.port), 60, (source, 0))
        return context.wrap_socket(raw, server_hostname="origin.example.org")

    def send(self, head: bytes, source: str = "127.0.0.1") -> bytes:
        """Send a raw request and return the raw response."""
        with self.connect(source) as connection:
            connection.sendall(head)
            chunks = []
            while chunk := connection.recv(65536):
                chunks.append(chunk)
            return b"".join(chunks)

    def ask(
        self,
        path: str,
        *headers: str,
        method: str = "GET",
        source: str = "127.0.0.1",
        host: str = "origin.example.org",
    ) -> bytes:
        """Send a request with these header lines and return the raw response."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        head = "\r\n".join([*lines, "Connection: close", "", ""])
        return self.send(head.encode("latin-1"), source)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def public_directory() -> Iterator[Path]:
    """Make a directory below which the proxy's own user finds what it may open."""
    place = Path(tempfile.mkdtemp(prefix="eurydice-proxy-"))
    try:
        place.chmod(0o711)
        yield place
    finally:
        shutil.rmtree(place)


@pytest.fixture(scope="session")
def certificate(debian_program: Callable[[str, str], Path], tmp_path_factory) -> Path:
    """Make a certificate of origin.example.org, with its key beside it."""
    place = tmp_path_factory.mktemp("tls")
    file = place / "certificate.pem"
    command = [debian_program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=origin.example.org"]
    command += ["-addext", "subjectAltName=DNS:origin.example.org"]
    command += ["-keyout", place / "key.pem", "-out", file]
    subprocess.run(command, check=True, capture_output=True)
    return file


def site(name: str, upstream: Path, certificate: Path, port: int, plain_port: int) -> str:
    """Return a shipped file with its ports, paths and certificates replaced, and no more."""
    text = (ROOT / f"deploy/proxy/{name}.conf").read_text()
    replaced = {
        "/run/eurydice/api.sock": str(upstream),
        "/etc/ssl/eurydice/certificate.pem": str(certificate),
        "/etc/ssl/eurydice/key.pem": str(certificate.with_name("key.pem")),
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{plain_port}",
        "*:443": f"*:{port}",
        "*:80": f"*:{plain_port}",
    }
    pattern = "|".join(map(re.escape, replaced))
    return re.sub(pattern, lambda found: replaced[found[0]], text)


@contextmanager
def running(
    name: str, program: Path, place: Path, upstream: Path, certificate: Path
) -> Iterator[Proxy]:
    """Run a proxy in front of a Unix socket."""
    port, plain_port = free_port(), free_port()
    (place / "site.conf").write_text(site(name, upstream, certificate, port, plain_port))
    if name == "nginx":
        user = "user www-data;" if GROUP else ""
        main = NGINX_MAIN.format(place=place, user=user)
        command = [program, "-p", place, "-c", place / "main.conf"]
    else:
        modules = "\n".join(
            f"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"
            for module in APACHE_MODULES.split()
        )
        user = "User www-data\nGroup www-data" if GROUP else ""
        main = APACHE_MAIN.format(
            place=place, user=user, modules=modules, port=port, plain_port=plain_port
        )
        command = [program, "-f", place / "main.conf", "-DFOREGROUND"]
    (place / "main.conf").write_text(main)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            wait_for_port(process, port, place)
            yield Proxy(name, port, plain_port, certificate)
        finally:
            process.terminate()


def wait_for_port(process: subprocess.Popen[str], port: int, place: Path) -> None:
    """Return once the proxy listens."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            log = place / "error.log"
            pytest.fail(process.stderr.read() + (log.read_text() if log.exists() else ""))
        time.sleep(0.01)  # a program of somebody else's, which tells nobody that it is ready


@pytest.fixture(params=["nginx", "apache"], scope="session")
def proxy_program(
    request: pytest.FixtureRequest, debian_program: Callable[[str, str], Path]
) -> tuple[str, Path]:
    """Return the name of a proxy and its program."""
    if request.param == "nginx":
        return "nginx", debian_program("nginx", "nginx")
    return "apache", debian_program("apache2", "apache2")
