"""Routes of the destination: seeing, fetching and deleting the files that came."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from eurydice_core.api.context import Api, CurrentAccount, CurrentApi, TransferableId
from eurydice_core.api.destination.download import require_deliverable, respond
from eurydice_core.api.destination.file_headers import content_headers, integrity_headers
from eurydice_core.api.destination.schemas import (
    DestinationListQuery,
    Figures,
    IncomingTransferable,
    Status,
)
from eurydice_core.api.filters import read_digest, read_states, read_time
from eurydice_core.api.paging import PageRequest, fetch_page, read_page_request
from eurydice_core.api.problems import FieldInvalid
from eurydice_core.api.schemas import PROBLEMS, TransferableList
from eurydice_core.api.shared import recent_since, require_metrics_permission
from eurydice_core.api.small_body import read_json_object
from eurydice_core.db.accounts import Account
from eurydice_core.destination import catalogue
from eurydice_core.destination.association import associate, profile_of
from eurydice_core.destination.deliver import mark_lost, remove, remove_all
from eurydice_core.errors import ObjectMissing
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import HasPresignedUrl
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import IncomingState
from eurydice_core.model.transferable import Incoming

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", responses={401: PROBLEMS[401], 503: PROBLEMS[503]})

FILES: Final = "Transferring files"
ACCOUNT: Final = "Account management"
ADMINISTRATION: Final = "Administration"
URL_SECONDS: Final = 3600
"""How long the URL of a download from the storage itself is good for."""
WORDS_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {
                        "token": {"type": "string", "description": "The words of the origin."}
                    },
                }
            }
        },
    }
}
BYTES: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
FILE_BODY: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": BYTES},
    206: {
        "description": "The part of it that was asked for, or several of them.",
        "content": {**BYTES, "multipart/byteranges": {"schema": {"type": "string"}}},
    },
    304: {"description": "The client has this file already."},
    307: {"description": "The file is fetched from the storage itself, from that URL."},
}


@router.get(
    "/transferables/",
    operation_id="list-transferables",
    tags=[FILES],
    responses={status: PROBLEMS[status] for status in (400, 403, 404, 410)},
)
async def list_transferables(
    request: Request,
    api: CurrentApi,
    account: CurrentAccount,
    query: Annotated[DestinationListQuery, Query()],
) -> TransferableList[IncomingTransferable]:
    """List the files that came for you, newest first."""
    profile = await api.threads.run(_profile, api.installation, account)
    wanted = read_page_request(
        request.query_params, account.id, api.installation.settings.api, api.page_tokens
    )
    return await api.threads.run(_listed, api, profile, _filter(query), wanted)


@router.delete(
    "/transferables/",
    operation_id="delete-all-transferables",
    tags=[FILES],
    responses={403: PROBLEMS[403]},
)
@router.delete("/transferables/delete/", include_in_schema=False)
async def delete_all_transferables(api: CurrentApi, account: CurrentAccount) -> Response:
    """Delete every file that came for you and is still there; answers with a sentence."""
    count = await api.threads.run(_delete_all, api.installation, account)
    if count == 0:
        return JSONResponse("Aucun fichier à supprimer.")
    return JSONResponse("1 fichier supprimé." if count == 1 else f"{count} fichiers supprimés.")


@router.get(
    "/transferables/{id}/",
    operation_id="check-transferable",
    tags=[FILES],
    responses={status: PROBLEMS[status] for status in (403, 404)},
)
async def check_transferable(
    api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> IncomingTransferable:
    """Tell how much of a file is here."""
    incoming = await api.threads.run(_find, api.installation, account, id)
    return IncomingTransferable.of(incoming, _kept_for(api.installation))


@router.delete(
    "/transferables/{id}/",
    operation_id="delete-transferable",
    tags=[FILES],
    status_code=204,
    responses={status: PROBLEMS[status] for status in (403, 404, 409)},
)
async def delete_transferable(
    api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> Response:
    """Delete a file that came."""
    await api.threads.run(_delete, api.installation, account, id)
    return Response(status_code=204)


@router.head("/transferables/{id}/download/", include_in_schema=False)
@router.get(
    "/transferables/{id}/download/",
    operation_id="download-transferable",
    tags=[FILES],
    response_class=Response,
    responses={
        **FILE_BODY,
        **{status: PROBLEMS[status] for status in (403, 404, 409, 410, 412, 416)},
    },
)
async def download_transferable(
    request: Request, api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> Response:
    """Fetch a file."""
    installation = api.installation
    incoming = await api.threads.run(_find, installation, account, id)
    require_deliverable(incoming)

    def on_delivered() -> None:
        _tell(installation, EventKind.DELIVERED, account, incoming)

    url = await api.threads.run(_presigned_url, installation, incoming)
    if url is not None and request.method == "GET":
        on_delivered()  # as far as we can ever know
        redirect = RedirectResponse(url, status_code=307)
        redirect.raw_headers.extend(integrity_headers(incoming))
        return redirect
    try:
        return await respond(request, incoming, installation, api.threads, on_delivered)
    except ObjectMissing:
        await api.threads.run(mark_lost, installation, id)
        raise


@router.post(
    "/user/association/",
    operation_id="associate-users",
    tags=[ACCOUNT],
    status_code=204,
    openapi_extra=WORDS_BODY,
    responses={status: PROBLEMS[status] for status in (400, 409, 415)},
)
async def associate_users(request: Request, api: CurrentApi, account: CurrentAccount) -> Response:
    """Link this account to yours on the origin, by the words you got there."""
    words = (await read_json_object(request)).get("token")
    if not isinstance(words, str) or not words.strip():
        raise FieldInvalid("token", "write the words that the origin side gave you")
    await api.threads.run(associate, api.installation, account, words)
    return Response(status_code=204)


@router.get("/status/", operation_id="get-status", tags=[ADMINISTRATION])
async def get_status(api: CurrentApi, account: CurrentAccount) -> Status:
    """Tell when the link last brought something."""
    return Status(last_packet_received_at=await api.threads.run(_last_packet, api.installation))


@router.get(
    "/metrics/",
    operation_id="check-rolling-metrics",
    tags=[ADMINISTRATION],
    responses={403: PROBLEMS[403]},
)
async def check_metrics(api: CurrentApi, account: CurrentAccount) -> Figures:
    """Tell how many of everybody's files are where."""
    require_metrics_permission(account)
    return Figures.model_validate(await api.threads.run(_figures, api.installation))


def _filter(query: DestinationListQuery) -> catalogue.Filter:
    def times(field: str) -> dict[str, Any]:
        names = (f"{field}_after", f"{field}_before")
        return {name: read_time(getattr(query, name), field) for name in names}

    return catalogue.Filter(
        **times("created"),
        **times("finished"),
        states=read_states(query.state, IncomingState),
        name=query.name,
        sha1=read_digest(query.sha1),
    )


def _listed(
    api: Api, profile: bytes, wanted: catalogue.Filter, page_request: PageRequest
) -> TransferableList[IncomingTransferable]:
    keyset = catalogue.transferables(profile, wanted)
    with api.installation.database.connect() as connection:
        page = fetch_page(connection, keyset, page_request)
    kept_for = _kept_for(api.installation)
    results = [IncomingTransferable.of(catalogue.shown(row), kept_for) for row in page.rows]
    return TransferableList[IncomingTransferable].of(page, api.page_tokens, results)


def _kept_for(installation: Installation) -> timedelta:
    return timedelta(seconds=installation.settings.cleaner.expire_after)


def _profile(installation: Installation, account: Account) -> bytes:
    with installation.database.read() as session:
        return profile_of(session, account)


def _find(installation: Installation, account: Account, id: uuid.UUID) -> Incoming:
    with installation.database.read() as session:
        return catalogue.find(session, profile_of(session, account), id)


def _delete(installation: Installation, account: Account, id: uuid.UUID) -> None:
    remove(installation, _profile(installation, account), id)


def _delete_all(installation: Installation, account: Account) -> int:
    count = remove_all(installation, _profile(installation, account))
    if count:
        installation.events.tell(EventKind.DELETED, username=account.username, count=count)
    return count


def _presigned_url(installation: Installation, incoming: Incoming) -> str | None:
    storage = installation.storage
    if not isinstance(storage, HasPresignedUrl):
        return None
    headers = {name.decode(): value.decode() for name, value in content_headers(incoming)}
    return storage.presigned_url(incoming.key, seconds=URL_SECONDS, headers=headers)


def _last_packet(installation: Installation) -> datetime | None:
    with installation.database.read() as session:
        return catalogue.last_packet(session)


def _figures(installation: Installation) -> catalogue.Figures:
    with installation.database.read() as session:
        return catalogue.figures(session, recent_since(installation))


def _tell(
    installation: Installation, kind: EventKind, account: Account, incoming: Incoming
) -> None:
    installation.events.tell(
        kind,
        username=account.username,
        transferable_id=incoming.id,
        name=incoming.name,
        size=incoming.size,
        sha256=incoming.sha256.hex() if incoming.sha256 is not None else None,
    )
