"""The quarantine keeps packets and reasons, privately, within its limits."""

from __future__ import annotations

import os

import pytest

from eurydice_core.destination import quarantine as module
from eurydice_core.destination.quarantine import Quarantine
from eurydice_core.errors import NotFound


@pytest.fixture
def quarantine(tmp_path):
    return Quarantine(tmp_path / "quarantine", packets=2, size=100)


def test_a_packet_is_kept_with_its_reason(quarantine):
    assert quarantine.list() == []
    assert quarantine.add("s-1", b"content", "DataError: too long")
    (packet,) = quarantine.list()
    assert (packet.id, packet.size, packet.reason) == ("s-1", 7, "DataError: too long")
    assert quarantine.read("s-1") == b"content"
    quarantine.delete("s-1")
    assert quarantine.list() == []
    with pytest.raises(NotFound):
        quarantine.delete("s-1")


def test_number_and_size_are_bounded_and_the_same_packet_is_replaced(quarantine):
    assert quarantine.add("a", b"x" * 60, "")
    assert not quarantine.add("b", b"x" * 60, "")
    assert quarantine.add("b", b"x" * 40, "")
    assert not quarantine.add("c", b"", "")
    assert quarantine.add("a", b"y", "again")
    assert quarantine.read("a") == b"y"


def test_its_files_are_private_whatever_the_umask(quarantine, tmp_path):
    before = os.umask(0)
    try:
        quarantine.add("a", b"content", "reason")
    finally:
        os.umask(before)
    directory = tmp_path / "quarantine"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_a_packet_without_its_reason_is_still_listed(quarantine, tmp_path):
    quarantine.add("a", b"content", "reason")
    (tmp_path / "quarantine" / "a.json").write_bytes(b"{")
    assert quarantine.list()[0].reason == "unknown"


def test_a_write_that_fails_leaves_no_half_packet(quarantine, tmp_path, monkeypatch):
    def fail(path, data, *, durable):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_private", fail)
    with pytest.raises(OSError, match="No space"):
        quarantine.add("a", b"content", "reason")
    assert list((tmp_path / "quarantine").iterdir()) == []


@pytest.mark.parametrize("id", ["../spool/1", "", "a/b", "x" * 100, "a.b"])
def test_an_id_is_no_path(quarantine, id):
    with pytest.raises(NotFound):
        quarantine.read(id)
