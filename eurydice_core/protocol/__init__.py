"""Sans-I/O bytes: what crosses the link, and the words people carry. No sockets, no clock."""

from __future__ import annotations
