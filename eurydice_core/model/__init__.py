"""What the system is about: plain frozen dataclasses and enums, no database."""

from __future__ import annotations
