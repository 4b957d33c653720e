"""A service that ends by a bug is started again, and its side lives on."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.scale, pytest.mark.timeout(600)]

PLUGIN = """
from pathlib import Path
from eurydice_core.hookspecs import PluginSettings, SchedulerPlugin, hookimpl
from eurydice_scheduler_fifo import FifoScheduler

FAILURES = Path(__file__).with_name("failures")


class Faulty(FifoScheduler):
    def select(self, pending, budget):
        with FAILURES.open("a") as file:
            file.write("x")
        if FAILURES.stat().st_size <= 2:
            raise KeyError("a bug")
        return super().select(pending, budget)


@hookimpl
def eurydice_scheduler():
    return SchedulerPlugin(
        name="scheduler_faulty",
        summary="Raises twice.",
        settings=PluginSettings,
        create=lambda *_: Faulty(),
    )
"""


@pytest.fixture
def faulty_scheduler(tmp_path, monkeypatch):
    """Install a scheduler whose first two calls raise; return its name."""
    packages = tmp_path / "packages"
    about = packages / "faulty-1.dist-info"
    about.mkdir(parents=True)
    (packages / "scheduler_faulty.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[eurydice]\nscheduler_faulty = scheduler_faulty\n")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(packages), before])))
    monkeypatch.syspath_prepend(str(packages))
    return "scheduler_faulty"


def test_sender_that_raises_is_restarted_with_back_off(make_sites, tools, faulty_scheduler):
    sites = make_sites(origin={"SCHEDULER__PLUGIN": faulty_scheduler})
    sites.origin.start()
    sites.destination.start()
    ((sender, fetcher),) = sites.users(1)
    api = sites.origin.service("api").pid
    content = tools.content(1000, 1)
    id = tools.upload(sender, content, "small")["id"]
    tools.expect_each_once(fetcher, [(id, content.sha256.hexdigest())], 120)
    said = sites.origin.said()
    assert said.count("starting it again in 0.5 s") == 1
    assert said.count("starting it again in 1 s") == 1
    assert "a bug" in said
    assert sites.origin.service("api").pid == api, "the side lives on"
