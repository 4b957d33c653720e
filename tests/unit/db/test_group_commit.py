"""Whatever happens to a change or to its future, the thread of the group commit goes on."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.db.group_commit import GroupCommit
from eurydice_core.errors import DatabaseUnavailable

ERRORS = [ValueError, DatabaseUnavailable, SystemExit, KeyboardInterrupt, GeneratorExit]
MOMENTS = ["before", "during", "never"]


@contextmanager
def write():
    yield None


def held_up(group):
    """Have the thread busy; return what lets it go on."""
    entered, go = threading.Event(), threading.Event()

    def block(_session):
        entered.set()
        assert go.wait(60)

    group.submit(block)
    assert entered.wait(60)
    return go


@given(
    st.lists(
        st.tuples(st.sampled_from([None, *ERRORS]), st.sampled_from(MOMENTS)),
        min_size=1,
        max_size=70,
    )
)
def test_no_cancellation_or_exception_ends_the_thread(script):
    group = GroupCommit(write)
    go = held_up(group)
    futures = []

    def change(number, error, moment):
        def make(_session):
            if moment == "during":
                futures[number].cancel()
            if error is not None:
                raise error("wrong")
            return number

        return make

    futures += [group.submit(change(n, *entry)) for n, entry in enumerate(script)]
    canceled = {
        n for n, (_, moment) in enumerate(script) if moment == "before" and futures[n].cancel()
    }
    go.set()
    for number, future in enumerate(futures):
        if number in canceled:
            with pytest.raises(CancelledError):
                future.result(60)
            continue
        error, outage = future.exception(60), DatabaseUnavailable
        expected = script[number][0]
        if error is None:
            assert expected is None
            assert future.result() == number
        else:
            assert type(error) in (expected, outage)
    assert group.submit(lambda _session: "on").result(60) == "on"
    group.close()


def test_write_that_cannot_begin_fails_its_changes_alone():
    begins = iter([RuntimeError("no session"), None])

    @contextmanager
    def write():
        if error := next(begins):
            raise error
        yield None

    group = GroupCommit(write)
    with pytest.raises(RuntimeError):
        group.submit(lambda _session: 1).result(60)
    assert group.submit(lambda _session: 2).result(60) == 2
    group.close()


def test_change_submitted_while_it_closes_is_made():
    group = GroupCommit(write)
    go = held_up(group)
    closing = threading.Thread(target=group.close)
    closing.start()
    while group._worker is not None:  # until it takes no more
        pass
    later = group.submit(lambda _session: "later")
    go.set()
    closing.join(60)
    assert not closing.is_alive()
    assert later.result(60) == "later"
    group.close()
