from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.destination.conditions import Validators
from eurydice_core.api.destination.ranges import Unsatisfiable, requested_ranges

FAR = 10_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=3-5", [(3, 6)]),
        ("bytes=9-9999", [(9, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-9999", [(0, 10)]),
        ("Bytes = 1 - 2", [(1, 3)]),
        ("bytes=0-1,,99-", [(0, 2)]),
    ],
)
def test_a_range_is_read_as_the_standard_says(header, expected):
    assert requested_ranges(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=5-3", "lines=0-1", "bytes=a-b", "bytes=0-1,x", "bytes=,"],
)
def test_what_cannot_be_a_range_means_the_whole_file(header):
    assert requested_ranges(header, 10) is None


def test_too_many_ranges_mean_the_whole_file():
    header = "bytes=" + ",".join(f"{i * FAR}-{i * FAR}" for i in range(101))
    assert requested_ranges(header, 200 * FAR) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=10-,20-"])
def test_bytes_beyond_the_end_cannot_be_had(header):
    with pytest.raises(Unsatisfiable):
        requested_ranges(header, 10)


def test_ranges_that_are_far_apart_come_in_the_order_that_was_asked_for():
    assert requested_ranges("bytes=5000-5001,0-1", FAR) == [(5000, 5002), (0, 2)]


def test_ranges_that_overlap_or_nearly_touch_become_one():
    assert requested_ranges("bytes=4-9,0-5,-1,20-29", FAR) == [(0, 30), (FAR - 1, FAR)]


SPECS = st.lists(st.from_regex(r"[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), min_size=1, max_size=12)


@given(specs=SPECS, size=st.integers(0, FAR))
def test_ranges_never_leave_the_file_nor_send_a_byte_twice(specs, size):
    try:
        wanted = requested_ranges("bytes=" + ",".join(specs), size)
    except Unsatisfiable:
        return
    last = 0
    for start, stop in sorted(wanted or []):
        assert last <= start < stop <= size
        last = stop


NOON = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)
VALIDATORS = Validators('"x"', NOON)
AT, BEFORE, AFTER = (
    f"Mon, 23 Nov 2026 {clock} GMT" for clock in ("12:00:00", "11:59:59", "12:00:01")
)


def test_a_file_tells_its_version_and_when_it_came():
    assert VALIDATORS.headers == {"ETag": '"x"', "Last-Modified": AT}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"if-match": '"x"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"y", "z"'}, 412),
        ({"if-match": '"x"', "if-unmodified-since": BEFORE}, None),
        ({"if-unmodified-since": AT}, None),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": "yesterday"}, None),
        ({"if-none-match": '"x"'}, 304),
        ({"if-none-match": 'W/"x"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"y"', "if-modified-since": AFTER}, None),
        ({"if-modified-since": AT}, 304),
        ({"if-modified-since": BEFORE}, None),
        ({"if-modified-since": "yesterday"}, None),
    ],
)
def test_conditions_are_heeded_as_the_standard_says(headers, status):
    assert VALIDATORS.status(headers) == status


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ("", True),
        ('"x"', True),
        ('"y"', False),
        ('W/"x"', False),
        (AT, True),
        (AFTER, False),
        ("?", False),
    ],
)
def test_a_part_is_sent_of_the_version_that_is_meant_only(condition, allowed):
    assert VALIDATORS.allow_range({"if-range": condition}) is allowed


def test_a_file_without_a_date_has_no_conditions_on_one():
    undated = Validators('"x"', None)
    assert undated.headers == {"ETag": '"x"'}
    assert undated.status({"if-modified-since": AT, "if-unmodified-since": BEFORE}) is None
    assert not undated.allow_range({"if-range": AT})
