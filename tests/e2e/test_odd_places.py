"""Every command works wherever the product is installed, and whatever its files are called."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import httpx
import pytest

import eurydice_core

pytestmark = pytest.mark.e2e
NAME = "100% %(here)s #1? 'q' \"ü\" {x} a+b&c=d;e %41"


@pytest.fixture
def installed(tmp_path, environ):
    """The core below a directory with an odd name; the plugins are where they are."""
    place = tmp_path / "tmp" / NAME
    (place / "site").mkdir(parents=True)
    (place / "site" / "eurydice_core").symlink_to(Path(eurydice_core.__file__).parent)
    environ["PYTHONPATH"] = str(place / "site")
    return place


def test_an_odd_place_works_from_init_to_run(installed, eurydice, start, written_by, tmp_path):
    assert eurydice("init", "origin", "--dir", installed / "side")[0] == 0
    config = installed / "side" / "eurydice.toml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = config.read_text().replace("port = 8080", f"port = {port}")
    log = str(installed / "log" / "a.log").replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(f'{text}\n[log]\nfile = "{log}"\n')
    code, out, err = eurydice("--config", config, "migrate")
    assert (code, err) == (0, "")
    code, out, err = eurydice("--config", config, "user", "add", "alice", "--no-password")
    assert (code, err) == (0, "")
    code, out, err = eurydice("--config", config, "user", "token", "add", "alice")
    assert code == 0, err
    assert eurydice("--config", config, "config", "check")[0] == 0
    process = start("--config", config, "run", cwd=tmp_path)
    written_by(process.stderr).wait_for("Started worker-1", "sender: works", "cleaner: works")
    token = re.search(r"\S{30,}", out)[0]
    answer = httpx.post(
        f"http://127.0.0.1:{port}/api/v1/transferables/",
        content=b"data",
        headers={
            "Authorization": f"Token {token}",
            "Content-Type": "application/octet-stream",
        },
    )
    assert answer.status_code == httpx.codes.CREATED
    assert {"origin.db", "state", "data"} <= {path.name for path in (installed / "side").iterdir()}
    assert (installed / "log" / "a.log").is_file()
