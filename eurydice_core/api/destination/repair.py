"""The route of repair tickets, as JSON or as a QR code."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from eurydice_core import qr
from eurydice_core.api.context import CurrentAccount, CurrentApi, TransferableId
from eurydice_core.api.problems import FieldInvalid
from eurydice_core.api.schemas import PROBLEMS, Schema
from eurydice_core.db.accounts import Account
from eurydice_core.destination.association import profile_of
from eurydice_core.destination.repair import Shortfall, shortfall
from eurydice_core.installation import Installation

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", responses={401: PROBLEMS[401], 503: PROBLEMS[503]})

PNG: Final = "image/png"
JSON: Final = "application/json"
FORMATS: Final = {"json": JSON, "png": PNG}
WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?")
"""RFC 9110, section 12.4.2."""
PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}
}


class RepairTicket(Schema):
    """What is missing of a file, and the line that asks the origin for it."""

    id: uuid.UUID
    name: str
    size: int
    bytes_missing: int
    pieces_missing: int
    pieces_in_ticket: int
    """Fewer where not all fit: the others are for the next ticket."""
    ticket: str


@router.get(
    "/transferables/{id}/repair/",
    operation_id="get-repair-ticket",
    tags=["Transferring files"],
    response_model=RepairTicket,
    responses={**PICTURE, **{status: PROBLEMS[status] for status in (400, 403, 404, 409)}},
)
async def get_repair_ticket(
    request: Request,
    api: CurrentApi,
    account: CurrentAccount,
    id: TransferableId,
    format: Annotated[
        str | None, Query(description="`json`, or `png` for a QR code; else as `Accept` has it.")
    ] = None,
) -> Any:
    """Get a ticket, for carrying to the origin, that asks for what is missing of a file."""
    if format is not None and format not in FORMATS:
        raise FieldInvalid("format", f"{format[:40]!r} is none of {', '.join(FORMATS)}")
    kind = FORMATS[format] if format else _preferred(request.headers.get("accept", ""))
    short = await api.threads.run(_shortfall, api.installation, account, id)
    if kind == PNG:
        picture = await api.threads.run(qr.as_png, short.ticket)
        return Response(picture, media_type=PNG)
    return RepairTicket.model_validate(short)


def _shortfall(installation: Installation, account: Account, id: uuid.UUID) -> Shortfall:
    with installation.database.read() as session:
        profile = profile_of(session, account)
    return shortfall(installation, id, profile)


def _preferred(accept: str) -> str:
    """Return which of our two kinds a header asks for; JSON, if it does not mind."""
    wanted = dict(map(_weighed, accept.lower().split(",")))

    def weight(kind: str) -> float:
        family = f"{kind.partition('/')[0]}/*"
        return next((wanted[each] for each in (kind, family, "*/*") if each in wanted), 0.0)

    return PNG if weight(PNG) > weight(JSON) else JSON


def _weighed(item: str) -> tuple[str, float]:
    """Return one item of `Accept`: a range of media types, and how much it is wanted."""
    media_range, *parameters = (part.strip() for part in item.split(";"))
    weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return media_range, float(weight) if WEIGHT.fullmatch(weight) else 0.0
