"""Eurydice: files through a one-way link, and none lost.

The package is a small core of contracts; storage, authentication, scheduling and
transport are plugins found through the entry point group `eurydice`.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
