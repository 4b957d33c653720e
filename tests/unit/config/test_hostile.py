"""Whatever a file or an environment holds, the answer is settings or lines about them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from eurydice_core.config import load_settings
from eurydice_core.config.schema import FIELDS, variable
from eurydice_core.errors import ConfigurationError

WHOLE = """side = "origin"
secret_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
[database]
url = "sqlite:////tmp/origin.db"
[link]
secret = "ssssssssssssssssssssssssssssssss"
[storage]
plugin = "storage_fs"
root = "/tmp"
[auth]
plugins = ["auth_basic"]
[auth.auth_basic]
realm = "x"
[upload]
range_size = "8MiB"
idle_timeout = 60
"""
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.sampled_from(sorted(map(variable, FIELDS))) | st.builds(
    "EURYDICE_{}".format,
    st.lists(
        st.sampled_from(
            [
                "STORAGE",
                "AUTH",
                "SECRET_KEY",
                "LINK",
                "SECRET",
                "FILE",
                "",
                "X",
                "PLUGINS",
                "AUTH_BASIC",
            ]
        ),
        max_size=4,
    ).map("__".join),
)
VALUES = TEXT | st.sampled_from(["[]", "{}", "[1", '{"a": 1}', "[[]]", "NaN", "-1", "1e400"])


def outcome(text, environ):
    """Load, and accept only the two outcomes there may be."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "eurydice.toml"
        path.write_text(text, encoding="utf-8")
        try:
            loaded = load_settings(path, environ)
        except ConfigurationError as error:
            lines = str(error).splitlines()
        else:
            lines = [f"read {loaded.file}"]
    assert lines
    assert all(line.strip() for line in lines)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
@example({"EURYDICE_STORAGE__A": "1", "EURYDICE_STORAGE__A__B": "2"})
@example({"EURYDICE_AUTH__OPTIONS": "x", "EURYDICE_STORAGE__OPTIONS": "{}"})
@example({"EURYDICE_SENDER__POLL_EVERY": "9" * 400})
@example({"EURYDICE_LINK__SECRET_FILE": "\ud800"})
def test_no_environment_makes_it_fall_over(environ):
    outcome(WHOLE, environ)


@given(st.integers(0, len(WHOLE)), st.integers(0, 30), TEXT)
@example(0, 500, "")
@example(0, 500, "storage = [1]\nauth = {plugins = 3}\nlink = {secret_file = 3}\n")
@example(0, 500, "database = [[]]\n[upload]\nmax_size = nan\nrange_size = inf\n")
@example(0, 500, "[upload]\nrange_size = 1e400\nidle_timeout = -nan\n")
@example(0, 500, "[auth.options]\nx = 1\n[auth]\noptions = 3\n")
@example(0, 500, "a.b.c = 1\n[[storage]]\nb = 1\n")
def test_no_file_makes_it_fall_over(start, length, text):
    outcome(WHOLE[:start] + text + WHOLE[start + length :], {})
