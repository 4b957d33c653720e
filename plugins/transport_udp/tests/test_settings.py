from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from eurydice_core.errors import TransportError
from eurydice_transport_udp import Settings
from eurydice_transport_udp.arena import Counter
from eurydice_transport_udp.codec import choose_codec, codec_by_id

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize(
    ("mtu", "ipv6", "symbol_size"),
    [(1500, False, 1408), (1500, True, 1344), (9000, False, 8896), (65535, False, 65408)],
)
def test_datagrams_fit_the_mtu(mtu: int, ipv6: bool, symbol_size: int) -> None:
    assert Settings(mtu=mtu).plan(ipv6=ipv6).symbol_size == symbol_size
    assert symbol_size + 48 + (48 if ipv6 else 28) <= mtu


def test_blocks_stay_below_eight_mebibytes() -> None:
    layout = Settings(mtu=65535, block_symbols=4096).plan().layout(0, 64 << 20, codec=2)
    assert 7 << 20 < layout.k * layout.symbol_size <= 8 << 20


def test_packets_of_more_datagrams_than_a_receiver_holds_are_refused() -> None:
    with pytest.raises(ValidationError, match="lower max_packet or repair, or raise mtu"):
        Settings(mtu=576, max_packet="1GiB")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_field_is_described(name: str) -> None:
    assert Settings.model_fields[name].description
    assert f"`{name}`" in README.read_text()


@pytest.mark.parametrize("counter", Counter)
def test_every_counter_is_described(counter: Counter) -> None:
    assert f"`{counter.name.lower()}`" in README.read_text()


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
