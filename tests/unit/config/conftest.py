from __future__ import annotations

import pytest

from eurydice_core.config import file

LEAST = """
side = "origin"
secret_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
[database]
url = "sqlite:////tmp/origin.db"
[link]
secret = "ssssssssssssssssssssssssssssssss"
"""


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
    """Look for files in an empty place, whatever this machine has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file, "SEARCHED", tuple(tmp_path / path.name for path in file.SEARCHED[:1]))


@pytest.fixture
def write(tmp_path):
    """Write a configuration that is whole, with more in it."""

    def write_file(more="", *, least=LEAST, name="some.toml"):
        path = tmp_path / name
        path.write_text(least + more)
        return path

    return write_file
