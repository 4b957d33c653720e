from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.destination.ranges import Unsatisfiable, requested_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=9-9999", (9, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-9999", (0, 10)),
        ("Bytes = 1 - 2", (1, 3)),
    ],
)
def test_a_single_range_is_read_as_the_standard_says(header, expected):
    assert requested_range({"range": header}, 10, '"x"') == expected


@pytest.mark.parametrize(
    "header", ["", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b"]
)
def test_what_cannot_be_one_range_means_the_whole_file(header):
    assert requested_range({"range": header}, 10, '"x"') is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_bytes_beyond_the_end_cannot_be_had(header):
    with pytest.raises(Unsatisfiable):
        requested_range({"range": header}, 10, '"x"')


def test_a_range_of_another_version_means_the_whole_file():
    headers = {"range": "bytes=0-1", "if-range": '"old"'}
    assert requested_range(headers, 10, '"new"') is None
    assert requested_range({**headers, "if-range": '"new"'}, 10, '"new"') == (0, 2)


@given(header=st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), size=st.integers(0))
def test_a_range_never_leaves_the_file(header, size):
    try:
        wanted = requested_range({"range": header}, size, '"x"')
    except Unsatisfiable:
        return
    if wanted is not None:
        start, stop = wanted
        assert 0 <= start < stop <= size
