"""Tickets say what they say, to those who share the key, and nothing else passes for one."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.errors import InvalidRequest
from eurydice_core.protocol.repair import MAX_TICKET, Ticket, issue_ticket, read_ticket

KEY = bytes(range(32))
ID = uuid.UUID("6f1c0e7a-52c8-4c5b-9e0d-3a4b5c6d7e8f")


@st.composite
def tickets(draw):
    lengths = draw(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 90)), min_size=1))
    runs, here = [], 0
    for gap, length in lengths:
        runs.append((here + gap, here + gap + length - 1))
        here += gap + length
    return Ticket(draw(st.uuids()), runs)


@given(tickets())
def test_reading_gives_what_was_issued(ticket):
    assert read_ticket(issue_ticket(ticket, KEY), KEY) == ticket


def test_it_is_readable_and_fits_a_qr_code_in_its_frugal_mode():
    text = issue_ticket(Ticket(ID, [(0, 3), (17, 17)]), KEY)
    assert text.startswith("ER1:6F1C0E7A52C84C5B9E0D3A4B5C6D7E8F:0-3.17:")
    assert set(text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


def test_case_spaces_and_line_ends_are_forgiven():
    text = issue_ticket(Ticket(ID, [(0, 3)]), KEY)
    typed = "\n ".join([text[:20].lower(), text[20:40], text[40:]]) + "\r\n"
    assert read_ticket(typed, KEY) == Ticket(ID, [(0, 3)])


def test_more_than_fits_is_left_to_a_later_ticket():
    ticket = Ticket(ID, [(n * 10, n * 10) for n in range(5000)])
    text = issue_ticket(ticket, KEY)
    assert len(text) <= MAX_TICKET
    read = read_ticket(text, KEY)
    assert read.runs == ticket.runs[: len(read.runs)]
    assert len(read.runs) > 500


def test_ten_gigabytes_with_half_a_percent_lost_is_short():
    pieces = 10 * 10**9 // (8 * 2**20)
    ticket = Ticket(ID, [(n, n) for n in range(0, pieces, 200)])
    assert len(issue_ticket(ticket, KEY)) < 100


@given(st.integers(0, 60), st.sampled_from("0123456789ABCDEF:.-"))
def test_any_changed_character_is_refused(position, character):
    text = issue_ticket(Ticket(ID, [(0, 3), (17, 17)]), KEY)
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(InvalidRequest):
            read_ticket(changed, KEY)


@given(st.text())
def test_noise_is_refused_with_our_own_error(text):
    with suppress(InvalidRequest):
        pytest.fail(str(read_ticket(text, KEY)))


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "not a repair ticket"), ("x" * 10_000, "at most 4000"), ("ER1:٣:0:A", "not a repair")],
)
def test_refusals_say_why(text, says):
    with pytest.raises(InvalidRequest, match=says):
        read_ticket(text, KEY)


def test_another_installations_ticket_is_refused():
    with pytest.raises(InvalidRequest, match="another installation"):
        read_ticket(issue_ticket(Ticket(ID, [(0, 0)]), bytes(32)), KEY)
