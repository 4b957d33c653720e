from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.api.paging import PageTokens, View
from eurydice_core.db.paging import Position
from eurydice_core.errors import InvalidRequest

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PLACES = st.builds(Position, TIMES, st.uuids())
VIEWS = st.builds(
    View,
    head=PLACES,
    oldest=PLACES,
    first=PLACES,
    last=PLACES,
    count=st.integers(0, 2**60),
    paginated_at=TIMES,
    query=st.binary(min_size=8, max_size=8),
    page=st.integers(1, 2**31),
)
TOKENS = PageTokens("a secret key of this side, for tests")


@given(view=VIEWS, step=st.integers(-1, 1))
def test_a_token_is_read_as_it_was_written(view, step):
    assert TOKENS.read(TOKENS.write(view, step)) == (view, step)


@given(view=VIEWS, position=st.integers(0), flip=st.integers(1, 63))
def test_a_token_that_was_changed_is_refused(view, position, flip):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = TOKENS.write(view, 0)
    at = position % (len(token) - 1)  # the last character has bits that mean nothing
    changed = alphabet[alphabet.index(token[at]) ^ flip]
    with pytest.raises(InvalidRequest):
        TOKENS.read(token[:at] + changed + token[at + 1 :])


@given(st.text())
def test_garbage_is_refused(text):
    with pytest.raises(InvalidRequest):
        TOKENS.read(text)


def test_another_installations_token_is_refused():
    place = Position(datetime.now(UTC), uuid.uuid4())
    view = View(
        head=place,
        oldest=place,
        first=place,
        last=place,
        count=1,
        paginated_at=place.created_at,
        query=b"12345678",
        page=1,
    )
    with pytest.raises(InvalidRequest):
        TOKENS.read(PageTokens("another secret").write(view, 0))
