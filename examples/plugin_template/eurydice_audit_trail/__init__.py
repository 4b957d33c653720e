"""An audit trail: what happens on this side, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from pydantic import Field

from eurydice_core.errors import ConfigurationError
from eurydice_core.hookspecs import Context, EventPlugin, PluginSettings, hookimpl
from eurydice_core.interfaces.event import EventListener
from eurydice_core.model.event import Event
from eurydice_core.private_files import PRIVATE

__all__ = ["AuditTrail", "Settings", "eurydice_event", "open_trail"]


class Settings(PluginSettings):
    """Where the trail is."""

    path: Path = Field(description="File that lines are added to; its directory must exist.")


class AuditTrail(EventListener):
    """Writes events down, each one before the next is taken."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def on_event(self, event: Event) -> None:
        """Add a line."""
        line = {
            "at": event.at.isoformat(),
            "kind": event.kind,
            "side": event.side,
            "username": event.username,
            "transferable_id": event.transferable_id,
            **event.facts,
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_trail(settings: Settings, _: Context) -> AuditTrail:
    """Open the file, so that a wrong path is found when the service starts."""
    try:
        return AuditTrail(PRIVATE.open_file(settings.path, "a", encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"[events.audit_trail] path: cannot write {settings.path} ({error.strerror})"
        ) from error


@hookimpl
def eurydice_event() -> EventPlugin:
    """Offer an audit trail."""
    return EventPlugin(
        name="audit_trail",
        summary="What happens on this side, one JSON object a line.",
        settings=Settings,
        create=open_trail,
    )
