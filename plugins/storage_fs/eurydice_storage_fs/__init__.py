"""Files below a directory of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import Field

from eurydice_core.hookspecs import PluginSettings, StoragePlugin, hookimpl
from eurydice_core.model.quantities import Seconds, Size
from eurydice_core.private_files import Access, group_access
from eurydice_storage_fs.direct import Blocks
from eurydice_storage_fs.storage import FileStorage
from eurydice_storage_fs.tree import Tree

__all__ = ["FileStorage", "Settings", "eurydice_storage", "open_storage"]

GROUP: Final = "[storage] group"


class Settings(PluginSettings):
    """Where the files are, and how carefully they are kept."""

    root: Path = Field(
        description="Directory everything is kept below; made if it does not exist."
        " One file system, and nothing else in it."
    )
    group: str | None = Field(
        default=None,
        description="Group that may read the files, such as that of a proxy that sends them:"
        " they are made with mode 0640 in place of 0600.",
    )
    fsync: bool = Field(
        default=True,
        description="Whether what is acknowledged survives a power cut."
        " Switch it off only for data that may be lost.",
    )
    direct: bool = Field(
        default=True,
        description="Whether large files go past the page cache, where the file system can do"
        " that. Switch it off for disks that are slow without a cache.",
    )
    min_free: Size = Field(
        default=256 * 2**20,
        ge=0,
        description="Room on its file system that stays free: uploads are refused and the"
        " receiver waits before less is left. 0 fills it to the last byte.",
    )
    leftovers_after: Seconds = Field(
        default=86_400.0,
        gt=0,
        description="Age after which what a crashed write left is removed, when a service starts.",
    )

    def private_files(self) -> Iterable[tuple[Path, Access]]:
        """Name the directory, which `eurydice config check` looks at."""
        yield self.root, group_access(self.group, GROUP)


def open_storage(settings: Settings) -> FileStorage:
    """Prepare the directory, and sweep what crashed writes left in it."""
    blocks = Blocks()
    blocks.works = settings.direct
    tree = Tree(
        settings.root.absolute(),
        fsync=settings.fsync,
        min_free=settings.min_free,
        blocks=blocks,
        access=group_access(settings.group, GROUP),
    )
    tree.prepare()
    tree.sweep(settings.leftovers_after)
    return FileStorage(tree)


@hookimpl
def eurydice_storage() -> StoragePlugin:
    """Offer a directory as a storage."""
    return StoragePlugin(
        name="storage_fs",
        summary="Files below a directory of this machine.",
        settings=Settings,
        create=lambda settings, context: open_storage(settings),
    )
