"""Names in `Content-Disposition` are safe for every program that saves the file."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eurydice_core.api.destination.file_names import content_disposition

ID = "0b0e6a1c-6a39-4a59-8e35-6e0f4f0d4a11"
HEADER = re.compile(  # quoted-string without escapes, and an ext-value of RFC 8187
    r'attachment; filename="(?P<plain>[\x20-\x21\x23-\x5b\x5d-\x7e]+)"'
    r"(?:; filename\*=UTF-8''(?P<true>(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2})+))?"
)
HOSTILE = (
    "",
    ".",
    "..",
    "/",
    "a/..",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "C:\\Users\\me\\a.txt",
    "\\\\server\\share\\a.txt",
    'a"b.txt',
    "a\\b.txt",
    "a\0b",
    "a\r\nSet-Cookie: x=y",
    "\u202etxt.exe",
    "a\ud800b",
    "CON",
    "nul.txt",
    "com1 .txt",
    "LPT9",
    "end.",
    "end. . ",
    "%2e%2e%2fpasswd",
    "a:b",
    "x" * 300,
    "é" * 255,
    "\N{GRINNING FACE}" * 255,
    " ",
    "\u2028",
    "aux." + "x" * 251,
    "%",
)


def names(name):
    """Return both names that a header offers, the true one decoded."""
    match = HEADER.fullmatch(content_disposition(name, otherwise=ID))
    assert match, content_disposition(name, otherwise=ID)
    return match["plain"], unquote(match["true"], errors="strict") if match["true"] else None


@pytest.mark.parametrize(
    ("name", "plain", "true"),
    [
        ("a b.txt", "a b.txt", None),
        ("é.txt", "_.txt", "é.txt"),
        ('a"b.txt', "a_b.txt", 'a"b.txt'),
        ("a\\b.txt", "a_b.txt", "a\\b.txt"),
        ("../../etc/passwd", "passwd", None),
        ("C:\\Users\\me\\a.txt", "a.txt", None),
        ("..\\..\\boot.ini", "boot.ini", None),
        ("", ID, None),
        ("..", ID, None),
        ("a/.", ID, None),
        ("nul.txt", "_nul.txt", "nul.txt"),
        ("Con", "_Con", "Con"),
        ("console.txt", "console.txt", None),
        ("end. .", "end___", "end. ."),
        ("a%41b", "a_b", "a%41b"),
        ("100%25%20sure.txt", "100% sure.txt", None),  # the name that was meant
        ("a%2520b", "a_b", "a%20b"),
        ("a\u202eb", "a_b", None),
        ("a\ud800b", "a_b", None),
        ("a\nb", "a_b", None),
        ("a:b", "a_b", "a:b"),
    ],
)
def test_both_names_of_a_file(name, plain, true):
    assert names(name) == (plain, true)


@given(st.text(max_size=300) | st.from_regex(r"[./\\\\%A-Fa-f0-9 :\"]{0,30}", fullmatch=True))
@example("a%2520b")
def test_no_name_breaks_out_of_its_header(name):
    plain, true = names(name)
    assert len(plain) <= 255
    for offered in filter(None, (plain, true)):
        assert "/" not in offered
        assert offered.strip() not in ("", ".", "..")
    assert not re.search(r"%[0-9A-Fa-f]{2}", plain)
    assert not plain.endswith((".", " "))
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)", plain, re.IGNORECASE)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_has_a_valid_header(name):
    names(name)


@pytest.fixture(scope="module")
def downloads():
    """Serve a file under each hostile name; yield the address of the first."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = HOSTILE[int(self.path.strip("/"))]
            self.send_response(200)
            self.send_header("Content-Disposition", content_disposition(name, otherwise=ID))
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_saves_every_hostile_name_where_it_stands(downloads, tmp_path):
    for number, name in enumerate(HOSTILE):
        place = tmp_path / str(number) / "here"
        place.mkdir(parents=True)
        command = ["curl", "-sSfOJ", f"{downloads}/{number}"]
        done = subprocess.run(command, cwd=place, capture_output=True, check=False)
        assert done.returncode == 0, (name, done.stderr)
        assert [path.name for path in place.iterdir()] == [names(name)[0]], name
        assert list(place.parent.iterdir()) == [place], name
