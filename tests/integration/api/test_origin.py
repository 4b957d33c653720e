"""What users of the origin see of their files, and do with them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from eurydice_core.db.facts import LAST_PACKET_SENT_AT, MAINTENANCE, set_fact, set_time
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RangeState
from eurydice_core.protocol.association import read_words

LIST = "/api/v1/transferables/"
NOW = datetime.now(UTC)


def sent(bench, id, **values):
    """Write into a row what the sender would have written."""
    with bench.installation.database.write() as session:
        row = session.get_one(OutgoingTransferable, uuid.UUID(id))
        for name, value in values.items():
            setattr(row, name, value)


def test_progress_is_shown(origin):
    id = origin.upload(b"abc").json()["id"]
    sent(
        origin,
        id,
        bytes_transferred=2,
        state=OutgoingState.ONGOING,
        created_at=NOW - timedelta(hours=1),
    )
    body = origin.get(f"{LIST}{id}/").json()
    assert (body["progress"], body["bytes_transferred"], body["state"]) == (66, 2, "ONGOING")
    assert body["finished_at"] is None
    sent(origin, id, bytes_transferred=3, last_range_finished_at=NOW, state=OutgoingState.SUCCESS)
    body = origin.get(f"{LIST}{id}/").json()
    assert (body["progress"], body["state"]) == (100, "SUCCESS")
    assert datetime.fromisoformat(body["finished_at"]) == NOW


def test_transfers_are_found_by_when_they_ended(origin):
    for content in (b"a", b"b"):
        origin.upload(content)
    id = origin.upload(b"c").json()["id"]
    sent(origin, id, bytes_transferred=1, last_range_finished_at=NOW)
    text = origin.get(f"{LIST}{id}/").json()["finished_at"]
    for bound in ("transfer_finished_after", "transfer_finished_before"):
        assert [i["id"] for i in origin.get(LIST, params={bound: text}).json()["results"]] == [id]
    late = (NOW + timedelta(days=1)).isoformat()
    assert origin.get(LIST, params={"transfer_finished_after": late}).json()["count"] == 0
    assert origin.get(LIST, params={"submission_succeeded_before": late}).json()["count"] == 3
    assert origin.get(LIST, params={"submission_succeeded_after": late}).json()["count"] == 0


def test_files_of_others_do_not_exist(origin):
    id = origin.upload(b"mine").json()["id"]
    origin.user("bob")
    origin.sign_in("bob")
    assert origin.get(LIST).json()["count"] == 0
    assert origin.get(f"{LIST}{id}/").status_code == 404
    assert origin.delete(f"{LIST}{id}/").status_code == 404
    origin.sign_in("alice")
    assert origin.get(f"{LIST}{id}/").json()["state"] == "PENDING"


@pytest.mark.parametrize("id", ["6f1c0e7a-52c8-4c5b-9e0d-3a4b5c6d7e8f", "nothing", "1"])
def test_what_is_no_transferable_is_not_found(origin, id):
    assert origin.get(f"{LIST}{id}/").status_code == 404
    assert origin.delete(f"{LIST}{id}/").status_code == 404


def test_a_file_is_taken_back_as_often_as_one_likes(origin):
    id = origin.upload(b"x", Metadata_Name="n").json()["id"]
    for _ in range(2):
        response = origin.delete(f"{LIST}{id}/")
        assert (response.status_code, response.content) == (204, b"")
    assert origin.get(f"{LIST}{id}/").json()["state"] == "CANCELED"
    kinds = [event.kind for event in origin.events()]
    assert kinds == [EventKind.SUBMITTED, EventKind.DELETED]


def test_paths_are_answered_with_and_without_a_slash(origin):
    id = origin.upload(b"x").json()["id"]
    for path in (LIST, f"{LIST}{id}/", "/api/v1/status/", "/api/v1/schema/"):
        assert origin.get(path).status_code == origin.get(path.rstrip("/")).status_code == 200
    headers = {"Content-Type": "application/octet-stream"}
    assert origin.post(LIST.rstrip("/"), content=b"x", headers=headers).status_code == 201
    assert origin.delete(f"{LIST}{id}").status_code == 204


def test_association_words_stand_for_the_user(origin):
    body = origin.get("/api/v1/user/association/").json()
    account = origin.installation.accounts.get("alice")
    expires_at = datetime.fromisoformat(body["expires_at"])
    left = expires_at - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert expires_at.microsecond == 0
    assert len(body["token"].split(" ")) == 18
    assert read_words(body["token"], NOW, origin.installation.association_key) == account.profile


def test_the_status_tells_how_the_link_does(origin):
    assert origin.get("/api/v1/status/").json() == {
        "maintenance": False,
        "last_packet_sent_at": None,
    }
    with origin.installation.database.write() as session:
        set_fact(session, MAINTENANCE, True)
        set_time(session, LAST_PACKET_SENT_AT, NOW)
    assert origin.get("/api/v1/status/").json() == {
        "maintenance": True,
        "last_packet_sent_at": NOW.isoformat(),
    }


def test_figures_are_for_those_who_may_see_them(origin):
    assert origin.get("/api/v1/metrics/").status_code == 403
    origin.user("chief", sees_metrics=True)
    origin.user("admin", is_staff=True)
    for name in ("chief", "admin"):
        origin.sign_in(name)
        assert origin.get("/api/v1/metrics/").status_code == 200


def test_figures_count_everybodys_files(origin):
    cases = [
        (OutgoingState.PENDING, NOW),
        (OutgoingState.ONGOING, NOW - timedelta(days=9)),
        (OutgoingState.ONGOING, NOW),
        (OutgoingState.SUCCESS, NOW),
        (OutgoingState.SUCCESS, NOW - timedelta(minutes=61)),
        (OutgoingState.ERROR, NOW),
        (OutgoingState.ERROR, NOW),
        (OutgoingState.CANCELED, NOW),
    ]
    for state, at in cases:
        sent(origin, origin.upload(b"12345").json()["id"], state=state, state_changed_at=at)
    with origin.installation.database.write() as session:
        for row in session.query(OutgoingRange).limit(3):
            row.state = RangeState.TRANSFERRED
    origin.user("chief", sees_metrics=True)
    origin.sign_in("chief")
    assert origin.get("/api/v1/metrics/").json() == {
        "pending_transferables": 1,
        "ongoing_transferables": 2,
        "recent_successes": 1,
        "recent_errors": 2,
        "queue_size": 25,
        "last_packet_sent_at": None,
    }
