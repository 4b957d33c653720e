"""Where lidi is on both sides, and how long to wait for it."""

from __future__ import annotations

from pydantic import Field, IPvAnyNetwork

from eurydice_core.hookspecs import PluginSettings
from eurydice_core.model.quantities import Seconds, Size

__all__ = ["Settings"]


class Settings(PluginSettings):
    """The keys of `[transport]`; each side uses its own and ignores the other's."""

    lidis_host: str | None = Field(None, description="Origin: host where lidis takes TCP.")
    lidis_port: int | None = Field(None, ge=1, le=65535, description="Origin: port of lidis.")
    connect_timeout: Seconds = Field(
        5.0, gt=0, description="Origin: longest wait for one connection to lidis."
    )
    send_timeout: Seconds = Field(
        60.0, gt=0, description="Origin: longest wait for lidis to take more of a packet."
    )
    confirm_timeout: Seconds = Field(
        60.0,
        ge=0,
        description="Origin: longest wait, after the last byte, for lidis to close the connection,"
        " which shows that it read everything; 0 to trust the kernel's buffers instead.",
    )
    retry_for: Seconds = Field(
        30.0, ge=0, description="Origin: how long a packet is tried again before the link is down."
    )
    rate_mbit: float = Field(
        0.0,
        ge=0,
        description="Origin: most megabits a second given to lidis, which has no pace of its own;"
        " 0 for no limit.",
    )

    packet_receiver_host: str = Field(
        "127.0.0.1", description="Destination: address to listen on for lidir."
    )
    packet_receiver_port: int = Field(
        65432, ge=1, le=65535, description="Destination: port to listen on for lidir."
    )
    lidir_networks: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Destination: networks from which lidir may connect, such as"
        ' `["10.9.8.1/32"]`; others are refused. Empty for all.',
    )
    receiver_buffer_max_items: int = Field(
        4,
        ge=1,
        description="Destination: most packets in memory, coming in or waiting to be ingested;"
        " beyond it lidir has to wait.",
    )
    max_packet: Size = Field(
        2**30, ge=1, description="Destination: largest packet taken; a longer one is dropped."
    )
    read_timeout: Seconds = Field(
        60.0, gt=0, description="Destination: a connection silent for this long is dropped."
    )
    packet_timeout: Seconds = Field(
        3600.0, gt=0, description="Destination: a connection open for this long is dropped."
    )
