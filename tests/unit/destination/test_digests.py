"""A digest is right whatever came in order and whatever is read again."""

from __future__ import annotations

import hashlib
import uuid

from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.destination import digests
from eurydice_core.destination.digests import Digests


@given(data=st.binary(max_size=60), rng=st.randoms(use_true_random=False))
def test_pieces_in_any_order_give_the_digest_of_the_whole(data, rng):
    id = uuid.uuid4()
    running = Digests()
    pieces = [(start, data[start : start + 7]) for start in range(0, len(data), 7)]
    rng.shuffle(pieces)
    for offset, piece in pieces:
        running.feed(id, offset, piece)
    rest = data[running.position(id) :]
    assert running.finish(id, [rest]) == hashlib.sha256(data).digest()
    assert running.position(id) == 0


def test_more_files_at_once_than_are_carried_along_only_cost_reading_again(monkeypatch):
    monkeypatch.setattr(digests, "MAX_OPEN", 3)
    running = Digests()
    ids = [uuid.uuid4() for _ in range(5)]
    for id in ids:
        running.feed(id, 0, b"data")
    assert [running.position(id) for id in ids] == [0, 0, 4, 4, 4]
    for id in ids:
        rest = b"data!"[running.position(id) :]
        assert running.finish(id, [rest]) == hashlib.sha256(b"data!").digest()
