"""What the headers of a download say of the file."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote

from eurydice_core.api.metadata_headers import metadata_to_headers
from eurydice_core.model.transferable import Incoming

__all__ = ["CONTENT_TYPE", "content_disposition", "content_headers", "integrity_headers"]

CONTENT_TYPE: Final = "application/octet-stream"
HEADER_SAFE: Final = re.compile(r"[\x20-\x7e]+")


def content_headers(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """Return the headers that make a browser save a file under its name."""
    name = incoming.name or str(incoming.id)
    return [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-disposition", content_disposition(name).encode()),
    ]


def integrity_headers(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """Return the digests of a file, and what its sender said of it."""
    headers = metadata_to_headers(incoming.user_provided_meta)
    if incoming.sha1 is not None:
        headers.append((b"digest", b"SHA=" + base64.b64encode(incoming.sha1)))
    if incoming.sha256 is not None:
        digest = base64.b64encode(incoming.sha256)
        headers.append((b"repr-digest", b"sha-256=:" + digest + b":"))  # RFC 9530
    return headers


def content_disposition(name: str) -> str:
    """Return the header that names a download (RFC 6266), whatever is in the name."""
    plain = "".join(c if HEADER_SAFE.fullmatch(c) else "_" for c in name)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    disposition = f'attachment; filename="{quoted}"'
    if plain == name:
        return disposition
    return f"{disposition}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
