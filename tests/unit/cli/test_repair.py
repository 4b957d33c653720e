"""`eurydice repair`: what people see, carry and type."""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import uuid
from datetime import UTC, datetime

import pytest

from eurydice_core.config import load_settings
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.installation import open_installation
from eurydice_core.model.states import IncomingState, OutgoingState, RangeState, Side
from eurydice_core.protocol.repair import MAX_TICKET, Ticket, issue_ticket, read_ticket

ID = uuid.UUID("6f1c0e7a-52c8-4c5b-9e0d-3a4b5c6d7e8f")
WHEN = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
PIECE = 100
SECRET = "both sides know this, for tests only"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def typed(monkeypatch):
    """Put something on the standard input."""
    return lambda text, kind=io.StringIO: monkeypatch.setattr(sys, "stdin", kind(text))


@pytest.fixture
def side(eurydice, tmp_path):
    """Set up one side; return it, opened."""
    (tmp_path / "secret").write_text(SECRET)

    def set_up(side):
        assert eurydice("init", side, "--link-secret-file", "secret")[0] == 0
        assert eurydice("migrate")[0] == 0
        return open_installation(load_settings(tmp_path / "eurydice.toml", {}).settings)

    return set_up


@pytest.fixture
def destination(side):
    with side(Side.DESTINATION) as installation:
        yield installation


@pytest.fixture
def origin(side):
    with side(Side.ORIGIN) as installation:
        yield installation


def came(destination, extents=((300, 600),), *, id=ID, size=1050, name="report.pdf", **values):
    """Put a file where history found it incomplete."""
    with destination.database.write() as session:
        session.merge(OriginProfile(profile=b"profile1", created_at=WHEN))
        session.flush()
        session.add(
            IncomingTransferable(
                id=id,
                profile=b"profile1",
                created_at=WHEN,
                received_at=WHEN,
                name=name,
                size=size,
                piece_size=PIECE,
                bytes_received=sum(stop - start for start, stop in extents),
                **{
                    "user_provided_meta": {},
                    "state": IncomingState.ERROR,
                    "repairable": True,
                    "finished_at": WHEN,
                    **values,
                },
            )
        )
        session.flush()
        for start, stop in extents:
            session.add(ReceivedExtent(transferable_id=id, start=start, stop=stop))


def sent(origin, pieces=11):
    """Put a file where the sender has sent all of it."""
    alice = origin.accounts.add("alice")
    with origin.database.write() as session:
        session.add(
            OutgoingTransferable(
                id=ID,
                user_id=alice.id,
                created_at=WHEN,
                received_at=WHEN,
                submission_succeeded_at=WHEN,
                state_changed_at=WHEN,
                user_provided_meta={},
                piece_size=PIECE,
                size=pieces * PIECE,
                ranges_transferred=pieces,
                bytes_transferred=pieces * PIECE,
                state=OutgoingState.SUCCESS,
            )
        )
        session.flush()
        for number in range(pieces):
            session.add(
                OutgoingRange(
                    transferable_id=ID,
                    user_id=alice.id,
                    byte_offset=number * PIECE,
                    size=PIECE,
                    state=RangeState.TRANSFERRED,
                    created_at=WHEN,
                    whole=False,
                    stored=True,
                )
            )


def pending(origin):
    with origin.database.read() as session:
        rows = session.query(OutgoingRange).filter_by(state=RangeState.PENDING)
        return sorted(row.byte_offset // PIECE for row in rows)


def ticket_of(installation, *runs):
    return issue_ticket(Ticket(ID, runs), installation.repair_key)


def test_a_ticket_is_shown_with_what_it_is_about(eurydice, destination):
    came(destination)
    code, out, err = eurydice("repair", "show", ID)
    assert code == 0
    about, ticket, picture = out.split("\n\n", 2)
    assert about.splitlines() == [
        "file     report.pdf",
        f"id       {ID}",
        "size     1050 bytes (1.0 KiB)",
        "missing  750 bytes (750 B) in 8 pieces",
    ]
    assert read_ticket(ticket, destination.repair_key) == Ticket(ID, [(0, 2), (6, 10)])
    lines = picture.rstrip("\n").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set("".join(lines)) <= set(" ▀▄█")
    assert err == "carry it to the origin, and there: eurydice repair apply\n"


def test_without_its_code_a_ticket_is_text_alone(eurydice, destination):
    came(destination)
    _, out, _ = eurydice("repair", "show", ID, "--no-qr")
    assert out.isascii()
    _, out, err = eurydice("repair", "show", ID, "--json")
    assert err == ""
    facts = json.loads(out)
    assert facts.pop("ticket").startswith("ER1:6F1C0E7A52C84C5B9E0D3A4B5C6D7E8F:0-2.6-10:")
    assert facts == {
        "id": str(ID),
        "name": "report.pdf",
        "size": 1050,
        "bytes_missing": 750,
        "pieces_missing": 8,
        "pieces_in_ticket": 8,
    }


def test_a_long_ticket_is_wrapped_and_says_what_it_leaves_out(eurydice, destination):
    pieces = 3000
    odd = [(number * PIECE, (number + 1) * PIECE) for number in range(1, pieces, 2)]
    came(destination, odd, size=pieces * PIECE)
    _, out, _ = eurydice("repair", "show", ID, "--no-qr")
    about, ticket, _ = out.split("\n\n", 2)
    assert max(map(len, ticket.splitlines())) <= 72
    read = read_ticket(ticket, destination.repair_key)
    assert 800 < read.pieces < pieces // 2
    assert f"asks for {read.pieces} of them: take another one afterwards" in about


def test_a_picture_is_written(eurydice, destination, tmp_path):
    came(destination)
    assert eurydice("repair", "show", ID, "--no-qr", "--png", "ticket.png")[0] == 0
    picture = (tmp_path / "ticket.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack_from(">II", picture, 16)
    assert 700 <= width == height <= 800


def test_a_picture_that_cannot_be_written_is_one_line(eurydice, destination):
    came(destination)
    code, _, err = eurydice("repair", "show", ID, "--png", "nowhere/ticket.png")
    assert (code, err) == (
        1,
        "eurydice: error: cannot write nowhere/ticket.png: No such file or directory\n",
    )


@pytest.mark.parametrize(("columns", "shown"), [(37, True), (36, False)])
def test_a_code_that_the_terminal_would_break_is_not_shown(
    eurydice, destination, monkeypatch, columns, shown
):
    came(destination)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, err = eurydice("repair", "show", ID)
    assert ("█" in out) == shown
    assert ("needs a terminal of 37 columns, or --png FILE" in err) != shown


def test_a_name_never_steers_the_terminal(eurydice, destination):
    came(destination, name="a\x1b[2J\n\u202ebé.pdf")
    for arguments in (("show", ID, "--no-qr"), ("list",)):
        _, out, _ = eurydice("repair", *arguments)
        assert "a�[2J��bé.pdf\n" in out


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"state": IncomingState.SUCCESS, "repairable": False}, "nothing is missing"),
        ({"state": IncomingState.ONGOING, "repairable": False}, "still expected"),
        ({"repairable": False}, "cannot be repaired"),
    ],
)
def test_what_needs_no_ticket_or_can_have_none_is_said(eurydice, destination, values, why):
    came(destination, **values)
    code, out, err = eurydice("repair", "show", ID)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert why in err
    assert eurydice("repair", "list") == (0, "", "no file is incomplete\n")


def test_what_is_unknown_is_said(eurydice, destination):
    code, _, err = eurydice("repair", "show", ID)
    assert (code, err) == (1, f"eurydice: error: no transferable {ID}\n")
    assert eurydice("repair", "show", "x")[0] == 2


def test_incomplete_files_are_listed(eurydice, destination):
    alice = destination.accounts.add("alice")
    came(destination)
    other = uuid.uuid4()
    came(destination, (), id=other, name="", finished_at=WHEN.replace(hour=13))
    with destination.database.write() as session:
        session.get(OriginProfile, b"profile1").user_id = alice.id
    _, out, _ = eurydice("repair", "list")
    head, *lines = out.splitlines()
    assert head.split() == ["id", "missing", "of", "since", "user", "name"]
    assert [line.split() for line in lines] == [
        f"{ID} 750 B 1.0 KiB 2026-11-23 12:30 alice report.pdf".split(),
        f"{other} 1.0 KiB 1.0 KiB 2026-11-23 13:30 alice".split(),
    ]
    assert json.loads(eurydice("repair", "list", "--json")[1])[0] == {
        "id": str(ID),
        "name": "report.pdf",
        "username": "alice",
        "size": 1050,
        "bytes_missing": 750,
        "incomplete_since": WHEN.isoformat(),
    }


def test_a_ticket_is_an_argument_in_any_case(eurydice, origin):
    sent(origin)
    ticket = ticket_of(origin, (0, 2), (6, 6))
    assert eurydice("repair", "apply", ticket.lower()) == (
        0,
        f"queued 4 ranges (400 B) of {ID}\n",
        "",
    )
    assert pending(origin) == [0, 1, 2, 6]
    assert eurydice("repair", "apply", ticket)[1] == (
        f"all that it asks for of {ID} is queued already\n"
    )
    assert json.loads(eurydice("repair", "apply", ticket, "--json")[1]) == {
        "id": str(ID),
        "ranges": 0,
        "bytes": 0,
    }


@pytest.mark.parametrize("arguments", [(), ("-",)])
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_ticket_is_read_however_it_is_broken_into_lines(eurydice, origin, typed, kind, arguments):
    sent(origin)
    ticket = ticket_of(origin, (3, 4))
    typed(
        f"  {ticket[:20]} \r\n{ticket[20:]}\n\nwhat comes then\n"[
            : None if kind is Terminal else -17
        ],
        kind,
    )
    code, out, _ = eurydice("repair", "apply", *arguments)
    assert (code, out) == (0, f"queued 2 ranges (200 B) of {ID}\n")
    assert pending(origin) == [3, 4]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no ticket: give it as an argument or on the standard input"),
        ("hello", "not a repair ticket"),
        ("A" * 3 * MAX_TICKET, f"at most {MAX_TICKET} characters"),
    ],
)
def test_what_is_no_ticket_is_one_line(eurydice, origin, typed, text, why):
    typed(text)
    code, out, err = eurydice("repair", "apply")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert why in err


def test_a_forged_ticket_queues_nothing(eurydice, origin):
    sent(origin)
    forged = issue_ticket(Ticket(ID, [(0, 0)]), os.urandom(32))
    code, _, err = eurydice("repair", "apply", forged)
    assert code == 1
    assert "mistyped, or issued by another installation" in err
    assert pending(origin) == []


def test_the_origin_issues_no_ticket(eurydice, origin):
    for arguments in (("list",), ("show", str(ID))):
        assert eurydice("repair", *arguments) == (
            1,
            "",
            "eurydice: error: this is the origin side, and only the destination side does that\n",
        )


def test_the_destination_applies_no_ticket(eurydice, destination):
    assert eurydice("repair", "apply", ticket_of(destination, (0, 0))) == (
        1,
        "",
        "eurydice: error: this is the destination side, and only the origin side does that\n",
    )
