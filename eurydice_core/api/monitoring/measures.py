"""What the API counts and measures of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import Metric as Family

__all__ = [
    "DATABASE_SECONDS",
    "DOWNLOADS",
    "DOWNLOAD_BYTES",
    "KINDS",
    "REQUESTS",
    "REQUEST_SECONDS",
    "STORAGE_SECONDS",
    "UPLOADS",
    "UPLOAD_BYTES",
    "Family",
    "Histogram",
    "Tally",
]

KINDS: Final = ("counter", "histogram")


@dataclass(frozen=True, slots=True)
class Tally:
    """Something that is counted; its name is without the `_total` that Prometheus adds."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Something that takes time, in seconds."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


REQUESTS: Final = Tally(
    "eurydice_http_requests",
    "Requests that were answered; status is 'none' where the client left before.",
    ("method", "route", "status"),
)
REQUEST_SECONDS: Final = Histogram(
    "eurydice_http_request_duration_seconds",
    "From a request's first byte to the last of its answer.",
    ("method", "route"),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
UPLOADS: Final = Tally(
    "eurydice_uploads",
    "Uploads by how they ended: accepted, refused, or failed by a fault that is not the client's.",
    ("outcome",),
)
UPLOAD_BYTES: Final = Tally("eurydice_upload_bytes", "Bytes that came of uploads, also of refused.")
DOWNLOADS: Final = Tally(
    "eurydice_downloads",
    "Downloads by how they ended: complete, part, broken, redirected, refused or failed.",
    ("outcome",),
)
DOWNLOAD_BYTES: Final = Tally("eurydice_download_bytes", "Bytes of files that were sent to users.")
DATABASE_SECONDS: Final = Histogram(
    "eurydice_database_transaction_seconds",
    "Transactions of the API, waiting for the database's turn included.",
    ("kind",),
)
STORAGE_SECONDS: Final = Histogram(
    "eurydice_storage_operation_seconds",
    "Time in the storage for one object; without waiting for clients, and without files that are"
    " read past it.",
    ("operation",),
)
