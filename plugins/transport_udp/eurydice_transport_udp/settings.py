"""What an operator may say about the link, for both of its ends."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eurydice_core.hookspecs import PluginSettings
from eurydice_core.model.quantities import Seconds, Size
from eurydice_transport_udp.layout import Plan
from eurydice_transport_udp.wire import HEADER_SIZE, SYMBOL_UNIT

__all__ = ["MEBIBYTE", "Settings"]

MEBIBYTE = 1 << 20
UDP_OVER_IPV4 = 28
UDP_OVER_IPV6 = 48
MAX_UDP_PAYLOAD = 65_507


class Settings(PluginSettings):
    """Keys of `[transport]` when its plugin is `transport_udp`; each side ignores the other's."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address of the destination's side of the link, where the origin sends to.",
    )
    port: int = Field(default=7400, ge=1, le=65535, description="UDP port, the same on both sides.")
    bind: str = Field(
        default="0.0.0.0",  # noqa: S104 - packets are sealed; a diode's far end must hear it
        min_length=1,
        description="Address the destination listens on; name that of the diode's interface.",
    )
    mtu: int = Field(
        default=1500,
        ge=576,
        le=65535,
        description="Largest IP packet the link carries; 9000 is faster where all of it can.",
    )
    repair: int = Field(
        default=10,
        ge=0,
        le=100,
        description="Repair data sent in addition, in percent; about as much may be lost. 0 is"
        " none at all, for a link that repairs by itself.",
    )
    rate: float = Field(
        default=1000,
        ge=0,
        description="Speed in Mbit/s that the sender keeps to, IP headers included; 0 is no limit.",
    )
    block_symbols: int = Field(
        default=500,
        ge=16,
        le=4096,
        description="Most datagrams of data in one erasure-coded block.",
    )
    codec: Literal["auto", "leopard", "raptorq"] = Field(
        default="auto",
        description="Erasure code the sender uses; auto takes leopard where it is installed.",
    )
    send_buffer: Size = Field(
        default=4 * MEBIBYTE,
        ge=65536,
        le=1024 * MEBIBYTE,
        description="Kernel buffer asked for by the sender.",
    )
    receive_buffer: Size = Field(
        default=32 * MEBIBYTE,
        ge=65536,
        le=1024 * MEBIBYTE,
        description="Kernel buffer asked for by the receiver: what may arrive while it is busy.",
    )
    send_timeout: Seconds = Field(
        default=10.0,
        gt=0,
        description="How long a full network queue is waited for before the link counts as down.",
    )
    reassembly_timeout: Seconds = Field(
        default=2.0,
        gt=0,
        description="How long a packet may go without a new datagram before it counts as lost.",
    )
    buffer_packets: int = Field(
        default=32,
        ge=1,
        le=64,
        description="Most whole packets kept for a busy consumer; further ones are dropped, and"
        " logged.",
    )
    buffer_size: Size = Field(
        default=128 << 20,
        ge=0,
        description="Most bytes of whole packets kept for a busy consumer; one packet always is.",
    )
    one_sender: bool = Field(
        default=True,
        description="Refuse a second sender for as long as the first is heard (receiver); if"
        " off, both are received, and reported all the same.",
    )
    max_packet: Size = Field(
        default=64 * MEBIBYTE,
        ge=MEBIBYTE,
        le=1024 * MEBIBYTE,
        description="Largest packet sent or accepted; the receiver sets memory aside for it.",
    )

    @model_validator(mode="after")
    def repair_needs_room(self) -> Self:
        """Refuse a packet size that a receiver with the same settings could not hold."""
        self.plan().layout(0, self.max_packet, codec=1)
        return self

    def plan(self, *, ipv6: bool = False) -> Plan:
        """Return how the sender cuts its packets."""
        overhead = UDP_OVER_IPV6 if ipv6 else UDP_OVER_IPV4
        payload = min(self.mtu - overhead, MAX_UDP_PAYLOAD) - HEADER_SIZE
        symbol_size = payload // SYMBOL_UNIT * SYMBOL_UNIT
        return Plan(
            symbol_size=symbol_size,
            block_symbols=self.block_symbols,
            repair_percent=self.repair,
        )
