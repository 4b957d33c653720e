"""A full storage keeps nobody from starting who could make room in it."""

from __future__ import annotations

import pytest

from eurydice_core.config import Settings
from eurydice_core.errors import StorageFull, StorageUnavailable
from eurydice_core.installation import open_installation
from eurydice_core.model.states import Side
from eurydice_core.plugins import discover
from eurydice_core.testing.fakes.storage import MemoryStorage


@pytest.fixture
def settings(tmp_path, database_url) -> Settings:
    return Settings.model_validate(
        {
            "side": Side.ORIGIN,
            "state_dir": tmp_path,
            "secret_key": "only this side knows this" + "." * 32,
            "database": {"url": database_url(Side.ORIGIN)},
            "link": {"secret": "both sides know this" + "." * 32},
        }
    )


@pytest.mark.parametrize(("error", "starts"), [(StorageFull, True), (StorageUnavailable, False)])
def test_only_a_full_storage_is_no_reason_not_to_start(settings, monkeypatch, error, starts):
    storage = MemoryStorage()

    def check():
        raise error("why")

    monkeypatch.setattr(storage, "check", check)
    plugins = discover()
    monkeypatch.setattr(plugins, "create_storage", lambda *_: storage)
    if starts:
        with open_installation(settings, plugins) as installation:
            assert installation.storage is storage
    else:
        with pytest.raises(error), open_installation(settings, plugins):
            pass
