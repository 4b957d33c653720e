"""Keys, one a purpose, all derived from the secret that both sides share."""

from __future__ import annotations

from typing import Final

from blake3 import blake3

__all__ = ["ASSOCIATION", "REPAIR", "SEAL", "TRANSPORT", "derive_key"]

SEAL: Final = "Eurydice 2026 packet seal"
ASSOCIATION: Final = "Eurydice 2026 user association words"
REPAIR: Final = "Eurydice 2026 repair ticket"
TRANSPORT: Final = "Eurydice 2026 transport"


def derive_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose (BLAKE3 specification, section 6.2, key derivation)."""
    return blake3(secret.encode(), derive_key_context=purpose).digest()
