"""Routes of the origin: sending files, seeing them on their way, taking them back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from eurydice_core.api.context import Api, CurrentAccount, CurrentApi, TransferableId
from eurydice_core.api.filters import read_digest, read_states, read_time
from eurydice_core.api.origin.admission import room_for, throttle
from eurydice_core.api.origin.schemas import (
    Association,
    Figures,
    OriginListQuery,
    OutgoingTransferable,
    Status,
)
from eurydice_core.api.origin.upload import begin, receive_body
from eurydice_core.api.paging import PageRequest, fetch_page, read_page_request
from eurydice_core.api.schemas import PROBLEMS, TransferableList
from eurydice_core.api.shared import recent_since, require_metrics_permission
from eurydice_core.api.upload_headers import announced_size
from eurydice_core.db.accounts import Account
from eurydice_core.installation import Installation
from eurydice_core.model.states import OutgoingState, RevocationReason
from eurydice_core.model.transferable import Outgoing
from eurydice_core.origin import catalogue
from eurydice_core.origin.revoke import revoke
from eurydice_core.protocol.association import issue_words

__all__ = ["UPLOAD", "router"]

router = APIRouter(prefix="/api/v1", responses={401: PROBLEMS[401], 503: PROBLEMS[503]})

UPLOAD: Final = "create-transferable"
"""The operation whose body may be longer than memory."""
FILES: Final = "Transferring files"
ACCOUNT: Final = "Account management"
ADMINISTRATION: Final = "Administration"
BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    "parameters": [
        {
            "in": "header",
            "name": "Metadata-Name",
            "schema": {"type": "string"},
            "description": "The file's name. Other `Metadata-` headers travel along as well.",
        }
    ],
}


@router.get(
    "/transferables/",
    operation_id="list-transferables",
    tags=[FILES],
    responses={status: PROBLEMS[status] for status in (400, 404, 410)},
)
async def list_transferables(
    request: Request,
    api: CurrentApi,
    account: CurrentAccount,
    query: Annotated[OriginListQuery, Query()],
) -> TransferableList[OutgoingTransferable]:
    """List what you sent, newest first."""
    wanted = read_page_request(
        request.query_params, account.id, api.installation.settings.api, api.page_tokens
    )
    return await api.threads.run(_listed, api, account, _filter(query), wanted)


@router.post(
    "/transferables/",
    operation_id=UPLOAD,
    tags=[FILES],
    status_code=201,
    openapi_extra=BODY,
    responses={
        status: PROBLEMS[status]
        for status in (400, 408, 409, 410, 413, 415, 417, 422, 429, 501, 507)
    },
)
async def create_transferable(
    request: Request, response: Response, api: CurrentApi, account: CurrentAccount
) -> OutgoingTransferable:
    """Send a file: the body is its bytes."""
    submission = begin(request, api.installation, account)
    await throttle(api, account)
    outgoing = await api.threads.run(submission.claim) if submission.has_key else None
    if outgoing is None:
        settings = api.installation.settings.upload
        async with room_for(api, account, submission, announced_size(request.headers)):
            outgoing = await receive_body(request, submission, api.threads, settings)
    else:
        response.headers["Idempotency-Replayed"] = "true"
    return OutgoingTransferable.of(outgoing, datetime.now(UTC))


@router.get(
    "/transferables/{id}/",
    operation_id="check-transferable",
    tags=[FILES],
    responses={404: PROBLEMS[404]},
)
async def check_transferable(
    api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> OutgoingTransferable:
    """Tell how far a file is."""
    outgoing = await api.threads.run(_find, api.installation, account, id)
    return OutgoingTransferable.of(outgoing, datetime.now(UTC))


@router.delete(
    "/transferables/{id}/",
    operation_id="revoke-transferable",
    tags=[FILES],
    status_code=204,
    responses={404: PROBLEMS[404]},
)
async def revoke_transferable(
    api: CurrentApi, account: CurrentAccount, id: TransferableId
) -> Response:
    """Take a file back: what was not sent stays here, and the destination is told."""
    await api.threads.run(_revoke, api.installation, account, id)
    return Response(status_code=204)


@router.get("/user/association/", operation_id="associate-users", tags=[ACCOUNT])
async def associate(api: CurrentApi, account: CurrentAccount) -> Association:
    """Get the words that link this account to yours on the destination."""
    lifetime = timedelta(seconds=api.installation.settings.association.expires_after)
    expires_at = (datetime.now(UTC) + lifetime).replace(microsecond=0)
    words = issue_words(account.profile, expires_at, api.installation.association_key)
    return Association(token=words, expires_at=expires_at)


@router.get("/status/", operation_id="get-status", tags=[ADMINISTRATION])
async def get_status(api: CurrentApi, account: CurrentAccount) -> Status:
    """Tell how the link does."""
    return Status.model_validate(await api.threads.run(_status, api.installation))


@router.get(
    "/metrics/",
    operation_id="check-rolling-metrics",
    tags=[ADMINISTRATION],
    responses={403: PROBLEMS[403]},
)
async def check_metrics(api: CurrentApi, account: CurrentAccount) -> Figures:
    """Tell how much of everybody's is where."""
    require_metrics_permission(account)
    return Figures.model_validate(await api.threads.run(_figures, api.installation))


def _filter(query: OriginListQuery) -> catalogue.Filter:
    def times(field: str) -> dict[str, Any]:
        names = (f"{field}_after", f"{field}_before")
        return {name: read_time(getattr(query, name), field) for name in names}

    return catalogue.Filter(
        **times("created"),
        **times("submission_succeeded"),
        **times("transfer_finished"),
        states=read_states(query.state, OutgoingState),
        name=query.name,
        sha1=read_digest(query.sha1),
    )


def _listed(
    api: Api, account: Account, wanted: catalogue.Filter, page_request: PageRequest
) -> TransferableList[OutgoingTransferable]:
    keyset = catalogue.transferables(account.id, wanted)
    with api.installation.database.connect() as connection:
        page = fetch_page(connection, keyset, page_request)
    now = datetime.now(UTC)
    results = [OutgoingTransferable.of(catalogue.shown(row), now) for row in page.rows]
    return TransferableList[OutgoingTransferable].of(page, api.page_tokens, results)


def _find(installation: Installation, account: Account, id: uuid.UUID) -> Outgoing:
    with installation.database.read() as session:
        return catalogue.find(session, account.id, id)


def _revoke(installation: Installation, account: Account, id: uuid.UUID) -> None:
    with installation.database.write() as session:
        catalogue.find(session, account.id, id)
        revoke(session, id, RevocationReason.USER_CANCELED, datetime.now(UTC))


def _status(installation: Installation) -> catalogue.Status:
    with installation.database.read() as session:
        return catalogue.status(session)


def _figures(installation: Installation) -> catalogue.Figures:
    with installation.database.read() as session:
        return catalogue.figures(session, recent_since(installation))
