"""`eurydice transferable`: what an operator sees, and ends."""

from __future__ import annotations

import json
import re
import uuid
from contextlib import contextmanager

import pytest

from eurydice_core.cli.transferable import described
from eurydice_core.config import load_settings
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.installation import open_installation
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState
from eurydice_core.origin.oversight import show_transferable
from eurydice_core.origin.submit import Submission


@contextmanager
def opened(tmp_path):
    with open_installation(load_settings(tmp_path / "eurydice.toml", {}).settings) as installation:
        yield installation


@pytest.fixture
def origin(eurydice, tmp_path):
    """An origin with three files of alice's; the command line, and their ids."""
    eurydice("init", "origin")
    eurydice("migrate")
    eurydice("user", "add", "alice", "--no-password")
    with opened(tmp_path) as installation:
        alice = installation.accounts.get("alice")
        eurydice.ids = []
        for name in ("one", "two", "th\x1b[31mree"):
            submission = Submission(installation, alice, name=name, metadata={"Metadata-X": "y"})
            submission.write(b"x" * 100)
            eurydice.ids.append(str(submission.finish().id))
    return eurydice


def test_files_are_listed_page_by_page(origin):
    code, out, err = origin("transferable", "list", "--limit", "2")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["id", origin.ids[2], origin.ids[1]]
    assert "\x1b" not in out
    place = err.split("--start ")[1].strip()
    code, out, err = origin("transferable", "list", "--start", place)
    assert (code, err) == (0, "")
    assert origin.ids[0] in out
    assert origin.ids[1] not in out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--user", "alice"], [2, 1, 0]),
        (["--name", "o"], [1, 0]),
        (["--state", "pending", "--state", "SUCCESS"], [2, 1, 0]),
        (["--state", "ERROR"], []),
        (["--since", "2000-01-01"], [2, 1, 0]),
        (["--until", "2000-01-01T12:00"], []),
    ],
)
def test_programs_filter_and_are_told_in_json(origin, options, found):
    code, out, _ = origin("transferable", "list", "--json", *options)
    told = json.loads(out)
    assert code == 0
    assert [each["id"] for each in told["results"]] == [origin.ids[number] for number in found]
    assert told["next"] is None


def test_nothing_found_is_said(origin):
    assert origin("transferable", "list", "--state", "ERROR") == (0, "", "no such transferables\n")
    code, _, err = origin("transferable", "list", "--user", "bob")
    assert code == 1
    assert "no user 'bob'" in err


def test_one_file_is_shown(origin):
    code, out, _ = origin("transferable", "show", origin.ids[2])
    assert code == 0
    assert "\x1b" not in out
    for line in (f"id .*{origin.ids[2]}", "user .*alice", "Metadata-X +y", "0 to 100  PENDING"):
        assert re.search(line, out), line
    code, out, _ = origin("transferable", "show", origin.ids[0], "--json")
    told = json.loads(out)
    assert (told["name"], told["state"], told["pieces"][0]["stop"]) == ("one", "PENDING", 100)


def test_a_file_with_many_ranges_says_so(origin, tmp_path, monkeypatch):
    monkeypatch.setattr("eurydice_core.origin.oversight.SHOWN_PIECES", 0)
    with opened(tmp_path) as installation:
        known = show_transferable(installation.database, uuid.UUID(origin.ids[0]))
    assert list(described(known))[-1] == "  and more"


def test_files_are_revoked_each_for_itself(origin):
    unknown = "00000000-0000-0000-0000-000000000000"
    code, out, err = origin("transferable", "revoke", origin.ids[0], unknown, origin.ids[1])
    assert code == 1
    assert out == f"revoked {origin.ids[0]}\nrevoked {origin.ids[1]}\n"
    assert err == f"eurydice: error: no transferable {unknown}\n"
    _, out, _ = origin("transferable", "list", "--state", "CANCELED", "--json")
    assert len(json.loads(out)["results"]) == 2
    code, _, err = origin("transferable", "expire", origin.ids[2])
    assert code == 1
    assert "only the destination side does that" in err


def test_a_file_that_came_expires(eurydice, tmp_path):
    eurydice("init", "origin", "--dir", tmp_path / "other")
    secret = tmp_path / "other" / "link-secret.txt"
    eurydice("init", "destination", "--link-secret-file", secret)
    eurydice("migrate")
    row = IncomingTransferable(
        profile=b"12345678",
        created_at=utc_now(),
        received_at=utc_now(),
        finished_at=utc_now(),
        state=IncomingState.SUCCESS,
        stored=True,
        size=1,
    )
    row.id = uuid.uuid4()
    with opened(tmp_path) as installation:
        with installation.storage.write(row.key) as writer:
            writer.write(b"x")
        with installation.database.write() as session:
            session.add(OriginProfile(profile=row.profile, created_at=utc_now()))
            session.flush()
            session.add(row)
        assert eurydice("transferable", "expire", row.id)[:2] == (0, f"expired {row.id}\n")
        assert not list((tmp_path / "data").rglob(str(row.id)))
    assert "EXPIRED" in eurydice("transferable", "show", row.id)[1]
