"""Routes for whoever watches: figures for Prometheus, liveness, readiness."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from eurydice_core.api.context import CurrentApi, current_account
from eurydice_core.api.monitoring.access import is_watcher
from eurydice_core.api.monitoring.checks import Health
from eurydice_core.api.monitoring.readiness import worst
from eurydice_core.api.schemas import PROBLEMS, Schema
from eurydice_core.api.shared import require_metrics_permission

__all__ = ["router"]

router = APIRouter(tags=["Monitoring"])

NOT_STORED: Final = {"Cache-Control": "no-store"}
EXPOSITION: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The figures, in Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class Liveness(Schema):
    """That somebody answers."""

    status: Health


class CheckResult(Schema):
    """What one check found."""

    status: Health
    reason: str | None = None
    """What is wrong; for those only who may see the metrics without saying who they are."""


class ReadinessReport(Schema):
    """How this side is: as the worst of its checks."""

    status: Health
    checks: dict[str, CheckResult]


NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": ReadinessReport, "description": "Something that users need fails."}
}


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=PlainTextResponse,
    responses={**EXPOSITION, 401: PROBLEMS[401], 403: PROBLEMS[403]},
)
async def metrics(request: Request, api: CurrentApi) -> Response:
    """Tell Prometheus all figures of this side, and of all its API's processes."""
    if not is_watcher(request.scope, api.installation.settings.api.metrics_from):
        require_metrics_permission(await current_account(request, api))
    content = await api.monitor.exposition()
    return Response(content, headers={**NOT_STORED, "Content-Type": CONTENT_TYPE_LATEST})


@router.get("/healthz", operation_id="healthz", response_model=Liveness)
async def healthz() -> JSONResponse:
    """Tell that this process is alive, and nothing else."""
    return _answer(Liveness(status=Health.OK), 200)


@router.get("/readyz", operation_id="readyz", response_model=ReadinessReport, responses=NOT_READY)
async def readyz(request: Request, api: CurrentApi) -> JSONResponse:
    """Tell whether this side can work, check by check."""
    tells_why = is_watcher(request.scope, api.installation.settings.api.metrics_from)
    results = await api.monitor.readiness.results()
    status = worst(results)
    report = ReadinessReport(
        status=status,
        checks={
            name: CheckResult(
                status=result.health, reason=(result.reason or None) if tells_why else None
            )
            for name, result in results.items()
        },
    )
    return _answer(report, 503 if status is Health.FAILING else 200)


def _answer(content: Schema, status: int) -> JSONResponse:
    return JSONResponse(
        content.model_dump(mode="json", exclude_none=True), status, headers=NOT_STORED
    )
