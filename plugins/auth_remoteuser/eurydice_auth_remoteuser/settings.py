"""Which header of which proxies is believed."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from eurydice_core.hookspecs import PluginSettings

__all__ = ["Network", "Settings", "header_name"]

Network = IPv4Network | IPv6Network

FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]+")


def header_name(spelling: str) -> str:
    """Return the header's name in lower case, also from Django's spelling `HTTP_X_REMOTE_USER`.

    Raises:
        ValueError: no header can be called so; pydantic turns this into its own error.
    """
    name = spelling.strip().lower().removeprefix("http_").replace("_", "-")
    if not FIELD_NAME.fullmatch(name):
        raise ValueError(f"{spelling!r} is not the name of a header: write one like X-Remote-User")
    return name


def with_name(pattern: re.Pattern[str] | None) -> re.Pattern[str] | None:
    """Return a pattern that has the group `name`.

    Raises:
        ValueError: it has none; pydantic turns this into its own error.
    """
    if pattern is not None and "name" not in pattern.groupindex:
        raise ValueError("needs a group 'name', such as (?P<name>[^@]+)@EXAMPLE[.]ORG")
    return pattern


def split_list(value: object) -> object:
    """Take `a, b` or a JSON list for a list, which is how the environment spells one."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value  # refused later, as no list
    return [item.strip() for item in value.split(",") if item.strip()]


class Settings(PluginSettings):
    """The keys of `[auth.auth_remoteuser]`."""

    header: Annotated[str, AfterValidator(header_name)] = Field(
        "x-remote-user",
        description="Header with the user's name; HTTP_X_REMOTE_USER means X-Remote-User.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(split_list)] = Field(
        (),
        description="Those of `[api] trusted_proxies` that sign users in; all of them if empty. A"
        " proxy on the Unix socket has no address and is always one.",
    )
    pattern: Annotated[re.Pattern[str] | None, AfterValidator(with_name)] = Field(
        None,
        description="Regular expression that the whole value must match; its group `name` is the"
        " user's name.",
    )
    fold_case: bool = Field(
        True,
        description="Take names that differ only by case for one user. False for a directory that"
        " distinguishes them.",
    )
    create_users: bool = Field(
        True, description="Make an account for a name that is seen for the first time."
    )
    strip_realm: str | None = Field(
        None,
        min_length=1,
        description="Kerberos realm to take off: with EXAMPLE.ORG, alice@EXAMPLE.ORG is alice;"
        " names of other realms stay whole.",
    )

    @model_validator(mode="after")
    def _one_way_to_the_name(self) -> Settings:
        if self.pattern is not None and self.strip_realm is not None:
            raise ValueError(
                "pattern and strip_realm exclude each other: put the realm into pattern"
            )
        return self
