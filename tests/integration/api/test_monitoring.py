"""What operators watch: figures for Prometheus, liveness, readiness."""

from __future__ import annotations

import errno
import shutil
import threading
import uuid
from collections import namedtuple
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from eurydice_core import __version__
from eurydice_core.db.facts import (
    LAST_PACKET_RECEIVED_AT,
    LAST_PACKET_SENT_AT,
    MAINTENANCE,
    set_fact,
    set_time,
)
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.db.notes import NoteKind, set_note
from eurydice_core.errors import DatabaseUnavailable, StorageError, StorageFull
from eurydice_core.interfaces.storage import HasFreeSpace
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.service_ends import record_end
from eurydice_core.testing.fakes.storage import MemoryStorage

Usage = namedtuple("Usage", "total used free")
AWAY = "203.0.113.9"


def samples(bench, **options):
    """Return what Prometheus reads: values by name and labels."""
    answer = bench.get("/metrics", **options)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def note(bench, facts):
    with bench.installation.database.write() as session:
        for name, value in facts.items():
            if isinstance(name, NoteKind):
                set_note(session, name, "service/0", value)
            else:
                (set_time if hasattr(value, "isoformat") else set_fact)(session, name, value)


def checks(bench):
    return bench.get("/readyz").json()["checks"]


def heard(bench, *, ago=timedelta()):
    """Have the receiver noted that all is well, that long ago."""
    at = utc_now() - ago
    facts = {LAST_PACKET_RECEIVED_AT: at, NoteKind.LINK: {"recorded_at": at.isoformat()}}
    note(bench, facts)


def sent(bench, *, ago=timedelta()):
    at = utc_now() - ago
    note(bench, {LAST_PACKET_SENT_AT: at, NoteKind.SENDER: {"recorded_at": at.isoformat()}})


# Figures


def test_requests_are_counted_by_route_and_status(origin):
    origin.get("/api/v1/user/me")
    origin.get("/api/v1/user/me/", headers={"Authorization": ""})
    for number in range(3):
        origin.get(f"/api/v1/transferables/{number}/")
    origin.request("BREW", "/coffee/pot")
    found = samples(origin)
    count = "eurydice_http_requests_total"
    assert found[(count, *sorted(["GET", "/api/v1/user/me/", "200"]))] == 1
    assert found[(count, *sorted(["GET", "/api/v1/user/me/", "401"]))] == 1
    assert found[(count, *sorted(["GET", "/api/v1/transferables/{id}/", "404"]))] == 3
    assert found[(count, *sorted(["other", "none", "404"]))] == 1
    seconds = "eurydice_http_request_duration_seconds_count"
    assert found[(seconds, *sorted(["GET", "/api/v1/transferables/{id}/"]))] == 3


def test_uploads_and_their_bytes_are_counted(origin):
    assert origin.upload(b"x" * 1000).status_code == 201
    assert origin.upload(b"y", Content_Type="text/plain").status_code == 415
    found = samples(origin)
    assert found["eurydice_uploads_total", "accepted"] == 1
    assert found["eurydice_uploads_total", "refused"] == 1
    assert found["eurydice_upload_bytes_total",] == 1000


def test_what_waits_is_told_by_user_and_state(origin):
    origin.upload(b"x" * 10)
    origin.upload(b"x" * 20)
    found = samples(origin)
    assert found["eurydice_queue_bytes", "alice"] == 30
    assert found["eurydice_queue_ranges", "alice"] == 2
    assert found["eurydice_queue_transferables", "PENDING", "alice"] == 2
    assert found["eurydice_queue_oldest_range_timestamp_seconds",] > 0
    assert found["eurydice_maintenance",] == 0


def test_only_so_many_users_are_named(make_bench):
    bench = make_bench(Side.ORIGIN, api={"metrics_users": 1})
    bench.upload(b"x" * 10)
    for name, size in [("bob", 20), ("carol", 5)]:
        bench.user(name)
        bench.sign_in(name)
        bench.upload(b"x" * size)
    found = samples(bench)
    assert found["eurydice_queue_bytes", "bob"] == 20
    assert found["eurydice_queue_bytes", ""] == 15
    assert found["eurydice_queue_transferables", "", "PENDING"] == 2
    assert not any("alice" in key or "carol" in key for key in found)


def test_the_senders_figures_are_told(origin):
    sent(origin)
    note(
        origin,
        {
            MAINTENANCE: True,
            NoteKind.SENDER: {
                "recorded_at": utc_now().isoformat(),
                "sender": {"packets": 7, "failures": 1},
                "transport": {"wire bytes!": 9},
            },
        },
    )
    found = samples(origin)
    assert found["eurydice_sender_packets_total",] == 7
    assert found["eurydice_sender_failures_total",] == 1
    assert found["eurydice_transport_wire_bytes__total",] == 9
    assert found["eurydice_maintenance",] == 1
    assert found["eurydice_last_packet_sent_timestamp_seconds",] > 0


def test_the_receivers_figures_are_told(destination):
    streams = {
        str(number): {
            "packets": number,
            "missing": 1,
            "last_packet_at": utc_now().isoformat(),
        }
        for number in range(9)
    }
    note(
        destination,
        {
            NoteKind.LINK: {
                "recorded_at": utc_now().isoformat(),
                "receiver": {"packets": 5, "missing": 2, "refused": 1},
                "transport": {"repaired": 3, "margin_percent": 80, "spool_bytes": 4},
                "streams": streams,
            }
        },
    )
    found = samples(destination)
    assert found["eurydice_receiver_packets_total",] == 5
    assert found["eurydice_receiver_refused_total",] == 1
    assert found["eurydice_receiver_missing",] == 2  # a late packet takes it back
    assert found["eurydice_transport_repaired_total",] == 3
    assert found["eurydice_transport_margin_percent",] == 80
    assert found["eurydice_stream_packets", "8"] == 8
    assert ("eurydice_stream_packets", "3") not in found
    assert found["eurydice_expect_packet_every_seconds",] == 300


def test_what_is_coming_is_told_by_user_and_of_strangers_together(destination):
    account = destination.installation.accounts.find("alice")
    now = utc_now()
    with destination.installation.database.write() as session:
        session.add(OriginProfile(profile=b"a" * 8, user_id=account.id, created_at=now))
        for letter in (b"b", b"c"):
            session.add(OriginProfile(profile=letter * 8, created_at=now))
        session.flush()
        for number, profile in enumerate([b"a" * 8, b"b" * 8, b"c" * 8, b"a" * 8]):
            session.add(
                IncomingTransferable(
                    id=uuid.uuid4(),
                    profile=profile,
                    created_at=now,
                    received_at=now,
                    bytes_received=10**number,
                    state=IncomingState.ERROR if number == 3 else IncomingState.ONGOING,
                    finished_at=now if number == 3 else None,
                )
            )
    found = samples(destination)
    assert found["eurydice_incoming_transferables", "alice"] == 1
    assert found["eurydice_incoming_bytes", "alice"] == 1
    assert found["eurydice_incoming_transferables", ""] == 2
    assert found["eurydice_incoming_bytes", ""] == 110
    assert found["eurydice_recent_transferables", "ERROR"] == 1


@pytest.fixture
def all_in_storage(make_bench):
    """An origin that keeps no small files in its database."""
    return make_bench(Side.ORIGIN, upload={"inline_size": 0})


def test_latencies_are_told(all_in_storage):
    origin = all_in_storage
    origin.upload(b"x")
    found = samples(origin)
    assert found["eurydice_database_transaction_seconds_count", "write"] >= 1
    assert found["eurydice_database_transaction_seconds_count", "read"] >= 1
    assert found["eurydice_storage_operation_seconds_count", "write"] == 1


def test_every_bucket_is_there_from_the_first(all_in_storage):
    origin = all_in_storage
    origin.upload(b"x")
    found = samples(origin)
    bounds = [key for key in found if key[0] == "eurydice_storage_operation_seconds_bucket"]
    assert len(bounds) == 13
    assert found["eurydice_storage_operation_seconds_bucket", "+Inf", "write"] == 1


def test_scraping_often_asks_the_database_seldom(origin, monkeypatch):
    samples(origin)
    monkeypatch.setattr(
        "eurydice_core.origin.backlog.backlog", lambda session: pytest.fail("asked again")
    )
    assert samples(origin)["eurydice_figures_known",] == 1


def test_without_a_database_what_is_known_is_told(origin, monkeypatch):
    def read():
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(origin.installation.database, "read", read)
    found = samples(origin, headers={"Authorization": ""})
    assert found["eurydice_figures_known",] == 0
    assert found["eurydice_info", __version__, "origin"] == 1


# Who may


def test_others_need_the_permission(make_bench):
    bench = make_bench(Side.ORIGIN, client_address=AWAY)
    assert bench.get("/metrics", headers={"Authorization": ""}).status_code == 401
    assert bench.get("/metrics").status_code == 403
    bench.user("prometheus", sees_metrics=True)
    bench.sign_in("prometheus")
    token = {"Authorization": f"Bearer {bench.token}"}
    assert samples(bench, headers=token)


def test_a_proxy_that_is_not_trusted_does_not_open_them(origin):
    headers = {"Authorization": "", "X-Forwarded-For": "127.0.0.1"}
    assert origin.get("/metrics", headers=headers).status_code == 401


@pytest.mark.parametrize(("user", "status"), [(AWAY, 401), ("10.1.2.3", 200)])
def test_a_trusted_proxy_tells_from_where_they_are_asked(make_bench, proxy_api, user, status):
    bench = make_bench(Side.ORIGIN, api=proxy_api | {"metrics_from": ["10.0.0.0/8"]})
    headers = {"Authorization": "", "X-Forwarded-For": user}
    assert bench.get("/metrics", headers=headers).status_code == status


# Health


def test_a_living_process_says_so_to_everybody(make_bench):
    bench = make_bench(Side.ORIGIN, client_address=AWAY)
    answer = bench.get("/healthz", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


def test_a_destination_that_hears_its_origin_is_ready(destination):
    heard(destination)
    answer = destination.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert set(answer.json()["checks"]) == {
        "database",
        "migrations",
        "storage",
        "disk",
        "link",
        "services",
    }


def test_an_origin_that_sends_is_ready(origin):
    sent(origin)
    assert origin.get("/readyz").json()["status"] == "ok"


@pytest.mark.parametrize("side", Side)
def test_a_side_whose_daemon_never_ran_is_degraded_and_answers(make_bench, side):
    answer = make_bench(side).get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "never ran" in answer.json()["checks"]["link"]["reason"]


def test_a_silent_link_is_told(destination):
    heard(destination, ago=timedelta(minutes=9))
    note(destination, {NoteKind.LINK: {"recorded_at": utc_now().isoformat()}})
    assert "no packet for 9" in checks(destination)["link"]["reason"]


def test_a_receiver_that_died_is_told(destination):
    heard(destination, ago=timedelta(minutes=2))
    answer = destination.get("/readyz")
    assert answer.status_code == 503
    assert "the receiver has noted nothing" in answer.json()["checks"]["link"]["reason"]


@pytest.mark.parametrize(("group", "status"), [("problems", "failing"), ("warnings", "degraded")])
def test_what_a_receiver_reports_of_itself_is_shown(destination, group, status):
    heard(destination)
    recorded = {"recorded_at": utc_now().isoformat(), group: {"receiver/0": ["the spool is full"]}}
    note(destination, {NoteKind.LINK: recorded})
    assert checks(destination)["link"] == {"status": status, "reason": "the spool is full"}


def test_a_service_that_ended_is_shown_with_its_reason(origin):
    sent(origin)
    for reason in ("was killed by SIGKILL", "ended: KeyError: 'x'"):
        record_end(origin.installation.settings.state_dir, "sender", reason)
    answer = origin.get("/readyz")
    assert answer.json()["status"] == "degraded"
    reason = answer.json()["checks"]["services"]["reason"]
    assert reason.startswith("sender ended 2 times within 15 min")
    assert reason.endswith("ended: KeyError: 'x'")


def test_a_sender_that_the_link_takes_nothing_from_is_told(origin):
    sent(origin, ago=timedelta(minutes=9))
    note(origin, {NoteKind.SENDER: {"recorded_at": utc_now().isoformat()}})
    assert "no packet for 9" in checks(origin)["link"]["reason"]


def test_maintenance_is_no_fault(origin):
    note(origin, {MAINTENANCE: True})
    assert checks(origin)["link"] == {
        "status": "ok",
        "reason": "maintenance: the sender is held back",
    }


class Broken(MemoryStorage):
    """A storage that cannot be used any more."""

    broken = False

    def check(self):
        if self.broken:
            raise StorageFull("no space left below /srv/data")


def test_a_storage_that_fails_makes_the_side_unready(make_bench):
    shelf = Broken()
    bench = make_bench(Side.ORIGIN, shelf=shelf)
    sent(bench)
    shelf.broken = True
    answer = bench.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert answer.json()["checks"]["storage"]["reason"] == "no space left below /srv/data"
    assert answer.json()["checks"]["database"] == {"status": "ok"}


def test_reasons_are_for_watchers_only(make_bench):
    shelf = Broken()
    bench = make_bench(Side.ORIGIN, shelf=shelf, client_address=AWAY)
    shelf.broken = True
    answer = bench.get("/readyz")
    assert answer.json()["checks"]["storage"] == {"status": "failing"}
    assert "/srv/data" not in answer.text


def test_a_database_that_is_away_makes_the_side_unready(origin, monkeypatch):
    def away(**_options):
        raise DatabaseUnavailable("the database is away")

    monkeypatch.setattr(origin.installation.database, "read", away)
    monkeypatch.setattr(origin.installation.database, "write", away)
    answer = origin.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["reason"] == "the database is away"


@pytest.mark.parametrize("side", list(Side))
def test_read_only_database_makes_the_side_unready(make_bench, side):
    bench = make_bench(side)
    engine = bench.installation.database.engine
    statement = (
        "PRAGMA query_only = ON"
        if bench.installation.database.is_sqlite
        else "SET default_transaction_read_only = on"
    )

    @event.listens_for(engine, "connect")
    def make_read_only(connection, _record):
        connection.cursor().execute(statement)
        connection.commit()

    engine.dispose()
    answer = bench.get("/readyz")
    assert answer.status_code == 503
    reason = answer.json()["checks"]["database"]["reason"]
    assert "readonly" in reason or "read-only" in reason


def test_read_only_state_dir_makes_the_side_unready(origin, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("eurydice_core.api.monitoring.checks.TemporaryFile", fail)
    answer = origin.get("/readyz")
    assert answer.status_code == 503
    assert "Read-only file system" in answer.json()["checks"]["disk"]["reason"]


def test_little_space_is_told_in_time(origin, monkeypatch):
    sent(origin)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 9, 1))
    answer = origin.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "low_space" in answer.json()["checks"]["disk"]["reason"]


def test_asking_often_checks_seldom(make_bench):
    asked = []

    class Counting(MemoryStorage):
        def check(self):
            asked.append(1)

    bench = make_bench(Side.ORIGIN, shelf=Counting())
    asked.clear()
    for _ in range(5):
        bench.get("/readyz")
    assert len(asked) == 1


def test_a_check_that_hangs_fails_alone_and_is_not_begun_again(make_bench, monkeypatch):
    monkeypatch.setattr("eurydice_core.api.monitoring.readiness.KEEP_SECONDS", 0.0)
    monkeypatch.setattr("eurydice_core.api.monitoring.readiness.LIMIT_SECONDS", 0.01)
    monkeypatch.setattr("eurydice_core.api.monitoring.cached.SHARE", 0)
    go_on, begun = threading.Event(), []

    class Hanging(MemoryStorage):
        hangs = False

        def check(self):
            if self.hangs:
                begun.append(1)
                go_on.wait(30)

    shelf = Hanging()
    bench = make_bench(Side.ORIGIN, shelf=shelf)
    shelf.hangs = True
    try:
        for _ in range(2):
            assert checks(bench)["storage"]["reason"] == "no answer within 0.01 s"
        assert begun == [1]
    finally:
        go_on.set()


def test_errors_of_free_space_do_not_spoil_the_figures(make_bench):
    class Unsure(MemoryStorage, HasFreeSpace):
        def free_space(self):
            raise StorageError("who knows")

    bench = make_bench(Side.ORIGIN, shelf=Unsure())
    found = samples(bench)
    assert ("eurydice_storage_free_bytes",) not in found
    assert checks(bench)["storage_space"]["reason"] == "who knows"
