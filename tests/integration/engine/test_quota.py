"""Reservations of a quota: stored and reserved bytes never exceed it, in any order of steps."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from eurydice_core.db.accounts import Accounts
from eurydice_core.db.admission import UploadReservation
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingRange
from eurydice_core.errors import QuotaExceeded
from eurydice_core.model.states import Side
from eurydice_core.origin.quota import Quota, release, reserve, usage
from eurydice_core.origin.records import StoredRange, Upload, begin_record, record_range

MIB = 2**20
LIMIT = 20 * MIB
SIZES = st.integers(min_value=0, max_value=LIMIT + MIB)


class UnderWay:
    """An upload as the test sees it: bytes that came, and bytes of them that are recorded."""

    def __init__(self, upload, room, size):
        self.upload, self.room, self.size = upload, room, size
        self.received = self.recorded = 0
        self.is_begun = False


class Reservations(RuleBasedStateMachine):
    """Uploads of one user that begin, grow, record ranges, end and are removed."""

    database: Database

    def __init__(self):
        super().__init__()
        self.account = Accounts(self.database).add(f"user-{uuid.uuid4()}")
        self.under_way = []
        self.ended = {}

    @rule(size=st.none() | SIZES)
    def begin(self, size):
        upload = Upload(account=self.account, name="", metadata={}, size=size, range_size=MIB)
        free = LIMIT - self.taken()
        quota = Quota(size=LIMIT, files=None)
        try:
            room = reserve(self.database, self.account, quota, upload.id, size)
        except QuotaExceeded:
            assert free < (1 if size is None else size)
        else:
            self.under_way.append(UnderWay(upload, room, size))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), more=st.integers(min_value=1, max_value=4 * MIB))
    def receive(self, data, more):
        one = data.draw(st.sampled_from(self.under_way))
        if one.size is not None:
            more = min(more, one.size - one.received)
        free = LIMIT - self.taken()
        try:
            one.room.cover(one.received + more)
        except QuotaExceeded:
            assert one.size is None
            assert free < more
            self.end(one)
        else:
            one.received += more

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def record(self, data):
        one = data.draw(st.sampled_from(self.under_way))
        self.record_rest(one)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data):
        one = data.draw(st.sampled_from(self.under_way))
        self.record_rest(one)
        self.end(one)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def remove(self, data):
        id = data.draw(st.sampled_from(sorted(self.ended)))
        del self.ended[id]
        with self.database.write() as session:
            session.execute(delete(OutgoingRange).where(OutgoingRange.transferable_id == id))

    def record_rest(self, one):
        size = one.received - one.recorded
        if size:
            now = datetime.now(UTC)
            with self.database.write() as session:
                if not one.is_begun:
                    begin_record(session, one.upload, now)
                stored = StoredRange(one.recorded, size, bytes(32))
                record_range(session, one.upload, stored, now, whole=False)
            one.is_begun = True
            one.recorded = one.received

    def end(self, one):
        self.under_way.remove(one)
        if one.is_begun:
            self.ended[one.upload.id] = one.recorded
        with self.database.write() as session:
            release(session, one.upload.id)

    def taken(self):
        with self.database.read() as session:
            return usage(session, self.account.id, datetime.now(UTC)).size

    @invariant()
    def quota_is_never_exceeded(self):
        here = sum(one.received for one in self.under_way) + sum(self.ended.values())
        assert here <= self.taken() <= LIMIT

    def teardown(self):
        query = select(UploadReservation.id).where(UploadReservation.user_id == self.account.id)
        with self.database.read() as session:
            held = set(session.scalars(query))
        assert held == {one.upload.id for one in self.under_way}


def test_reserved_and_stored_bytes_never_exceed_the_quota(database_url):
    database = Database(database_url(Side.ORIGIN))
    machine = type("Machine", (Reservations,), {"database": database})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=8,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        database.dispose()


def test_step_leaves_room_for_many_others(database_url):
    database = Database(database_url(Side.ORIGIN))
    try:
        account = Accounts(database).add("alice")
        quota = Quota(size=LIMIT, files=None)
        uploads = [reserve(database, account, quota, uuid.uuid4(), None) for _ in range(100)]
        with pytest.raises(QuotaExceeded):
            uploads[0].cover(LIMIT)
    finally:
        database.dispose()
