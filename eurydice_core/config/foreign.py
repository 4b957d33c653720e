"""Variables that begin like ours and belong to something else, such as an orchestrator."""

from __future__ import annotations

import re
from typing import Final

from eurydice_core.config.schema import ENVIRONMENT_PREFIX, FIELDS, OPEN_TABLES, nearest, variable

__all__ = ["is_service_link", "misspelt"]

PROTOCOL: Final = "(?:TCP|UDP|SCTP)"
SERVICE_LINK: Final = re.compile(
    r"EURYDICE_(?:\w+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    rf"|PORT_\d+_{PROTOCOL}(?:_(?:PROTO|PORT|ADDR|START|END)|_PORT_(?:START|END))?"
    r"|ENV_\w+)"
)
"""Kubernetes and Docker set these for each service or container called `eurydice-...`."""
LINK_VALUES: Final = {
    "PORT": re.compile(r"(?:tcp|udp|sctp)://\S+"),
    "NAME": re.compile(r"/\S+/\S+"),
}
"""Endings that a setting may have, too: there the value tells."""
ALIKE: Final = 0.8
"""Similarity to the name of a setting, from 0 to 1, above which a variable is taken for a typo."""


def is_service_link(name: str, value: str) -> bool:
    """Return whether an orchestrator set this variable to say where another service is.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    if SERVICE_LINK.fullmatch(name):
        return True
    pattern = LINK_VALUES.get(name.rpartition("_")[2])
    return pattern is not None and bool(pattern.fullmatch(value))


def misspelt(name: str) -> str | None:
    """Return the setting that was meant by a name without two underscores, None if none was."""
    rest = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    flat = {"_".join(path): path for path in FIELDS}
    meant = nearest(rest, flat, cutoff=ALIKE)
    if meant is not None:
        return variable(flat[meant])
    # A plugin's own keys are not known here; the table that they stand in is.
    table = next((each for each in OPEN_TABLES if rest.startswith(f"{each}_")), None)
    if table is not None:
        return variable((table, rest.removeprefix(f"{table}_")))
    return variable((rest, "plugin")) if rest in OPEN_TABLES else None
