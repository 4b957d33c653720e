"""What an operator asks of the link itself: where it loses, and how fast it may be."""

from __future__ import annotations
