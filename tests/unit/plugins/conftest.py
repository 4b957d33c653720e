from __future__ import annotations

import sys

import pytest

from eurydice_core.hookspecs import Context
from eurydice_core.model.states import Side

SCHEDULER = """
from eurydice_core.hookspecs import PluginSettings, SchedulerPlugin, hookimpl
from eurydice_core.interfaces.scheduler import Scheduler

class Nothing(Scheduler):
    def select(self, pending, budget):
        return iter(())

class Settings(PluginSettings):
    pass

@hookimpl
def eurydice_scheduler():
    return SchedulerPlugin(
        name={name!r}, summary="Sends nothing.", settings=Settings,
        create=lambda settings, context: Nothing(),
    )
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one entry point, as pip would, into a new directory."""
    modules = set(sys.modules)

    def install_one(name, source, *, distribution=None, version="0.3.0"):
        distribution = distribution or f"eurydice-{name.replace('_', '-')}"
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[eurydice]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        return site / f"{module}.py"

    yield install_one
    for module in set(sys.modules) - modules:
        if module.startswith("eurydice_") and not module.startswith("eurydice_core"):
            del sys.modules[module]


@pytest.fixture
def scheduler_source():
    return SCHEDULER.format


@pytest.fixture
def context(tmp_path):
    return Context(side=Side.ORIGIN, state_dir=tmp_path)
