"""Through a diode driven by lidi: TCP on both sides."""

from __future__ import annotations

from eurydice_core.errors import ConfigurationError
from eurydice_core.hookspecs import Context, TransportPlugin, hookimpl
from eurydice_core.model.states import Side
from eurydice_transport_lidi.receiver import LidiReceiver
from eurydice_transport_lidi.sender import LidiSender
from eurydice_transport_lidi.settings import Settings
from eurydice_transport_lidi.transport import LidiTransport

__all__ = ["LidiReceiver", "LidiSender", "LidiTransport", "Settings"]


def create(settings: Settings, context: Context) -> LidiTransport:
    """Build the transport; the origin must know where lidis is.

    Raises:
        ConfigurationError: the origin's settings do not say it.
    """
    if context.side is Side.ORIGIN and (settings.lidis_host is None or settings.lidis_port is None):
        raise ConfigurationError(
            "transport_lidi does not know where lidis is:"
            " set lidis_host and lidis_port in [transport]"
        )
    return LidiTransport(settings)


@hookimpl
def eurydice_transport() -> TransportPlugin:
    """Offer the way through lidi."""
    return TransportPlugin(
        name="transport_lidi",
        summary="Through a diode driven by lidi: TCP on both sides.",
        settings=Settings,
        create=create,
    )
