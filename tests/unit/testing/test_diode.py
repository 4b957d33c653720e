from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_core.testing.diode import Fault, Faults, Incident, Passage, Trace
from eurydice_core.testing.diode.trace import TraceWriter

SIZE = 40
SHARES = st.floats(0, 0.4)
FAULTS = st.builds(
    Faults,
    loss=SHARES,
    duplicate=SHARES,
    reorder=SHARES,
    reorder_by=st.integers(1, 20),
    corrupt=SHARES,
    truncate=SHARES,
    burst_bytes=st.integers(0, 500),
    burst_every=st.integers(500, 5000),
    seed=st.integers(0, 2**32),
)


def datagrams(count: int, size: int = SIZE) -> list[bytes]:
    return [number.to_bytes(4, "big") + bytes(size - 4) for number in range(count)]


def cut(runs) -> list[bytes]:
    """Return single datagrams."""
    found = []
    for data, size in runs:
        assert len(data) % size == 0 if size else not data
        found += [bytes(data[at : at + size]) for at in range(0, max(1, len(data)), max(1, size))]
    return found


def passed(decider, sent: list[bytes], batches=(1,), note=None) -> list[bytes]:
    """Return what comes out, going in by batches of these sizes in turn."""
    passage = Passage(decider.decisions(), note)
    found, at, turn = [], 0, 0
    while at < len(sent):
        several = sent[at : at + batches[turn % len(batches)]]
        found += cut(passage.feed(b"".join(several), len(several[0]), 0.0))
        at += len(several)
        turn += 1
    return found + cut(passage.release())


def numbers(found: list[bytes]) -> list[int]:
    return [int.from_bytes(datagram[:4], "big") for datagram in found]


def test_diode_without_faults_changes_nothing() -> None:
    sent = datagrams(1000)
    assert passed(Faults(), sent, (44,)) == sent


def test_nothing_is_copied_where_nothing_happens() -> None:
    data = bytearray(b"".join(datagrams(44)))
    runs = Passage(Faults().decisions()).feed(data, SIZE, 0.0)
    assert [(view.obj is data, len(view)) for view, _ in runs] == [(True, len(data))]


@given(FAULTS, st.lists(st.integers(1, 60), min_size=1, max_size=5))
@settings(deadline=None)
def test_batches_do_not_change_what_happens(faults: Faults, batches: list[int]) -> None:
    sent = datagrams(300)
    assert passed(faults, sent, tuple(batches)) == passed(faults, sent)


@given(FAULTS, st.lists(st.integers(1, 60), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_recorded_run_is_replayed_exactly(faults: Faults, batches: list[int]) -> None:
    sent = datagrams(300)
    incidents: list[Incident] = []
    expected = passed(faults, sent, (7,), incidents.append)
    assert passed(Trace(incidents), sent, tuple(batches)) == expected


@given(
    st.lists(
        st.builds(
            Incident,
            at=st.integers(0, 2000),
            fault=st.sampled_from(Fault),
            amount=st.integers(1, 1000),
        ),
        max_size=20,
    )
)
@settings(deadline=None)
def test_what_a_trace_says_is_what_was_noted(tmp_path_factory, incidents: list[Incident]) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace"
    with TraceWriter(path) as writer:
        for incident in incidents:
            writer.note(incident)
    assert losses(Trace.read(path).incidents) == losses(incidents)
    kept = [incident for incident in incidents if incident.fault is not Fault.LOSE]
    assert [i for i in Trace.read(path).incidents if i.fault is not Fault.LOSE] == kept


def losses(incidents) -> list[int]:
    return sorted(
        number
        for incident in incidents
        if incident.fault is Fault.LOSE
        for number in range(incident.at, incident.at + incident.amount)
    )


def test_losses_in_a_row_are_one_line(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "trace") as writer:
        for number in range(10, 500, 10):
            writer.note(Incident(number, Fault.LOSE, 10))
        writer.note(Incident(600, Fault.CORRUPT, 3))
    assert (
        tmp_path / "trace"
    ).read_text() == '{"at": 10, "lose": 490}\n{"at": 600, "corrupt": 3}\n'


@pytest.mark.parametrize("line", ["[]", "{}", '{"at": 1}', '{"at": 1, "explode": 2}', "x"])
def test_a_line_that_is_none_of_a_trace_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "trace").write_text(line)
    with pytest.raises(ValueError):
        Trace.read(tmp_path / "trace")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 1.0])
def test_share_that_is_lost_is_what_was_asked_for(share: float, seed: int) -> None:
    count = 20_000
    passage = Passage(Faults(loss=share, seed=seed).decisions())
    passage.feed(bytes(count), 1, 0.0)
    deviation = (count * share * (1 - share)) ** 0.5
    assert abs(passage.counts["lost"] - count * share) <= 5 * deviation


def test_same_seed_same_faults_and_other_seed_others() -> None:
    sent = datagrams(2000)
    first, again, other = (passed(Faults(loss=0.1, seed=seed), sent) for seed in (1, 1, 2))
    assert first == again != other


def test_more_of_one_fault_does_not_move_the_others() -> None:
    few, many = (
        decided(Faults(loss=0.1, corrupt=corrupt, seed=3), 5000) for corrupt in (0.01, 0.3)
    )
    assert losses(few) == losses(many)


def decided(faults: Faults, count: int) -> list[Incident]:
    return faults.decisions().incidents(0, count, SIZE, 0.0)


@given(burst=st.integers(1, 5000), every=st.integers(5000, 20_000), seed=st.integers(0, 100))
@settings(deadline=None)
def test_each_burst_is_of_the_bytes_asked_for(burst: int, every: int, seed: int) -> None:
    faults = Faults(burst_bytes=burst, burst_every=every, seed=seed)
    step = SIZE + 28
    periods = 6
    incidents = decided(faults, periods * every // step)
    for incident in incidents:
        assert abs(incident.amount * step - burst) <= step
    assert len(incidents) <= periods
    if burst >= step:
        assert len(incidents) >= periods - 1


def test_everything_is_lost_in_a_cut_and_nothing_after_it() -> None:
    passage = Passage(Faults(cuts=[(1.0, 2.0)]).decisions())
    came = [
        bool(passage.feed(bytes(100), 10, elapsed)) for elapsed in (0.0, 0.99, 1.0, 1.99, 2.0, 9.0)
    ]
    assert came == [True, True, False, False, True, True]
    assert passage.counts["lost"] == 20


def test_stall_lasts_until_its_end_and_loses_nothing() -> None:
    passage = Passage(Faults(stalls=[(1.0, 2.0), (3.0, 4.0)]).decisions())
    stalls = []
    for elapsed in (0.0, 1.25, 1.5, 5.0):
        assert cut(passage.feed(bytes(100), 10, elapsed)) == [bytes(10)] * 10
        stalls.append(passage.take_stall())
    assert stalls == [0.0, 0.75, 0.0, 0.0]


@given(st.integers(1, 30), st.integers(0, 1000))
@settings(deadline=None)
def test_reordering_loses_nothing_and_goes_no_further_than_asked(by: int, seed: int) -> None:
    sent = datagrams(500)
    found = numbers(passed(Faults(reorder=0.1, reorder_by=by, seed=seed), sent, (13,)))
    assert sorted(found) == list(range(500))
    for place, number in enumerate(found):
        overtaken_by = sum(other > number for other in found[:place])
        assert overtaken_by <= by


def test_what_waits_to_be_overtaken_comes_when_nothing_does() -> None:
    passage = Passage(Trace([Incident(9, Fault.DELAY, 5)]).decisions())
    assert numbers(cut(passage.feed(b"".join(datagrams(10)), SIZE, 0.0))) == [*range(9)]
    assert numbers(cut(passage.release())) == [9]
    assert passage.release() == []


def test_damage_is_one_bit() -> None:
    sent = [random.Random(number).randbytes(SIZE) for number in range(200)]
    passage = Passage(Faults(corrupt=1.0).decisions())
    found = cut(passage.feed(b"".join(sent), SIZE, 0.0))
    for before, after in zip(sent, found, strict=True):
        turned = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
        assert turned.bit_count() == 1
    assert passage.counts["corrupted"] == 200


def test_truncated_datagrams_are_beginnings() -> None:
    sent = datagrams(200)
    found = passed(Faults(truncate=1.0), sent)
    assert all(whole.startswith(rest) for whole, rest in zip(sent, found, strict=True))
    assert all(len(rest) < SIZE for rest in found)


def test_every_datagram_may_come_twice() -> None:
    sent = datagrams(50)
    assert passed(Faults(duplicate=1.0), sent, (8,)) == [
        twice for one in sent for twice in (one, one)
    ]


def test_last_datagram_of_a_batch_may_be_shorter() -> None:
    passage = Passage(Trace([Incident(2, Fault.CORRUPT, 0)]).decisions())
    runs = passage.feed(b"aaaabbbbcc", 4, 0.0)
    assert cut(runs) == [b"aaaa", b"bbbb", b"bc"]


def test_empty_datagrams_pass() -> None:
    passage = Passage(Faults(corrupt=1.0, truncate=1.0, burst_bytes=1).decisions())
    assert cut(passage.feed(b"", 0, 0.0)) == [b""]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": 3},
        {"loss": -0.1},
        {"corrupt": 1.5},
        {"burst_bytes": 2, "burst_every": 1},
        {"reorder_by": 0},
    ],
    ids=str,
)
def test_faults_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(ValueError):
        Faults(**wrong)
