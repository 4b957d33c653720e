"""Working plugins without a disk, a network or a clock; they pass the kits themselves."""

from __future__ import annotations
