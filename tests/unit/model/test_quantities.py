"""Sizes and durations as people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from eurydice_core.model.quantities import (
    Rate,
    RateLimit,
    Seconds,
    Size,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


class Kept(BaseModel):
    size: Size = 0
    wait: Seconds = 0.0
    rate: RateLimit = None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("32MiB", 2**25),
        ("500MB", 500_000_000),
        (" 1.5 KiB ", 1536),
        ("7", 7),
        (7, 7),
        ("50TiB", 50 * 2**40),
    ],
)
def test_sizes_are_read_with_binary_and_decimal_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("15min", 900), ("7days", 604800), ("1 day", 86400), ("0.5h", 1800), (3, 3.0)],
)
def test_durations_are_read_with_their_unit(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("30/second", Rate(30, 1)),
        ("30/s", Rate(30, 1)),
        (" 5 / min ", Rate(5, 60)),
        ("1000/Hour", Rate(1000, 3600)),
        ("1/d", Rate(1, 86400)),
    ],
)
def test_rates_are_read_and_written(text, rate):
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == parse_rate(rate) == rate
    assert parse_rate(None) is None


@pytest.mark.parametrize("text", ["30", "0/second", "30/month", "/s", "-1/s", "9999999/s", True])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)


@given(st.one_of(st.text(), st.booleans(), st.none(), st.binary()))
def test_anything_else_is_a_validation_error_and_nothing_worse(value):
    for field in ("size", "wait", "rate"):
        with suppress(ValidationError):
            Kept.model_validate({field: value})


@pytest.mark.parametrize("value", ["9" * 400, "9" * 400 + "MiB", "-5", "1e9", "5 lightyears"])
def test_absurd_quantities_are_refused(value):
    with pytest.raises(ValueError, match="is not a"):
        parse_size(value)
    with pytest.raises(ValueError, match="is not a"):
        parse_duration(value)


def test_formatted_for_people():
    assert [format_size(n) for n in (0, 1023, 1536, 2**30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "1.0 GiB",
    ]
    assert [format_duration(s) for s in (0.85, 12.3, 125, 7500)] == [
        "850 ms",
        "12.3 s",
        "2 min 05 s",
        "2 h 05 min",
    ]
