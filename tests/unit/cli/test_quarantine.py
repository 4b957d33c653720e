"""`eurydice quarantine`: what is there, ingesting it once more, deleting it."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest

from eurydice_core.config import load_settings
from eurydice_core.destination.quarantine import open_quarantine
from eurydice_core.protocol.elements import TransferablePart
from eurydice_core.protocol.keys import SEAL, derive_key
from eurydice_core.protocol.packet import PacketBuilder

CONTENT = b"the file"


def sealed(key: bytes) -> bytes:
    """A packet with one small file."""
    part = TransferablePart(
        id=uuid.uuid4(),
        profile=b"12345678",
        name="file.txt",
        metadata={},
        size=len(CONTENT),
        piece_size=100,
        sha1=hashlib.sha1(CONTENT).digest(),
        sha256=hashlib.sha256(CONTENT).digest(),
        ranges=[(0, len(CONTENT))],
    )
    builder = PacketBuilder(stream=uuid.uuid4(), sequence=0, sent_at_ms=0, parts=[part])
    builder.slots[0][:] = CONTENT
    return bytes(builder.sealed(key))


@pytest.fixture
def settings(eurydice, tmp_path):
    eurydice("init", "origin", "--dir", str(tmp_path / "other"))
    secret = str(tmp_path / "other" / "link-secret.txt")
    eurydice("init", "destination", "--link-secret-file", secret)
    eurydice("migrate")
    return load_settings(tmp_path / "eurydice.toml", {}).settings


def key_of(settings) -> bytes:
    return derive_key(settings.link.secret.get_secret_value(), SEAL)


def test_an_empty_quarantine_says_so(eurydice, settings):
    assert eurydice("quarantine", "list") == (0, "", "the quarantine is empty\n")
    assert eurydice("quarantine", "list", "--json")[1] == "[]\n"


def test_packets_are_listed_replayed_and_gone(eurydice, settings):
    open_quarantine(settings).add("good", sealed(key_of(settings)), "DataError: too long")
    code, out, _ = eurydice("quarantine", "list")
    assert code == 0
    assert "good" in out
    assert "DataError: too long" in out
    (packet,) = json.loads(eurydice("quarantine", "list", "--json")[1])
    assert (packet["id"], packet["reason"]) == ("good", "DataError: too long")
    assert eurydice("quarantine", "replay", "good")[:2] == (0, "good: ingested\n")
    assert eurydice("quarantine", "list", "--json")[1] == "[]\n"


def test_a_packet_that_fails_again_stays(eurydice, settings):
    quarantine = open_quarantine(settings)
    quarantine.add("bad", sealed(b"." * 32), "a bug")
    quarantine.add("good", sealed(key_of(settings)), "a bug")
    code, out, err = eurydice("quarantine", "replay", "--all", "--json")
    assert code == 1
    results = {result["id"]: result["failure"] for result in json.loads(out)}
    assert results["good"] is None
    assert "seal does not match" in results["bad"]
    assert err == "eurydice: error: 1 of 2 packets failed and stay in the quarantine\n"
    assert [packet.id for packet in quarantine.list()] == ["bad"]
    assert eurydice("quarantine", "delete", "bad")[:2] == (0, "1 packets deleted\n")
    assert eurydice("quarantine", "delete", "bad")[0] == 1


@pytest.mark.parametrize("arguments", [("replay",), ("delete",), ("delete", "x", "--all")])
def test_packets_are_named_or_all_are_meant(eurydice, settings, arguments):
    code, _, err = eurydice("quarantine", *arguments)
    assert code == 2
    assert "name packets, or give --all" in err


def test_an_origin_has_no_quarantine(eurydice):
    eurydice("init", "origin")
    code, _, err = eurydice("quarantine", "list")
    assert code == 1
    assert "only the destination" in err
