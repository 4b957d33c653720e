"""Lists, page by page, while they grow at the head and are trimmed at the tail."""

from __future__ import annotations

import uuid
from collections import namedtuple
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.model.states import IncomingState, OutgoingState, Side

LIST = "/api/v1/transferables/"
START = datetime(2024, 1, 1, 12, tzinfo=UTC)

Shelf = namedtuple("Shelf", "bench table add")


def outgoing(bench, account, number, at, **values):
    return OutgoingTransferable(
        id=uuid.uuid4(),
        user_id=account.id,
        created_at=at,
        name=f"file-{number:03}",
        user_provided_meta={},
        piece_size=1,
        received_at=at,
        state_changed_at=at,
        **{"state": OutgoingState.PENDING, **values},
    )


def incoming(bench, account, number, at, **values):
    return IncomingTransferable(
        id=uuid.uuid4(),
        profile=account.profile,
        created_at=at,
        received_at=at,
        name=f"file-{number:03}",
        user_provided_meta={},
        **{"state": IncomingState.ONGOING, **values},
    )


@pytest.fixture(params=list(Side))
def shelf(request, make_bench):
    """An API of either side, and a way to add rows to alice's list."""
    bench = make_bench(request.param)
    account = bench.installation.accounts.get("alice")
    make = outgoing if request.param is Side.ORIGIN else incoming
    if request.param is Side.DESTINATION:
        with bench.installation.database.write() as session:
            session.add(
                OriginProfile(profile=account.profile, user_id=account.id, created_at=START)
            )

    def add(*numbers, **values):
        with bench.installation.database.write() as session:
            for number in numbers:
                at = values.pop("at", None) or START + timedelta(minutes=number)
                session.add(make(bench, account, number, at, **values))

    return Shelf(bench, OutgoingTransferable if make is outgoing else IncomingTransferable, add)


def listed(shelf, **params):
    response = shelf.bench.get(LIST, params={"page_size": 12, **params})
    assert response.status_code == 200, response.text
    return response.json()


def status(shelf, **params):
    response = shelf.bench.get(LIST, params={"page_size": 12, **params})
    return response.status_code


def numbers(page):
    return [int(item["name"].removeprefix("file-")) for item in page["results"]]


def trim(shelf, keep_from):
    """Remove the oldest, up to this number."""
    with shelf.bench.installation.database.write() as session:
        limit = START + timedelta(minutes=keep_from)
        session.execute(delete(shelf.table).where(shelf.table.created_at < limit))


def descending(first, count):
    return list(range(first, first - count, -1))


def test_an_empty_list_is_one_empty_page(shelf):
    page = listed(shelf)
    assert page["results"] == []
    assert (page["count"], page["offset"], page["new_items"]) == (0, 0, False)
    assert page["pages"] == {"previous": None, "current": None, "next": None}


def test_pages_follow_each_other_while_new_items_come(shelf):
    shelf.add(*range(58))
    page = first = listed(shelf)
    seen = numbers(page)
    fresh = 100
    while page["pages"]["next"]:
        shelf.add(fresh)
        fresh += 1
        page = listed(shelf, page=page["pages"]["next"])
        seen += numbers(page)
        assert page["new_items"]
        assert page["paginated_at"] == first["paginated_at"]
        assert page["count"] == 58
    assert seen == descending(57, 58)
    assert page["offset"] == 48
    back = numbers(page)
    while page["pages"]["previous"]:
        page = listed(shelf, page=page["pages"]["previous"])
        back = numbers(page) + back
    assert back == seen
    assert numbers(listed(shelf))[0] == fresh - 1


def test_a_delta_jumps_any_number_of_pages_both_ways(shelf):
    shelf.add(*range(60))
    first = listed(shelf)
    shelf.add(100)
    far = listed(shelf, **{"from": first["pages"]["current"], "delta": 3})
    assert numbers(far) == descending(23, 12)
    assert far["offset"] == 36
    near = listed(shelf, **{"from": far["pages"]["current"], "delta": -2})
    assert numbers(near) == descending(47, 12)
    assert numbers(listed(shelf, page=near["pages"]["next"], delta=1)) == descending(23, 12)
    assert numbers(listed(shelf, page=near["pages"]["current"], delta=0)) == numbers(near)
    assert numbers(listed(shelf, **{"from": far["pages"]["current"]})) == numbers(far)


def test_pages_that_cannot_be_are_told_apart(shelf):
    shelf.add(*range(60))
    current = listed(shelf)["pages"]["current"]
    assert status(shelf, **{"from": current, "delta": 4}) == 200
    assert status(shelf, **{"from": current, "delta": 5}) == 404
    assert status(shelf, **{"from": current, "delta": -1}) == 400


@pytest.mark.parametrize(
    "params",
    [
        {"page": "TOKEN", "from": "TOKEN"},
        {"delta": "1"},
        {"page": "TOKEN", "delta": "one"},
        {"page": "TOKEN", "delta": "99999999999999999999"},
        {"page": "TOKEN", "page_size": "13"},
        {"page": "TOKEN", "name": "file"},
        {"page": "nonsense"},
        {"page": ""},
        {"page": "TOKEN", "state": "ERROR"},
    ],
)
def test_parameters_that_contradict_each_other_are_refused(shelf, params):
    shelf.add(*range(20))
    token = listed(shelf)["pages"]["current"]
    assert status(shelf, **{k: v.replace("TOKEN", token) for k, v in params.items()}) == 400


def test_a_token_is_of_no_use_to_another_user(shelf):
    shelf.add(*range(20))
    token = listed(shelf)["pages"]["current"]
    account = shelf.bench.user("bob")
    shelf.bench.sign_in("bob")
    if shelf.table is IncomingTransferable:
        with shelf.bench.installation.database.write() as session:
            row = OriginProfile(profile=account.profile, user_id=account.id, created_at=START)
            session.add(row)
    assert status(shelf, page=token) == 400
    assert listed(shelf)["count"] == 0


def test_a_page_is_refreshed_in_place(shelf):
    shelf.add(*range(60))
    first = listed(shelf)
    middle = listed(shelf, page=first["pages"]["next"])
    last = listed(shelf, **{"from": first["pages"]["current"], "delta": 4})
    shelf.add(*range(100, 130))
    for page in (first, middle, last):
        again = listed(shelf, page=page["pages"]["current"])
        assert numbers(again) == numbers(page)
        assert again["new_items"]


def test_the_states_on_a_refreshed_page_are_those_of_now(shelf):
    shelf.add(1)
    page = listed(shelf)
    with shelf.bench.installation.database.write() as session:
        row = session.scalars(select(shelf.table)).one()
        row.state = "ERROR"
    assert listed(shelf, page=page["pages"]["current"])["results"][0]["state"] == "ERROR"


def test_a_list_that_is_trimmed_loses_its_end_and_nothing_else(shelf):
    shelf.add(*range(60))
    first = listed(shelf)
    last = listed(shelf, **{"from": first["pages"]["current"], "delta": 4})
    trim(shelf, keep_from=6)
    half = listed(shelf, page=last["pages"]["current"])
    assert numbers(half) == descending(11, 6)
    assert half["count"] == 54
    trim(shelf, keep_from=12)
    assert status(shelf, page=last["pages"]["current"]) == 410
    assert status(shelf, **{"from": first["pages"]["current"], "delta": 4}) == 404
    new_last = listed(shelf, **{"from": first["pages"]["current"], "delta": 3})
    assert new_last["pages"]["next"] is None
    trim(shelf, keep_from=60)
    assert status(shelf, page=first["pages"]["current"]) == 410
    assert listed(shelf)["results"] == []


def test_rows_removed_in_the_middle_make_no_page_skip_others(shelf):
    shelf.add(*range(40))
    first = listed(shelf)
    with shelf.bench.installation.database.write() as session:
        gone = select(shelf.table.id).where(shelf.table.name.in_(["file-035", "file-030"]))
        session.execute(delete(shelf.table).where(shelf.table.id.in_(gone.scalar_subquery())))
    assert numbers(listed(shelf, page=first["pages"]["next"])) == descending(27, 12)


def test_items_of_one_instant_are_in_a_fixed_order(shelf):
    for number in range(30):
        shelf.add(number, at=START)
    page = listed(shelf)
    ids = [item["id"] for item in page["results"]]
    while page["pages"]["next"]:
        page = listed(shelf, page=page["pages"]["next"])
        ids += [item["id"] for item in page["results"]]
    assert ids == sorted(ids)
    assert len(ids) == 30
    back = listed(shelf, page=page["pages"]["previous"])
    assert [item["id"] for item in back["results"]] == ids[12:24]


@pytest.mark.parametrize(
    ("asked", "given"), [("5", 5), ("500", 100), ("0", 50), ("-3", 50), ("many", 50), ("", 50)]
)
def test_a_page_size_that_cannot_be_is_replaced(shelf, asked, given):
    shelf.add(*range(120))
    assert len(listed(shelf, page_size=asked)["results"]) == given


def test_filters_choose_and_the_count_follows(shelf):
    shelf.add(*range(5))
    shelf.add(7, state="ERROR", sha1=b"\x01" * 20)
    shelf.add(8, state="SUCCESS")
    assert numbers(listed(shelf, state=["ERROR", "SUCCESS"])) == [8, 7]
    assert listed(shelf, state="ERROR")["count"] == 1
    assert numbers(listed(shelf, name="LE-00", state="ERROR")) == [7]
    assert numbers(listed(shelf, name="%")) == []
    assert numbers(listed(shelf, sha1="01" * 20)) == [7]
    assert numbers(listed(shelf, sha1="01")) == []
    page = listed(shelf, state=["ERROR", "SUCCESS"])
    assert numbers(listed(shelf, page=page["pages"]["current"], state=["SUCCESS", "ERROR"])) == [
        8,
        7,
    ]


def test_a_time_from_an_answer_matches_its_item_in_both_directions(shelf):
    at = START + timedelta(microseconds=123456)
    shelf.add(1, at=at - timedelta(microseconds=1))
    shelf.add(2, at=at)
    shelf.add(3, at=at + timedelta(microseconds=1))
    text = listed(shelf)["results"][1]["created_at"]
    assert numbers(listed(shelf, created_after=text)) == [3, 2]
    assert numbers(listed(shelf, created_before=text)) == [2, 1]
    assert numbers(listed(shelf, created_after=text, created_before=text)) == [2]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"state": "LOST"}, {"state": ["'LOST'"]}),
        ({"created_after": "soon"}, {"created": ["ISO 8601"]}),
        ({"sha1": "abc"}, {"detail": "field sha1 malformed."}),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(shelf, params, body):
    response = shelf.bench.get(LIST, params=params)
    assert response.status_code == 400
    for field, expected in body.items():
        found = response.json()[field]
        assert (expected[0] in found[0]) if isinstance(expected, list) else found == expected


def test_nobody_lists_without_credentials(shelf):
    shelf.bench.token = ""
    assert status(shelf) == 401
