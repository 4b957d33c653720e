"""The route of repair tickets that users carried back from the destination."""

from __future__ import annotations

import uuid
from typing import Final

from fastapi import APIRouter, Request

from eurydice_core.api.context import CurrentAccount, CurrentApi, TransferableId
from eurydice_core.api.problems import FieldInvalid, UnsupportedMediaType
from eurydice_core.api.schemas import PROBLEMS, Schema
from eurydice_core.api.small_body import media_type_of, read_json_object, read_text
from eurydice_core.origin.repair import Repair, apply_ticket

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", responses={401: PROBLEMS[401], 503: PROBLEMS[503]})

TICKET_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["ticket"],
                    "properties": {
                        "ticket": {"type": "string", "description": "As the destination shows it."}
                    },
                }
            },
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}


class QueuedRepair(Schema):
    """What a ticket put back into the queue; nothing, if it was queued already."""

    id: uuid.UUID
    ranges: int
    bytes: int

    @classmethod
    def of(cls, repair: Repair) -> QueuedRepair:
        """Return a repair as it is shown."""
        return cls(id=repair.transferable_id, ranges=repair.ranges, bytes=repair.bytes)


@router.post(
    "/transferables/{id}/repair/",
    operation_id="repair-transferable",
    tags=["Transferring files"],
    status_code=202,
    openapi_extra=TICKET_BODY,
    responses={status: PROBLEMS[status] for status in (400, 404, 409, 410, 415)},
)
async def repair_transferable(
    request: Request, api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> QueuedRepair:
    """Send again just what a repair ticket of the destination asks for."""
    ticket = await _read_ticket(request)
    repair = await api.threads.run(
        apply_ticket, api.installation, ticket, user_id=account.id, transferable_id=id
    )
    return QueuedRepair.of(repair)


async def _read_ticket(request: Request) -> str:
    kind = media_type_of(request)
    if kind == "text/plain":
        return await read_text(request)
    if kind != "application/json":
        raise UnsupportedMediaType("send the ticket as 'application/json' or 'text/plain'")
    ticket = (await read_json_object(request)).get("ticket")
    if not isinstance(ticket, str):
        raise FieldInvalid("ticket", "write the ticket as the destination shows it")
    return ticket
