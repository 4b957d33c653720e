"""What operators watch: figures for Prometheus, and whether this side is ready to work."""

from __future__ import annotations
