from __future__ import annotations

import sys

import pytest
from eurydice_transport_udp import Settings
from eurydice_transport_udp.codec import choose_codec, codec_by_id
from pydantic import ValidationError

from eurydice_core.errors import TransportError


@pytest.mark.parametrize(
    ("mtu", "ipv6", "symbol_size"),
    [(1500, False, 1408), (1500, True, 1344), (9000, False, 8896), (65535, False, 65408)],
)
def test_datagrams_fit_the_mtu(mtu: int, ipv6: bool, symbol_size: int) -> None:
    assert Settings(mtu=mtu).plan(ipv6=ipv6).symbol_size == symbol_size
    assert symbol_size + 48 + (48 if ipv6 else 28) <= mtu


def test_blocks_stay_below_eight_mebibytes() -> None:
    plan = Settings(mtu=65535, block_symbols=4096).plan()
    assert plan.block_symbols * plan.symbol_size <= 8 << 20


def test_packets_of_more_datagrams_than_a_receiver_holds_are_refused() -> None:
    with pytest.raises(ValidationError, match="lower max_packet or repair, or raise mtu"):
        Settings(mtu=576, max_packet="1GiB")


def test_every_field_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("name", ["leopard", "raptorq"])
def test_codec_is_chosen_by_name(name: str) -> None:
    assert choose_codec(name).name == name


def test_auto_prefers_the_faster_codec() -> None:
    assert choose_codec("auto").name == "leopard"


def test_auto_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reed_solomon_leopard", None)
    assert choose_codec("auto").name == "raptorq"
    assert codec_by_id(1) is None


def test_codec_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reed_solomon_leopard", None)
    with pytest.raises(TransportError, match="leopard is not installed"):
        choose_codec("leopard")
    monkeypatch.setitem(sys.modules, "raptorq", None)
    with pytest.raises(TransportError, match="no erasure code is installed"):
        choose_codec("auto")
