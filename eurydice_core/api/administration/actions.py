"""What staff may do, each by the engine's own function; blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from loguru import logger

from eurydice_core.db.accounts import Account
from eurydice_core.destination.association import dissociate
from eurydice_core.destination.oversight import expire_transferable
from eurydice_core.errors import Conflict, InvalidRequest
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import (
    Action,
    AddUser,
    ChangeUser,
    ExpireTransferable,
    IssueToken,
    Outcome,
    RevokeToken,
    RevokeTransferable,
    SetMaintenance,
    SetPassword,
    UnlinkUser,
)
from eurydice_core.model.states import Side
from eurydice_core.origin.maintenance import set_maintenance
from eurydice_core.origin.oversight import revoke_transferable

__all__ = ["perform"]

LARGEST_NUMBER: Final = 2**31 - 1
LARGEST_SIZE: Final = 2**62
MOST_DAYS: Final = 36_500
"""What the database's columns, and the calendar, hold."""


def perform(installation: Installation, actor: Account, action: Action) -> Outcome:
    """Do what a member of staff asks for, and log who did it.

    Raises:
        RequestError: it cannot be, with a sentence that says why.
    """
    outcome = DEEDS[type(action)](installation, actor, action)
    logger.info("administration: {} did {!r}", actor.username, action)
    return outcome or Outcome()


def _set_maintenance(installation: Installation, actor: Account, action: SetMaintenance) -> None:
    _require(installation, Side.ORIGIN)
    set_maintenance(installation.database, action.on, actor.username)


def _add_user(installation: Installation, _: Account, action: AddUser) -> None:
    _check_number("priority", action.priority, LARGEST_NUMBER)
    installation.accounts.add(
        action.username,
        action.password,
        priority=action.priority,
        is_staff=action.is_staff,
        sees_metrics=action.sees_metrics,
    )


def _change_user(installation: Installation, actor: Account, action: ChangeUser) -> None:
    if action.username == actor.username and not (action.is_active and action.is_staff):
        raise Conflict(
            "you cannot deactivate your own account or remove its staff right: ask another"
            " member of staff"
        )
    _check_number("priority", action.priority, LARGEST_NUMBER)
    _check_number("quota of bytes", action.quota_size, LARGEST_SIZE, least=-1)
    _check_number("quota of files", action.quota_files, LARGEST_NUMBER, least=-1)
    installation.accounts.change(
        action.username,
        is_active=action.is_active,
        is_staff=action.is_staff,
        sees_metrics=action.sees_metrics,
        priority=action.priority,
        quota_size=action.quota_size,
        quota_files=action.quota_files,
    )


def _set_password(installation: Installation, _: Account, action: SetPassword) -> None:
    installation.accounts.set_password(action.username, action.password)


def _issue_token(installation: Installation, _: Account, action: IssueToken) -> Outcome:
    _check_number("number of days", action.days, MOST_DAYS, least=1)
    lifetime = None if action.days is None else timedelta(days=action.days)
    token = installation.accounts.issue_token(
        action.username, label=action.label, lifetime=lifetime
    )
    return Outcome(secret=token)


def _revoke_token(installation: Installation, _: Account, action: RevokeToken) -> None:
    _check_number("number of a token", action.id, LARGEST_NUMBER)
    installation.accounts.revoke_token(action.username, action.id)


def _unlink_user(installation: Installation, _: Account, action: UnlinkUser) -> None:
    _require(installation, Side.DESTINATION)
    dissociate(installation.database, installation.accounts.get(action.username))


def _revoke(installation: Installation, actor: Account, action: RevokeTransferable) -> None:
    _require(installation, Side.ORIGIN)
    revoke_transferable(installation, action.id, actor.username)


def _expire(installation: Installation, actor: Account, action: ExpireTransferable) -> None:
    _require(installation, Side.DESTINATION)
    expire_transferable(installation, action.id, actor.username)


def _require(installation: Installation, side: Side) -> None:
    if installation.settings.side is not side:
        raise Conflict(f"only the {side} side can do that: use the pages or commands of the {side}")


def _check_number(name: str, number: int | None, most: int, *, least: int = 0) -> None:
    if number is not None and not least <= number <= most:
        raise InvalidRequest(f"{name}: {number} is out of range, use {least} to {most}")


DEEDS: Final[Mapping[type, Callable[[Installation, Account, Any], Outcome | None]]] = {
    SetMaintenance: _set_maintenance,
    AddUser: _add_user,
    ChangeUser: _change_user,
    SetPassword: _set_password,
    IssueToken: _issue_token,
    RevokeToken: _revoke_token,
    UnlinkUser: _unlink_user,
    RevokeTransferable: _revoke,
    ExpireTransferable: _expire,
}
