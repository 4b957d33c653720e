"""The rule by which the server itself removes objects after some days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loguru import logger

from eurydice_core.errors import StorageError

if TYPE_CHECKING:
    from eurydice_storage_minio.storage import S3Storage

__all__ = ["refresh_expiry"]

NO_RULES = "NoSuchLifecycleConfiguration"


def refresh_expiry(storage: S3Storage, prefix: str, days: int | None) -> None:
    """Make our rule of the bucket say so many days, or none; leave all other rules alone.

    Not every server has such rules, and not all keys may change them: that is told, and no
    reason to stop.
    """
    ours = f"eurydice-{prefix}".rstrip("-")
    try:
        rules = _rules(storage)
        others = [rule for rule in rules if rule.get("ID") != ours]
        wanted = [*others, *([] if days is None else [_rule(ours, prefix, days)])]
        if [_gist(rule) for rule in wanted] == [_gist(rule) for rule in rules]:
            return
        _put(storage, wanted)
    except StorageError as error:
        if days is not None:
            logger.warning("objects will not expire by themselves after {} days: {}", days, error)
        return
    logger.info("objects expire by themselves after {} days", "no" if days is None else days)


def _rules(storage: S3Storage) -> list[dict[str, Any]]:
    try:
        answer = storage.call("get_bucket_lifecycle_configuration")
    except StorageError as error:
        if NO_RULES in str(error):
            return []
        raise
    rules: list[dict[str, Any]] = answer.get("Rules", [])
    return rules


def _put(storage: S3Storage, rules: list[dict[str, Any]]) -> None:
    if rules:
        storage.call("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules})
    else:
        storage.call("delete_bucket_lifecycle")


def _rule(name: str, prefix: str, days: int) -> dict[str, Any]:
    return {
        "ID": name,
        "Status": "Enabled",
        "Filter": {"Prefix": f"{prefix}/" if prefix else ""},
        "Expiration": {"Days": days},
    }


def _gist(rule: dict[str, Any]) -> tuple[object, ...]:
    """Return what matters of a rule: servers add and leave out the rest."""
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    return rule.get("ID"), rule.get("Status"), prefix, rule.get("Expiration", {}).get("Days")
