"""Repair tickets: the one thing that crosses back, carried by a person.

A ticket is a line of text that anybody can read before carrying it over:

    ER1:6F1C0E7A52C84C5B9E0D3A4B5C6D7E8F:0-3.17.1200-1205:K3ZQ7M5XW2JH4T6B

that is a version, the transferable, the numbers of the pieces that are missing (`0-3` is
four of them), and a keyed BLAKE3 of all that. It holds nothing else, is at most 4,000
characters, and uses only the characters of a QR code's alphanumeric mode (ISO/IEC 18004).
"""

from __future__ import annotations

import hmac
import re
import uuid
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from eurydice_core.errors import InvalidRequest

__all__ = ["MAX_TICKET", "Ticket", "issue_ticket", "read_ticket"]

MAX_TICKET: Final = 4000
"""Characters; a QR code of the largest sort holds 4,296 (version 40, level L)."""
VERSION: Final = "ER1"
MAC_SIZE: Final = 10  # bytes, which is 16 characters of base32
RUN: Final = r"\d{1,15}(?:-\d{1,15})?"
TICKET: Final = re.compile(
    rf"{VERSION}:([0-9A-F]{{32}}):({RUN}(?:\.{RUN})*):([A-Z2-7]{{16}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is missing of a transferable."""

    transferable_id: uuid.UUID
    runs: Sequence[tuple[int, int]]
    """First and last number of each run of missing pieces, in order."""

    @property
    def pieces(self) -> int:
        """How many pieces are missing."""
        return sum(last - first + 1 for first, last in self.runs)


def issue_ticket(ticket: Ticket, key: bytes) -> str:
    """Return the text of a ticket; runs that do not fit are left to a later ticket."""
    head = f"{VERSION}:{ticket.transferable_id.hex.upper()}:"
    room = MAX_TICKET - len(head) - 1 - 16
    runs = ""
    for first, last in ticket.runs:
        run = f"{first}" if first == last else f"{first}-{last}"
        if len(runs) + 1 + len(run) > room:
            break
        runs += f".{run}" if runs else run
    return f"{head}{runs}:{_mac(head + runs, key)}"


def read_ticket(text: str, key: bytes) -> Ticket:
    """Return what a ticket says; case and white space do not matter.

    Raises:
        InvalidRequest: it is no ticket, too long, mistyped or forged.
    """
    if len(text) > 2 * MAX_TICKET:
        raise InvalidRequest(f"a repair ticket has at most {MAX_TICKET} characters")
    match = TICKET.fullmatch("".join(text.split()).upper())
    if match is None:
        raise InvalidRequest(
            f"not a repair ticket: it begins with {VERSION}: and has four parts between colons"
        )
    id, runs, mac = match.groups()
    if not hmac.compare_digest(_mac(f"{VERSION}:{id}:{runs}", key), mac):
        raise InvalidRequest(
            "the repair ticket was mistyped, or issued by another installation: copy it again"
        )
    pairs = [run.split("-") for run in runs.split(".")]
    return Ticket(uuid.UUID(id), [(int(pair[0]), int(pair[-1])) for pair in pairs])


def _mac(text: str, key: bytes) -> str:
    return b32encode(blake3(text.encode(), key=key).digest(MAC_SIZE)).decode()
