"""The destination: receive, check, ingest, deliver; in any order, and each byte once."""

from __future__ import annotations
