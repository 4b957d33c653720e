"""Counts of several workers are one, whoever of them ends when."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.monitoring.measures import Histogram, Tally
from eurydice_core.api.monitoring.tallies import Tallies
from eurydice_core.api.monitoring.tally_files import shared_directory

FILES = Tally("files", "Files.", ("state",))
SECONDS = Histogram("work_seconds", "Work.", (), (0.1, 1))


@pytest.fixture
def shared(tmp_path):
    with shared_directory(tmp_path) as directory:
        yield directory


def values(tallies):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in tallies.collect()
        for sample in family.samples
    }


def test_any_worker_tells_what_all_counted(tmp_path, shared):
    workers = [Tallies(tmp_path, shared) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.count(FILES, "new", amount=number + 1)
    assert [values(worker)["files_total", "new"] for worker in workers] == [6, 6, 6]
    for worker in workers:
        worker.close()


def test_what_ended_workers_counted_is_kept_in_one_place(tmp_path, shared):
    for _ in range(5):
        worker = Tallies(tmp_path, shared)
        worker.count(FILES, "new")
        worker.observe(SECONDS, 0.5)
        worker.close()
    last = Tallies(tmp_path, shared)
    found = values(last)
    assert found["files_total", "new"] == 5
    assert found["work_seconds_count",] == 5
    assert found["work_seconds_sum",] == 2.5
    assert len(list(shared.glob("counter_*.db"))) == 2
    last.close()


def test_a_worker_that_was_killed_is_one_that_ended(tmp_path, shared):
    child = os.fork()
    if child == 0:
        Tallies(tmp_path, shared).count(FILES, "new", amount=7)
        os._exit(9)
    os.waitpid(child, 0)
    worker = Tallies(tmp_path, shared)
    assert values(worker)["files_total", "new"] == 7
    assert sorted(shared.glob("counter_*.db"))[-1].name == "counter_ended.db"
    worker.close()


def test_histograms_are_cumulative_and_have_every_bucket(tmp_path):
    tallies = Tallies(tmp_path)
    for seconds in (0.1, 0.5, 7):
        tallies.observe(SECONDS, seconds)
    assert values(tallies) == {
        ("work_seconds_sum",): pytest.approx(7.6),
        ("work_seconds_bucket", "0.1"): 1,
        ("work_seconds_bucket", "1.0"): 2,
        ("work_seconds_bucket", "+Inf"): 3,
        ("work_seconds_count",): 3,
    }
    tallies.close()


def test_nothing_is_opened_before_something_is_counted(tmp_path):
    Tallies(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_one_counts_no_more_and_leaves_nothing(tmp_path):
    tallies = Tallies(tmp_path)
    tallies.count(FILES, "new")
    tallies.close()
    tallies.count(FILES, "new")
    tallies.observe(SECONDS, 1)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_one_that_nobody_closes_leaves_nothing_either(tmp_path):
    Tallies(tmp_path).count(FILES, "new")
    gc.collect()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_what_a_killed_server_left_is_removed_and_a_living_ones_is_not(tmp_path):
    (tmp_path / "stale").mkdir()
    (tmp_path / "stale" / "server.lock").touch()
    (tmp_path / "stale" / "counter_1-a.db").touch()
    with shared_directory(tmp_path) as first, shared_directory(tmp_path) as second:
        assert first.is_dir()
        assert second.is_dir()
        assert not (tmp_path / "stale").exists()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


@given(st.text(max_size=50))
def test_labels_come_back_as_they_are(tmp_path_factory, label):
    tallies = Tallies(tmp_path_factory.mktemp("tallies"))
    tallies.count(FILES, label)
    assert values(tallies)["files_total", label] == 1
    tallies.close()
