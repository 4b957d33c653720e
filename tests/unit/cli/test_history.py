"""`eurydice history`: endings, told again when somebody asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eurydice_core.config import load_settings
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.installation import open_installation
from eurydice_core.model.states import OutgoingState


@pytest.fixture
def origin(eurydice, tmp_path):
    eurydice("init", "origin")
    eurydice("migrate")
    settings = load_settings(tmp_path / "eurydice.toml", {}).settings
    with open_installation(settings) as installation:
        yield installation


@pytest.fixture
def ended(origin):
    """Let files have ended so many days ago; return which of them are to be told now."""
    alice = origin.accounts.add("alice")
    now = datetime.now(UTC)

    def end(*days, state=OutgoingState.SUCCESS):
        with origin.database.write() as session:
            for ago in days:
                when = now - timedelta(days=ago)
                session.add(
                    OutgoingTransferable(
                        user_id=alice.id,
                        name=f"{ago}",
                        created_at=when,
                        received_at=when,
                        state_changed_at=when,
                        user_provided_meta={},
                        piece_size=100,
                        state=state,
                    )
                )

    return end


def due(origin):
    with origin.database.read() as session:
        rows = session.query(OutgoingTransferable).filter(
            OutgoingTransferable.announce_at.is_not(None)
        )
        return sorted(int(row.name) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), [0, 3, 6]),
        (("--duration", "4days"), [0, 3]),
        (("--duration", "30 days"), [0, 3, 6, 9]),
        (("--duration", "9999999 days"), [0, 3, 6, 9]),
    ],
)
def test_the_endings_of_a_time_are_told_again(eurydice, origin, ended, arguments, told):
    ended(0, 3, 6, 9)
    ended(1, state=OutgoingState.ONGOING)
    assert eurydice("history", "send", *arguments) == (
        0,
        f"{len(told)} endings queued for the running sender, up to 500 in a packet\n",
        "",
    )
    assert due(origin) == told


def test_nothing_ended_nothing_is_told(eurydice, origin):
    assert eurydice("history", "send")[1].startswith("0 endings queued")


def test_nonsense_is_no_duration(eurydice, origin):
    code, _, err = eurydice("history", "send", "--duration", "for ever")
    assert code == 2
    assert "is not a duration" in err


def test_only_the_origin_has_something_to_tell(eurydice):
    eurydice("init", "destination")
    eurydice("migrate")
    assert eurydice("history", "send") == (
        1,
        "",
        "eurydice: error: this is the destination side, and only the origin side does that\n",
    )
