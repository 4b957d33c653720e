from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.filters import read_digest, read_states, read_time
from eurydice_core.api.problems import FieldInvalid
from eurydice_core.errors import InvalidRequest
from eurydice_core.model.states import OutgoingState

OFFSETS = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))


@given(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS))  # noqa: DTZ001
def test_a_time_of_an_answer_is_understood_unchanged(at):
    assert read_time(at.isoformat(), "created") == at
    assert read_time(at.isoformat().replace("+", " "), "created") == at


def test_times_may_leave_out_what_is_obvious():
    assert read_time("2024-01-02T03:04:05Z", "x") == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_time("2024-01-02", "x") == datetime(2024, 1, 2, tzinfo=UTC)
    assert read_time("", "x") is None


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "0001-01-01T00:00:00+10:00"])
def test_what_is_no_time_is_refused_under_its_field(text):
    with pytest.raises(FieldInvalid) as refused:
        read_time(text, "created")
    assert refused.value.field == "created"


def test_states_are_read_by_name():
    assert read_states(["ERROR", "", "PENDING"], OutgoingState) == ["ERROR", "PENDING"]
    with pytest.raises(FieldInvalid, match="PENDING"):
        read_states(["error"], OutgoingState)


def test_digests_are_hexadecimal():
    assert read_digest("0aFF") == b"\x0a\xff"
    assert read_digest("") is None
    with pytest.raises(InvalidRequest, match="field sha1 malformed"):
        read_digest("abc")
