"""Rows are found by thousands of values at once, of every kind that identifies something."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, func, select

from eurydice_core.db.among import among
from eurydice_core.db.outgoing import OutgoingClaim

MANY = 70_000
"""More than the parameters of a statement, in every database."""


def test_numbers_beyond_what_a_statement_has_parameters_for(database):
    with database.write() as session:
        session.add_all(
            OutgoingClaim(range_id=number, sender=uuid.UUID(int=7)) for number in (1, MANY)
        )
        wanted = among(session, OutgoingClaim.range_id, range(2, MANY + 1))
        assert session.scalars(select(OutgoingClaim.range_id).where(wanted)).all() == [MANY]


def test_identifiers(database):
    one, other, stranger = (uuid.uuid4() for _ in range(3))
    with database.write() as session:
        for number, sender in enumerate([one, other, stranger]):
            session.add(OutgoingClaim(range_id=number, sender=sender))
        session.flush()
        session.execute(
            delete(OutgoingClaim).where(among(session, OutgoingClaim.sender, {one, other}))
        )
        assert session.scalars(select(OutgoingClaim.sender)).all() == [stranger]


def test_nothing_is_among_nothing(database):
    with database.write() as session:
        session.add(OutgoingClaim(range_id=1, sender=uuid.uuid4()))
        nothing = among(session, OutgoingClaim.range_id, [])
        assert session.scalar(select(func.count()).where(nothing)) == 0
