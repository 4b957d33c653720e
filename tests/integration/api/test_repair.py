"""Repair tickets over HTTP: got at the destination, carried, applied at the origin."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime

import pytest
import segno

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.model.states import IncomingState, OutgoingState, RangeState, RevocationReason
from eurydice_core.protocol.repair import Ticket, issue_ticket, read_ticket

NOW = datetime.now(UTC)
PNG = "image/png"
PROFILE = b"profile1"
PIECE = 100


def path(id):
    return f"/api/v1/transferables/{id}/repair/"


@pytest.fixture
def associated(destination):
    """The destination with alice associated."""
    alice = destination.installation.accounts.get("alice")
    with destination.installation.database.write() as session:
        session.add(OriginProfile(profile=PROFILE, user_id=alice.id, created_at=NOW))
        session.add(OriginProfile(profile=b"another1", created_at=NOW))
    return destination


def came(bench, *extents, size=1050, **values):
    """Put a file where history found it incomplete; return its id."""
    row = IncomingTransferable(
        id=uuid.uuid4(),
        created_at=NOW,
        received_at=NOW,
        finished_at=NOW,
        size=size,
        piece_size=PIECE,
        bytes_received=sum(stop - start for start, stop in extents),
        user_provided_meta={},
        **{
            "name": "report.pdf",
            "profile": PROFILE,
            "state": IncomingState.ERROR,
            "repairable": True,
            **values,
        },
    )
    with bench.installation.database.write() as session:
        session.add(row)
        session.flush()
        for start, stop in extents:
            session.add(ReceivedExtent(transferable_id=row.id, start=start, stop=stop))
    return row.id


def sent(bench, pieces=11, *, user="alice", stored=True, **values):
    """Put a file where the sender has sent all of it; return its id."""
    id, user_id = uuid.uuid4(), bench.installation.accounts.get(user).id
    row = OutgoingTransferable(
        id=id,
        user_id=user_id,
        created_at=NOW,
        received_at=NOW,
        state_changed_at=NOW,
        user_provided_meta={},
        piece_size=PIECE,
        size=pieces * PIECE,
        ranges_transferred=pieces,
        bytes_transferred=pieces * PIECE,
        **{"submission_succeeded_at": NOW, "state": OutgoingState.SUCCESS, **values},
    )
    with bench.installation.database.write() as session:
        session.add(row)
        session.flush()
        for number in range(pieces):
            session.add(
                OutgoingRange(
                    transferable_id=id,
                    user_id=user_id,
                    byte_offset=number * PIECE,
                    size=PIECE,
                    state=RangeState.TRANSFERRED,
                    created_at=NOW,
                    whole=False,
                    stored=stored,
                )
            )
    return id


def ticket_for(bench, id, *runs):
    return issue_ticket(Ticket(id, runs), bench.installation.repair_key)


def pending(bench):
    with bench.installation.database.read() as session:
        rows = session.query(OutgoingRange).filter_by(state=RangeState.PENDING)
        return sorted(row.byte_offset // PIECE for row in rows)


def assert_problem(response, status, words=""):
    assert response.status_code == response.json()["status"] == status
    assert words in response.json()["detail"]


# The destination


def test_a_ticket_says_what_is_missing(associated):
    id = came(associated, (300, 600))
    response = associated.get(path(id))
    assert response.status_code == 200
    answer = response.json()
    read = read_ticket(answer.pop("ticket"), associated.installation.repair_key)
    assert read == Ticket(id, [(0, 2), (6, 10)])
    assert answer == {
        "id": str(id),
        "name": "report.pdf",
        "size": 1050,
        "bytes_missing": 750,
        "pieces_missing": 8,
        "pieces_in_ticket": 8,
    }


def test_a_ticket_that_cannot_hold_every_piece_says_so(associated):
    odd = [(number * PIECE, (number + 1) * PIECE) for number in range(1, 3000, 2)]
    answer = associated.get(path(came(associated, *odd, size=3000 * PIECE))).json()
    assert answer["pieces_in_ticket"] < answer["pieces_missing"] == 1500


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "application/json"),
        ("", "", "application/json"),
        ("", "nonsense;q=;,", "application/json"),
        ("", "text/html", "application/json"),
        ("", PNG, PNG),
        ("", "image/*", PNG),
        ("", "text/html,image/avif,IMAGE/PNG,*/*;q=0.8", PNG),
        ("", "application/json, image/png;q=0.9", "application/json"),
        ("", "application/json;q=0.1, image/png;q=0.9", PNG),
        ("", "image/png;q=much", "application/json"),
        ("?format=png", "application/json", PNG),
        ("?format=json", PNG, "application/json"),
    ],
)
def test_a_ticket_is_json_or_a_picture_as_is_asked_for(associated, query, accept, kind):
    id = came(associated, (0, 100))
    response = associated.get(path(id) + query, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, kind)
    assert response.content.startswith(b"\x89PNG\r\n\x1a\n") == (kind == PNG)


@pytest.mark.parametrize("pieces", [2, 3000])
def test_a_picture_is_large_enough_to_scan_and_no_larger_than_a_screen(associated, pieces):
    odd = [(number * PIECE, (number + 1) * PIECE) for number in range(1, pieces, 2)]
    id = came(associated, *odd, size=pieces * PIECE)
    picture = associated.get(path(id), params={"format": "png"}).content
    width, height = struct.unpack_from(">II", picture, 16)
    assert 700 <= width == height <= 800
    code = segno.make(associated.get(path(id)).json()["ticket"], micro=False)
    assert code.mode == "alphanumeric"
    assert width // code.symbol_size()[0] >= 4  # pixels of a module


def test_an_unknown_format_is_refused(associated):
    assert_problem(
        associated.get(path(came(associated)), params={"format": "gif"}), 400, "'gif' is none of"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": IncomingState.SUCCESS, "repairable": False}, "nothing is missing"),
        ({"state": IncomingState.ONGOING, "repairable": False}, "still expected"),
        ({"repairable": False}, "cannot be repaired"),
    ],
)
def test_no_ticket_where_none_would_help(associated, values, words):
    id = came(associated, **values)
    for format in ("json", "png"):
        assert_problem(associated.get(path(id), params={"format": format}), 409, words)


def test_what_is_not_there_or_another_users_has_no_ticket(associated):
    for id in (uuid.uuid4(), "x", came(associated, profile=b"another1")):
        assert_problem(associated.get(path(id)), 404)


def test_a_ticket_needs_an_association(destination):
    assert_problem(destination.get(path(uuid.uuid4())), 403)


# The origin


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_ticket_queues_what_it_asks_for(origin, form):
    id = sent(origin)
    ticket = ticket_for(origin, id, (0, 2), (10, 10))
    body = {
        "json": {"json": {"ticket": f"{ticket[:30]}\n {ticket[30:]}"}},
        "text": {
            "content": f"{ticket.lower()}\r\n",
            "headers": {"Content-Type": "Text/Plain; charset=utf-8"},
        },
    }[form]
    response = origin.post(path(id), **body)
    assert response.status_code == 202
    assert response.json() == {"id": str(id), "ranges": 4, "bytes": 400}
    assert pending(origin) == [0, 1, 2, 10]
    assert origin.get(f"/api/v1/transferables/{id}/").json()["state"] == "ONGOING"
    assert origin.post(path(id), **body).json() == {"id": str(id), "ranges": 0, "bytes": 0}


def test_a_ticket_of_the_greatest_length_is_taken(origin):
    id = sent(origin, 2000)
    ticket = ticket_for(origin, id, *((number, number) for number in range(0, 2000, 2)))
    assert len(ticket) > 3990
    asked = read_ticket(ticket, origin.installation.repair_key).pieces
    assert asked > 850
    assert origin.post(path(id), json={"ticket": ticket}).json()["ranges"] == asked
    assert pending(origin) == list(range(0, 2 * asked, 2))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"json": {"ticket": "hello"}}, "not a repair ticket"),
        ({"json": {"ticket": ""}}, "not a repair ticket"),
        ({"json": {"ticket": 7}}, "ticket: write the ticket"),
        ({"json": {}}, "ticket: write the ticket"),
        ({"json": []}, "must be a JSON object"),
        ({"json": {"ticket": "A" * 8001}}, "at most 4000 characters"),
        ({"json": {"ticket": "A" * 70_000}}, "longer than 65536 bytes"),
        ({"content": b"A" * 70_000, "headers": {"Content-Type": "text/plain"}}, "longer than"),
        ({"content": b"\xff", "headers": {"Content-Type": "text/plain"}}, "not text in UTF-8"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "not JSON"),
    ],
)
def test_what_is_no_ticket_is_refused(origin, body, words):
    assert_problem(origin.post(path(sent(origin)), **body), 400, words)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/octet-stream"}])
def test_a_body_of_another_kind_is_refused(origin, headers):
    id = sent(origin)
    ticket = ticket_for(origin, id, (0, 0)).encode()
    assert_problem(origin.post(path(id), content=ticket, headers=headers), 415, "text/plain")


def test_a_forged_ticket_or_one_for_another_file_is_refused(origin):
    id, other = sent(origin), sent(origin)
    forged = issue_ticket(Ticket(id, [(0, 0)]), b"k" * 32)
    assert_problem(origin.post(path(id), json={"ticket": forged}), 400, "mistyped, or issued")
    misplaced = ticket_for(origin, other, (0, 0))
    assert_problem(origin.post(path(id), json={"ticket": misplaced}), 400, f"{other}")
    beyond = ticket_for(origin, id, (0, 11))
    assert_problem(origin.post(path(id), json={"ticket": beyond}), 400, "does not have")
    assert pending(origin) == []


def test_what_is_not_there_or_another_users_is_not_sent_again(origin):
    origin.user("bob")
    for id in (uuid.uuid4(), sent(origin, user="bob")):
        ticket = ticket_for(origin, id, (0, 0))
        assert_problem(origin.post(path(id), json={"ticket": ticket}), 404)
    assert_problem(origin.post(path("x"), json={"ticket": ticket}), 404)
    assert pending(origin) == []


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        (
            {"revocation_reason": RevocationReason.USER_CANCELED, "state": OutgoingState.CANCELED},
            409,
            "CANCELED and is not sent any more",
        ),
        ({"submission_succeeded_at": None, "state": OutgoingState.ONGOING}, 409, "not sent"),
        ({"stored": False}, 410, "send the file again"),
    ],
)
def test_what_was_taken_back_or_let_go_is_not_sent_again(origin, values, status, words):
    id = sent(origin, **values)
    ticket = ticket_for(origin, id, (0, 0))
    assert_problem(origin.post(path(id), json={"ticket": ticket}), status, words)
    assert pending(origin) == []
