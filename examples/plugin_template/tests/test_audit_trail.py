"""The audit trail, made as the core makes it: by its hook, from its settings."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from eurydice_audit_trail import eurydice_event
from pydantic import ValidationError

from eurydice_core.errors import ConfigurationError
from eurydice_core.hookspecs import Context
from eurydice_core.model.event import Event, EventKind
from eurydice_core.model.states import Side

SUBMITTED = Event(
    kind=EventKind.SUBMITTED,
    at=datetime(2026, 11, 23, 12, tzinfo=UTC),
    side=Side.ORIGIN,
    username="alice",
    transferable_id="0b8e7f0e-2a3b-4c5d-8e6f-708192a3b4c5",
    facts={"name": "plan\nof é.pdf", "size": 52113},
)


@pytest.fixture
def make(tmp_path):
    """Make listeners, and close them after the test."""
    made = []

    def make(**options):
        plugin = eurydice_event()
        context = Context(side=Side.ORIGIN, state_dir=tmp_path)
        made.append(plugin.create(plugin.settings(**options), context))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


def test_an_event_is_one_line_that_says_all_of_it(make, tmp_path):
    path = tmp_path / "audit.jsonl"
    make(path=path).on_event(SUBMITTED)
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == {
        "at": "2026-11-23T12:00:00+00:00",
        "kind": "submitted",
        "side": "origin",
        "username": "alice",
        "transferable_id": "0b8e7f0e-2a3b-4c5d-8e6f-708192a3b4c5",
        "name": "plan\nof é.pdf",
        "size": 52113,
    }


def test_lines_are_added_to_those_of_before(make, tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text("{}\n")
    make(path=path).on_event(SUBMITTED)
    assert len(path.read_text().splitlines()) == 2


def test_a_path_that_cannot_be_written_is_found_at_the_start(make, tmp_path):
    with pytest.raises(ConfigurationError, match=r"\[events.audit_trail\] path: cannot write"):
        make(path=tmp_path / "missing" / "audit.jsonl")


def test_an_unknown_setting_is_refused(make, tmp_path):
    with pytest.raises(ValidationError, match="extra_forbidden"):
        make(path=tmp_path / "audit.jsonl", colour="blue")
