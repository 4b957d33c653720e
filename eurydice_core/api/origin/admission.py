"""Whether a user may upload now: the throttle, and the room that their quota leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eurydice_core.api.context import Api
from eurydice_core.db.accounts import Account
from eurydice_core.errors import RequestError
from eurydice_core.origin.quota import quota_of, release, reserve
from eurydice_core.origin.submit import Submission
from eurydice_core.origin.throttle import UploadThrottle

__all__ = ["room_for", "throttle"]


async def throttle(api: Api, account: Account) -> None:
    """Count an upload.

    Raises:
        UploadsThrottled: it comes too soon after the user's others.
    """
    rate = api.installation.settings.upload.throttle_rate
    if rate is not None:
        await api.threads.run(UploadThrottle(api.installation.database, rate).admit, account.id)


@asynccontextmanager
async def room_for(
    api: Api, account: Account, submission: Submission, size: int | None
) -> AsyncIterator[None]:
    """Hold room for an upload of a user with a quota until it is over; nothing of it is read yet.

    Raises:
        QuotaExceeded: there is no room for it.
        TooManyFiles: the user has begun enough uploads today.
    """
    database, quota = api.installation.database, quota_of(account, api.installation.settings)
    if not quota.applies:
        yield
        return
    try:
        submission.room = await api.threads.run(
            reserve, database, account, quota, submission.id, size
        )
    except RequestError:
        await api.threads.run(submission.unclaim)
        raise
    try:
        yield
    finally:
        await api.threads.run(_release, api, submission)


def _release(api: Api, submission: Submission) -> None:
    with api.installation.database.write(durable=False) as session:
        release(session, submission.id)
