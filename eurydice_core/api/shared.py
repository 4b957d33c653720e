"""Routes that both sides have: the user's own account, and what the pages show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request

from eurydice_core.api.context import CurrentAccount, CurrentApi
from eurydice_core.api.problems import Forbidden
from eurydice_core.api.schemas import PROBLEMS, Schema
from eurydice_core.api.tokens import renew_token, show_token
from eurydice_core.db.accounts import Account
from eurydice_core.installation import Installation
from eurydice_core.model.states import Side
from eurydice_core.origin.quota import Quota, Usage, quota_of, usage

__all__ = ["recent_since", "require_metrics_permission", "router"]

router = APIRouter(prefix="/api/v1")

ACCOUNT = "Account management"


class QuotaUse(Schema):
    """How much of your quota is taken; null where there is no limit."""

    size_limit: int | None
    """Bytes that may be kept here for you."""
    size_used: int | None
    files_limit: int | None
    """Uploads that you may begin in 24 hours."""
    files_used: int | None


class Me(Schema):
    """Who asks."""

    username: str
    quota: QuotaUse | None = None
    """Only for whom there is one (origin)."""


class Token(Schema):
    """An API token."""

    token: str


class Metadata(Schema):
    """What the web pages show beside the lists."""

    contact: str
    badge_content: str
    badge_color: str
    encryption_enabled: bool = False
    """Whether files are to be encrypted in the browser: they never are."""


@router.get(
    "/user/me/",
    operation_id="user-me",
    tags=[ACCOUNT],
    response_model_exclude_unset=True,
    responses={401: PROBLEMS[401]},
)
async def me(api: CurrentApi, account: CurrentAccount) -> Me:
    """Tell who you are, and how much of your quota is taken if you have one."""
    quota = quota_of(account, api.installation.settings)
    if api.installation.settings.side is not Side.ORIGIN or not quota.applies:
        return Me(username=account.username)
    used = await api.threads.run(_usage, api.installation, account)
    return Me(username=account.username, quota=quota_use(quota, used))


@router.get(
    "/user/token/", operation_id="user-token-get", tags=[ACCOUNT], responses={401: PROBLEMS[401]}
)
async def show(api: CurrentApi, account: CurrentAccount) -> Token:
    """Show your API token; it is made when you first ask."""
    return Token(token=await api.threads.run(show_token, api.installation, account))


@router.delete(
    "/user/token/",
    operation_id="user-token-delete",
    tags=[ACCOUNT],
    responses={401: PROBLEMS[401]},
)
async def renew(api: CurrentApi, account: CurrentAccount) -> Token:
    """Replace your API token by a new one; the old one ends at once."""
    return Token(token=await api.threads.run(renew_token, api.installation, account))


@router.get("/metadata/", operation_id="metadata", tags=["Metadata"])
async def metadata(api: CurrentApi) -> Metadata:
    """Tell whom to ask for help, and what stands in the banner."""
    return Metadata.model_validate(api.installation.settings.api)


@router.get("/schema/", include_in_schema=False)
async def schema(request: Request) -> dict[str, Any]:
    """Describe this API (OpenAPI 3)."""
    description: dict[str, Any] = request.app.openapi()
    return description


def _usage(installation: Installation, account: Account) -> Usage:
    with installation.database.read() as session:
        return usage(session, account.id, datetime.now(UTC))


def quota_use(quota: Quota, used: Usage) -> QuotaUse:
    """Return limits and what is taken of them."""
    return QuotaUse(
        size_limit=quota.size,
        size_used=None if quota.size is None else used.size,
        files_limit=quota.files,
        files_used=None if quota.files is None else used.files,
    )


def require_metrics_permission(account: Account) -> None:
    """Return if this user may see everybody's figures.

    Raises:
        Forbidden: they may not.
    """
    if not (account.sees_metrics or account.is_staff):
        raise Forbidden("only accounts with the metrics permission may see these figures")


def recent_since(installation: Installation) -> datetime:
    """Return the moment after which the metrics count what ended."""
    window = timedelta(seconds=installation.settings.api.metrics_window)
    return datetime.now(UTC) - window
