"""The command line: one file a command, none of them imported before it is called."""

from __future__ import annotations

from eurydice_core.cli.main import main

__all__ = ["main"]
