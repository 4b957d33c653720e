"""What plugins implement: one abstract class a file, few methods, obligations spelled out."""

from __future__ import annotations
