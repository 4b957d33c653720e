from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from eurydice_core.interfaces.storage import Storage
from eurydice_core.testing.storage import StorageConformance
from eurydice_storage_fs import Settings, open_storage, tree


class TestFileStorage(StorageConformance):
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(root=tmp_path / "data")

    @pytest.fixture
    def storage(self, settings: Settings) -> Storage:
        self.used = settings
        return open_storage(settings)

    def reopened(self, storage: Storage) -> Storage:
        return open_storage(self.used)

    def leftovers(self, storage: Storage) -> Iterable[str]:
        root = self.used.root
        staged = (path for path in (root / "staging").rglob("*") if path.is_file())
        probes = (root / "objects").rglob(".*")
        return [str(path) for path in (*staged, *probes)]


class TestFileStorageWithoutFsync(TestFileStorage):
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(root=tmp_path / "data", fsync=False)


class TestFileStorageWithoutUnnamedFiles(TestFileStorage):
    """As on NFS, or any file system that has no O_TMPFILE."""

    @pytest.fixture
    def settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setattr(tree, "_has_unnamed_files", lambda directory: False)
        return Settings(root=tmp_path / "data")
