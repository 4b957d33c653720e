"""Examples: of answers, bodies and parameters."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["BODIES", "PARAMETERS", "SCHEMAS", "problem_example"]

ID: Final = "6f1c0e7a-2b5d-4c8e-9f30-1a2b3c4d5e6f"
NOW: Final = "2026-11-23T12:00:00+00:00"
SHA1: Final = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WORDS: Final = (
    "abandon ability able about above absent absorb abstract absurd abuse access accident account"
    " accuse achieve acid acoustic acquire"
)
TICKET: Final = "ER1:6F1C0E7A2B5D4C8E9F301A2B3C4D5E6F:0-1:K3ZQ7M5XW2JH4T6B"
PAGES: Final = {"previous": None, "current": "AQAAAA...", "next": "AQEAAA..."}
OUTGOING: Final[dict[str, Any]] = {
    "id": ID,
    "created_at": "2026-11-23T11:59:00+00:00",
    "name": "report.pdf",
    "sha1": SHA1,
    "sha256": SHA256,
    "size": 73400320,
    "user_provided_meta": {"Metadata-Name": "report.pdf", "Metadata-Project": "atlas"},
    "submission_succeeded": True,
    "submission_succeeded_at": "2026-11-23T11:59:30+00:00",
    "state": "ONGOING",
    "progress": 40,
    "bytes_transferred": 29360128,
    "finished_at": None,
    "speed": 489335,
    "estimated_finish_date": "2026-11-23T12:01:30+00:00",
}
INCOMING: Final[dict[str, Any]] = {
    "id": ID,
    "created_at": "2026-11-23T11:59:31+00:00",
    "name": "report.pdf",
    "sha1": SHA1,
    "sha256": SHA256,
    "size": 73400320,
    "user_provided_meta": {"Metadata-Name": "report.pdf", "Metadata-Project": "atlas"},
    "state": "SUCCESS",
    "progress": 100,
    "finished_at": NOW,
    "expires_at": "2026-11-30T12:00:00+00:00",
    "bytes_received": 73400320,
}
LISTED: Final = {
    "offset": 0,
    "count": 93,
    "new_items": False,
    "pages": PAGES,
    "paginated_at": NOW,
}
FIGURES: Final[dict[str, Any]] = {
    "ongoing_transferables": 3,
    "recent_successes": 120,
    "recent_errors": 0,
}
QUOTA: Final = {
    "size_limit": 10**10,
    "size_used": 73400320,
    "files_limit": None,
    "files_used": None,
}
SCHEMAS: Final[dict[str, list[Any]]] = {
    "Association": [{"token": WORDS, "expires_at": NOW}],
    "Figures": [
        {
            **FIGURES,
            "pending_transferables": 12,
            "queue_size": 1073741824,
            "last_packet_sent_at": NOW,
        },
        {**FIGURES, "last_packet_received_at": NOW},
    ],
    "IncomingTransferable": [INCOMING],
    "Liveness": [{"status": "ok"}],
    "Me": [{"username": "alice"}],
    "Metadata": [
        {
            "contact": "it@origin.example",
            "badge_content": "Origin",
            "badge_color": "#01426a",
            "encryption_enabled": False,
        }
    ],
    "OutgoingTransferable": [OUTGOING],
    "Pages": [PAGES],
    "QueuedRepair": [{"id": ID, "ranges": 2, "bytes": 16777216}],
    "QuotaUse": [QUOTA],
    "ReadinessReport": [
        {
            "status": "degraded",
            "checks": {
                "database": {"status": "ok"},
                "link": {"status": "degraded", "reason": "the receiver never ran"},
            },
        }
    ],
    "RepairTicket": [
        {
            "id": ID,
            "name": "report.pdf",
            "size": 73400320,
            "bytes_missing": 16777216,
            "pieces_missing": 2,
            "pieces_in_ticket": 2,
            "ticket": TICKET,
        }
    ],
    "Status": [
        {"maintenance": False, "last_packet_sent_at": NOW},
        {"last_packet_received_at": NOW},
    ],
    "Token": [{"token": "5d41402abc4b2a76b9719d911017c592" * 2}],
    "TransferableList_IncomingTransferable_": [{**LISTED, "results": [INCOMING]}],
    "TransferableList_OutgoingTransferable_": [{**LISTED, "results": [OUTGOING]}],
}
"""By name of the schema; of two sides' namesakes, those that fit."""
PARAMETERS: Final[dict[str, Any]] = {
    "id": ID,
    "page": "AQAAAA...",
    "from": "AQAAAA...",
    "delta": "2",
    "page_size": "25",
    "state": ["SUCCESS"],
    "name": "report",
    "sha1": SHA1,
    "format": "png",
    "Metadata-Name": "report.pdf",
}
BODIES: Final[dict[tuple[str, str], Any]] = {
    ("associate-users", "application/json"): {"token": WORDS},
    ("repair-transferable", "application/json"): {"ticket": TICKET},
    ("repair-transferable", "text/plain"): TICKET,
}
"""By operation and type of the content."""


def problem_example(status: int, title: str, detail: str) -> dict[str, Any]:
    """Return what a problem of a status looks like."""
    name = "3f2a5c0e8b1d4f6a9c7e2d5b8a1f4c3e"
    return {
        "type": f"urn:eurydice:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:eurydice:request:{name}",
        "request_id": name,
    }
