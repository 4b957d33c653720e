"""Extents are sets of bytes, kept short."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.destination.extents import covered, covers, merged, missing

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=12,
)


def as_set(extents):
    return {byte for start, stop in extents for byte in range(start, stop)}


@given(stretches)
def test_merging_keeps_every_byte_and_as_few_stretches_as_can_be(extents):
    result = merged(extents)
    assert as_set(result) == as_set(extents)
    assert all(a[1] < b[0] for a, b in pairwise(result))
    assert covered(result) == len(as_set(extents))


@given(stretches, st.integers(0, 60), st.integers(0, 20))
def test_covers_tells_whether_all_bytes_are_there(extents, start, length):
    wanted = set(range(start, start + length))
    assert covers(merged(extents), start, start + length) == (wanted <= as_set(extents))


@given(stretches)
def test_what_is_missing_is_the_rest_of_the_file(extents):
    here = merged(extents)
    gaps = missing(here, 90)
    assert as_set(gaps) == set(range(90)) - as_set(here)
    assert all(start < stop for start, stop in gaps)
