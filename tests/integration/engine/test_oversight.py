"""What staff see of everybody's transferables, and end: on both sides and both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from eurydice_core.db.incoming import OriginProfile
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.scan import search, search_for
from eurydice_core.destination import oversight as received
from eurydice_core.errors import Conflict, InvalidRequest, NotFound
from eurydice_core.interfaces.administration import TransferableQuery
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin import oversight as sent

NOBODY = uuid.UUID(int=0)
START = datetime(2026, 1, 1, tzinfo=UTC)


def listed(side, **query):
    module = sent if side.settings.side == "origin" else received
    return module.list_transferables(side.database, TransferableQuery(**query))


def ids(side, **query):
    return [str(row.id) for row in listed(side, **query).rows]


def test_everybodys_files_are_listed_newest_first_and_filtered(sides):
    bob = sides.origin.accounts.add("bob")
    first = sides.submit(b"x" * 250, name="First_%.txt")
    second = sides.submit(b"", name="second.txt", user=bob)
    third = sides.submit(b"y", name="third.bin")
    origin = sides.origin
    assert ids(origin) == [third, second, first]
    assert ids(origin, username="bob") == [second]
    assert ids(origin, text="TXT") == [second, first]
    assert ids(origin, text="_%") == [first]
    assert ids(origin, text=first) == [first]
    assert ids(origin, text=str(NOBODY)) == []
    assert ids(origin, states=["SUCCESS"]) == []
    sent.revoke_transferable(origin, uuid.UUID(third), "root")
    assert ids(origin, states=["CANCELED"]) == [third]
    assert ids(origin, states=["CANCELED", "PENDING"], username=sides.user.username) == [
        third,
        first,
    ]
    assert ids(origin, states=["CANCELED"], username=sides.user.username) == [third]
    at = listed(origin).rows[1].created_at
    assert ids(origin, created_after=at) == [third, second]
    assert ids(origin, created_before=at) == [second, first]
    assert [row.username for row in listed(origin).rows] == [
        sides.user.username,
        "bob",
        sides.user.username,
    ]


def test_what_makes_no_sense_is_said(sides):
    for side in (sides.origin, sides.destination):
        with pytest.raises(NotFound, match="no user 'nobody'"):
            listed(side, username="nobody")
        with pytest.raises(InvalidRequest, match="a state is one of"):
            listed(side, states=["ODD"])
        for place in ("x", "1-2", "9" * 18 + "-" + "0" * 32, "1-" + "g" * 32):
            with pytest.raises(InvalidRequest, match="no place"):
                listed(side, start=place)


def test_pages_follow_each_other_and_miss_nothing(sides):
    expected = [sides.submit(b"x", name=f"{number}.txt") for number in range(7)][::-1]
    for text in ("", "txt"):
        seen, start = [], None
        for _ in range(10):
            page = listed(sides.origin, text=text, limit=3, start=start)
            seen += [str(row.id) for row in page.rows]
            assert page.looked_back_to is None
            start = page.next
            if start is None:
                break
        assert seen == expected


def test_a_search_stops_and_goes_on(sides):
    same = {
        "user_id": sides.user.id,
        "received_at": START,
        "state_changed_at": START,
        "piece_size": 1,
        "user_provided_meta": {},
    }
    rows = [
        same
        | {
            "id": uuid.UUID(int=number + 1),
            "created_at": START + timedelta(seconds=number // 3),
            "name": "wanted" if number == 2 else "other",
        }
        for number in range(50)
    ]
    with sides.origin.database.write() as session:
        session.execute(insert(OutgoingTransferable), rows)
    place, steps = None, 0
    with sides.origin.database.read() as session:
        while steps < 20:
            query = TransferableQuery(text="wanted")
            wanted = search_for(OutgoingTransferable, query, None, [])
            wanted = type(wanted)(
                table=wanted.table,
                indexed=wanted.indexed,
                others=wanted.others,
                start=place,
                limit=5,
            )
            found = search(session, wanted, most=10)
            steps += 1
            if found.rows or found.next is None:
                break
            assert found.was_cut
            place = found.next
    assert steps == 5
    assert [row.id.int for row in found.rows] == [3]


def test_a_file_is_shown_with_its_ranges_and_with_what_came(sides):
    id = uuid.UUID(sides.submit(b"x" * 250, name="a", metadata={"Metadata-Note": "n"}))
    known = sent.show_transferable(sides.origin.database, id)
    assert [(piece.start, piece.stop, piece.state) for piece in known.pieces] == [
        (0, 100, "PENDING"),
        (100, 200, "PENDING"),
        (200, 250, "PENDING"),
    ]
    assert known.metadata == {"Metadata-Note": "n"}
    assert (known.bytes_done, known.more_pieces, known.transferable.progress) == (0, False, 0)
    packets = sides.send()
    known = sent.show_transferable(sides.origin.database, id)
    assert {piece.state for piece in known.pieces} == {"TRANSFERRED"}
    assert known.transferable.state == OutgoingState.SUCCESS
    sides.deliver(packets)
    came = received.show_transferable(sides.destination.database, id)
    assert (came.bytes_done, came.sha256) == (250, known.sha256)
    assert came.transferable.state == "SUCCESS"
    assert came.transferable.username is None
    with pytest.raises(NotFound):
        sent.show_transferable(sides.origin.database, NOBODY)
    with pytest.raises(NotFound):
        received.show_transferable(sides.destination.database, NOBODY)


def test_only_so_many_ranges_are_shown(sides, monkeypatch):
    monkeypatch.setattr(sent, "SHOWN_PIECES", 2)
    id = uuid.UUID(sides.submit(b"x" * 250))
    known = sent.show_transferable(sides.origin.database, id)
    assert (len(known.pieces), known.more_pieces) == (2, True)


def test_revoking_is_told_to_the_destination_once(sides):
    id = uuid.UUID(sides.submit(b"x" * 250))
    sent.revoke_transferable(sides.origin, id, "root")
    assert sides.outgoing()[str(id)].state is OutgoingState.CANCELED
    with pytest.raises(Conflict, match="CANCELED already"):
        sent.revoke_transferable(sides.origin, id, "root")
    with pytest.raises(NotFound):
        sent.revoke_transferable(sides.origin, NOBODY, "root")
    sides.deliver(sides.send())
    assert sides.incoming()[str(id)].state == "REVOKED"


def test_a_file_that_came_expires_at_once_and_its_storage_is_free(sides):
    id = sides.submit(b"x" * 250)
    sides.deliver(sides.send())
    assert sides.content(id) == b"x" * 250
    received.expire_transferable(sides.destination, uuid.UUID(id), "root")
    row = sides.incoming()[id]
    assert (row.state, row.stored, row.reason) == ("EXPIRED", False, None)
    with pytest.raises(Conflict, match="EXPIRED already"):
        received.expire_transferable(sides.destination, uuid.UUID(id), "root")
    with pytest.raises(NotFound):
        received.expire_transferable(sides.destination, NOBODY, "root")


def test_a_file_that_is_incomplete_is_given_up_and_its_storage_is_free(sides):
    id = sides.submit(b"x" * 950)
    sides.deliver(sides.send()[:1])
    assert sides.incoming()[id].state == "ONGOING"
    received.expire_transferable(sides.destination, uuid.UUID(id), "root")
    row = sides.incoming()[id]
    assert (row.state, row.stored, row.repairable) == ("ERROR", False, False)
    assert row.reason == "given up by an administrator"
    assert row.finished_at is not None


def test_files_are_found_by_the_account_they_belong_to(sides):
    id = sides.submit(b"x")
    sides.deliver(sides.send())
    carol = sides.destination.accounts.add("carol")
    assert ids(sides.destination, username="carol") == []
    with sides.destination.database.write() as session:
        session.get_one(OriginProfile, sides.user.profile).user_id = carol.id
    assert ids(sides.destination, username="carol", states=["SUCCESS"]) == [id]
    assert listed(sides.destination).rows[0].username == "carol"
