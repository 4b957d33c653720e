"""`eurydice link`: where it loses, and how fast it may be."""

from __future__ import annotations

import click

from eurydice_core.cli.link.calibrate import calibrate_command
from eurydice_core.cli.link.doctor import doctor_command

__all__ = ["link"]


@click.group()
def link() -> None:
    """Examine the link: where it loses, and how fast it may be."""


link.add_command(doctor_command)
link.add_command(calibrate_command)
