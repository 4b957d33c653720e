"""The headers of a download that describe the file."""

from __future__ import annotations

import base64
from typing import Final

from eurydice_core.api.destination.file_names import content_disposition
from eurydice_core.api.metadata_headers import metadata_to_headers
from eurydice_core.model.transferable import Incoming

__all__ = ["CONTENT_TYPE", "content_headers", "integrity_headers"]

CONTENT_TYPE: Final = "application/octet-stream"


def content_headers(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """Return the headers that make a browser save a file under its name."""
    disposition = content_disposition(incoming.name, otherwise=str(incoming.id))
    return [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-disposition", disposition.encode("ascii")),
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
