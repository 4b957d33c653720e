"""`eurydice maintenance`: on, off, and which of them it is."""

from __future__ import annotations

import pytest


def test_it_is_off_until_it_is_switched_on_and_stays_so(eurydice):
    eurydice("init", "origin")
    eurydice("migrate")
    for arguments, said in [
        ((), "off: the sender works"),
        (("on",), "on: nothing but heartbeats is sent"),
        (("on",), "on: nothing but heartbeats is sent"),
        ((), "on: nothing but heartbeats is sent"),
        (("off",), "off: the sender works"),
        ((), "off: the sender works"),
    ]:
        code, out, _ = eurydice("maintenance", *arguments)
        assert (code, out) == (0, f"maintenance is {said}\n")


@pytest.mark.parametrize("arguments", [(), ("on",)])
def test_the_destination_has_no_sender_to_hold_back(eurydice, tmp_path, arguments):
    eurydice("init", "origin", "--dir", str(tmp_path / "other"))
    secret = str(tmp_path / "other" / "link-secret.txt")
    eurydice("init", "destination", "--link-secret-file", secret)
    eurydice("migrate")
    code, out, error = eurydice("maintenance", *arguments)
    assert (code, out) == (1, "")
    assert "only the origin side has a sender to hold back" in error


def test_programs_are_told_in_json(eurydice):
    eurydice("init", "origin")
    eurydice("migrate")
    assert eurydice("maintenance", "status", "--json")[1] == '{"maintenance": false}\n'
    assert eurydice("maintenance", "on", "--json")[1] == '{"maintenance": true}\n'
    assert eurydice("maintenance", "status")[1].startswith("maintenance is on")
