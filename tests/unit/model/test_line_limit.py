from __future__ import annotations

from eurydice_core.model.line_limit import LineLimit


def test_one_line_a_minute_for_each_kind_and_the_rest_counted() -> None:
    now = [0.0]
    limit = LineLimit(clock=lambda: now[0])
    assert limit.admit("lost")
    assert limit.admit("dropped")
    assert not any(limit.admit("lost") for _ in range(99))
    assert list(limit.withheld()) == []
    now[0] = 60.0
    assert list(limit.withheld()) == [("lost", 99)]
    assert not limit.admit("lost")  # the count was a line of this minute
    assert limit.admit("dropped")
    now[0] = 120.0
    assert list(limit.withheld()) == [("lost", 1)]
    now[0] = 300.0
    assert list(limit.withheld()) == []
