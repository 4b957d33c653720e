"""Attacks on a real API through the shipped proxy files: whom a client can pretend to be."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database
from eurydice_core.model.states import Side
from tests.integration.proxies.conftest import GROUP, Proxy, public_directory, running

pytestmark = [pytest.mark.service, pytest.mark.e2e]

SERVE = """
import sys
from eurydice_core import log
from eurydice_core.api.server import serve
from eurydice_core.config import Settings
log.configure()
serve(Settings.model_validate_json(sys.stdin.read()))
"""
ME = "/api/v1/user/me/"
LOCATIONS = ["/admin/", "/admin/users", "/api/v1/user/me/", "/", "/metrics", "/readyz"]
PASSWORD = "correct horse"
ATTEMPTS = 3
WATCHER = "127.0.0.99"
FORGERIES = [
    ["X-Remote-User: root"],
    ["x-remote-user: root"],
    ["X_Remote_User: root"],
    ["X-Remote_User: root"],
    ["X-Remote-User: root", "X-Remote-User: root"],
    ["X-Remote-User: bob", "X_REMOTE_USER: root"],
    ["X-Remote-User:\troot  "],
    ["X-Remote-User: root", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https"],
    ["Connection: x-remote-user, x-forwarded-for", "X-Remote-User: root"],
    ["Remote-User: root", "X-Forwarded-User: root"],
]


@pytest.fixture(scope="module")
def proxied(proxy_program, certificate, sqlite_database) -> Iterator[Proxy]:
    """A proxy in front of a real API on a Unix socket, with `root` (staff), `bob` and `carol`."""
    name, program = proxy_program
    with public_directory() as place:
        path = place / "api.sock"
        api = {"socket": str(path), "lockout_attempts": ATTEMPTS, "metrics_from": [WATCHER]}
        settings = {
            "side": "origin",
            "state_dir": str(place / "state"),
            "secret_key": "k" * 32,
            "database": {"url": sqlite_database(Side.ORIGIN)},
            "link": {"secret": "s" * 32},
            "storage": {"plugin": "storage_fs", "root": str(place / "data")},
            "auth": {"plugins": ["auth_remoteuser", "auth_basic"]},
            "web": {"plugins": ["admin"]},
            "api": api | ({"socket_group": GROUP} if GROUP else {}),
        }
        (place / "data").mkdir()
        add_accounts(settings["database"]["url"])
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        with process:
            try:
                process.stdin.write(json.dumps(settings))
                process.stdin.close()
                lines = []
                for line in process.stderr:
                    lines.append(line)
                    if "Started worker" in line:
                        break
                assert path.exists(), "".join(lines)
                mode = stat.S_IMODE(path.stat().st_mode)
                assert mode == (0o660 if GROUP else 0o600)
                with running(name, program, place, path, certificate) as proxy:
                    yield proxy
            finally:
                process.terminate()
                process.stderr.read()


def add_accounts(url: str) -> None:
    database = Database(url)
    try:
        accounts = Accounts(database)
        accounts.add("root", PASSWORD, is_staff=True)
        accounts.add("bob", PASSWORD)
        accounts.add("carol", PASSWORD)
    finally:
        database.dispose()


def basic(username: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda lines: "; ".join(lines)[:60])
@pytest.mark.parametrize("location", LOCATIONS)
def test_nobody_becomes_a_forged_user(proxied, location, forgery):
    for credentials in ([], [basic("bob", PASSWORD)]):
        answer = proxied.ask(location, *forgery, *credentials)
        if status(answer) != 400:
            plain = proxied.ask(location, *credentials)
            assert status(answer) == status(plain)
        assert b"authenticated-user: root" not in answer.lower()


def test_ordinary_user_is_let_in_and_stays_ordinary(proxied):
    answer = proxied.ask(ME, basic("bob", PASSWORD), "X-Remote-User: root")
    assert status(answer) == 200
    assert b'{"username":"bob"}' in answer
    assert status(proxied.ask("/admin/", basic("bob", PASSWORD), "X-Remote-User: root")) == 403
    assert status(proxied.ask("/admin/", basic("root", PASSWORD))) == 200


@pytest.mark.parametrize("location", ["/admin/", ME])
def test_forged_addresses_evade_no_lockout(proxied, location):
    source = f"127.0.1.{10 + len(location)}"
    names = ["X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "Forwarded"]
    wrong = [
        proxied.ask(
            location,
            basic("bob", f"wrong {number}"),
            *[f"{name}: 10.0.0.{number}" for name in names],
            source=source,
        )
        for number in range(ATTEMPTS + 2)
    ]
    assert status(wrong[-1]) == 429
    assert status(proxied.ask(location, basic("bob", PASSWORD), source=source)) == 429


def test_address_cannot_be_taken_off_either(proxied):
    """Headers that "Connection" names are dropped by proxies, their own ones too."""
    source = "127.0.1.5"
    drop = "Connection: x-forwarded-for, x-forwarded-proto, close"
    for number in range(ATTEMPTS + 1):
        proxied.ask(ME, basic("bob", f"wrong {number}"), drop, source=source)
    assert status(proxied.ask(ME, basic("bob", PASSWORD), source=source)) == 429


@pytest.mark.parametrize("location", ["/admin/", ME])
def test_forged_address_locks_nobody_else_out(proxied, location):
    attacker, victim = f"127.0.2.{len(location)}", f"127.0.3.{len(location)}"
    for number in range(ATTEMPTS + 1):
        lines = [f"X-Forwarded-For: {victim}", f"Forwarded: for={victim}", f"X-Real-IP: {victim}"]
        proxied.ask(location, basic("carol", f"wrong {number}"), *lines, source=attacker)
    assert status(proxied.ask(ME, basic("carol", PASSWORD), source=attacker)) == 429
    assert status(proxied.ask(ME, basic("carol", PASSWORD), source=victim)) == 200


def test_metrics_are_for_the_true_address(proxied):
    for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "Forwarded"):
        assert status(proxied.ask("/metrics", f"{name}: {WATCHER}")) == 401
    assert status(proxied.ask("/metrics", source=WATCHER)) == 200


def test_cookies_are_secure_behind_tls(proxied):
    answer = proxied.ask("/api/v1/user/login/", basic("carol", PASSWORD), source="127.0.4.1")
    assert status(answer) == 204
    cookies = re.findall(rb"(?im)^set-cookie: (.*)$", answer)
    assert len(cookies) == 2
    assert all(b"; Secure" in cookie for cookie in cookies)
    form = proxied.ask("/admin/sign-in", "X-Forwarded-Proto: http")
    (cookie,) = re.findall(rb"(?im)^set-cookie: (.*)$", form)
    assert b"; Secure" in cookie


def test_request_id_is_the_proxys(proxied):
    answer = proxied.ask("/healthz", "X-Request-Id: forged", "X_Request_Id: forged")
    assert status(answer) == 200
    assert b"forged" not in answer


def test_own_pages_may_change_something_and_others_may_not(proxied):
    lines = [basic("carol", PASSWORD), "X-Forwarded-Host: evil.example"]
    own = f"Origin: https://origin.example.org:{proxied.port}"
    host = f"origin.example.org:{proxied.port}"
    path = "/api/v1/user/token/"
    source = "127.0.4.2"
    evil = proxied.ask(
        path, *lines, "Origin: https://evil.example", method="DELETE", source=source, host=host
    )
    assert status(evil) == 403
    assert status(proxied.ask(path, *lines, own, method="DELETE", source=source, host=host)) == 200
