"""What keeps one user, or one stranger, from taking everything: lockout, throttle, quotas."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from eurydice_core.api.password_queue import MAX_WAITING_AT
from eurydice_core.api.threads import HASHING
from eurydice_core.db.admission import UploadReservation
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.errors import QuotaExceeded, TooManyFiles
from eurydice_core.model.states import Side
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.quota import Quota, reserve
from eurydice_core.origin.submit import Submission

ME = "/api/v1/user/me/"
FILES = "/api/v1/transferables/"
PASSWORD = "correct horse"
MIB = 2**20


def basic(username, password):
    return {
        "Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    }


def count(bench, table):
    with bench.installation.database.read() as session:
        return session.scalar(select(func.count()).select_from(table))


# Lockout


@pytest.fixture
def locking(make_bench):
    bench = make_bench(
        Side.ORIGIN,
        api={"lockout_attempts": 2, "lockout_duration": "90s"},
        auth={"plugins": ["auth_basic"], "auth_basic": {"allow_http": True}},
    )
    bench.installation.accounts.set_password("alice", PASSWORD)
    return bench


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_too_many_wrong_passwords_lock_even_the_right_one_out(locking, name):
    for _ in range(2):
        assert locking.get(ME, headers=basic(name, "wrong horse")).status_code == 401
    for password in ("wrong horse", PASSWORD):
        response = locking.get(ME, headers=basic(name, password))
        assert response.status_code == 429
        assert 85 <= int(response.headers["retry-after"]) <= 90
        assert response.json()["type"] == "urn:eurydice:passwords-locked"
        assert name not in response.text
    response = locking.get("/api/v1/user/login/", headers=basic(name, PASSWORD))
    assert response.status_code == 429


def test_a_password_that_is_remembered_is_locked_out_too(locking):
    assert locking.get(ME, headers=basic("alice", PASSWORD)).status_code == 200
    for _ in range(2):
        locking.get(ME, headers=basic("alice", "wrong horse"))
    assert locking.get(ME, headers=basic("alice", PASSWORD)).status_code == 429
    assert locking.get(ME).status_code == 200  # tokens are no passwords


def test_a_right_password_begins_the_count_anew(locking):
    for _ in range(3):
        assert locking.get(ME, headers=basic("alice", "wrong horse")).status_code == 401
        assert locking.get(ME, headers=basic("alice", PASSWORD)).status_code == 200


def test_what_a_stranger_claims_of_their_address_changes_nothing(locking):
    for number in range(3):
        headers = basic("alice", "wrong horse") | {"X-Forwarded-For": f"10.0.0.{number}"}
        locking.request("GET", ME, headers=headers)
    assert locking.get(ME, headers=basic("alice", PASSWORD)).status_code == 429


# Throttle


def test_uploads_that_come_too_often_are_refused(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"throttle_rate": "2/hour"})
    assert [bench.upload(b"x").status_code for _ in range(2)] == [201, 201]
    response = bench.upload(b"x")
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:eurydice:uploads-throttled"
    assert 1790 <= int(response.headers["retry-after"]) <= 1800
    assert bench.get(FILES).json()["count"] == 2
    bench.user("bob")
    bench.sign_in("bob")
    assert bench.upload(b"x").status_code == 201


def test_what_is_no_upload_is_not_counted(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"throttle_rate": "1/day"})
    nobody = {"Authorization": "Token x"}
    for _ in range(3):
        assert bench.upload(b"x", **nobody).status_code == 401
        assert bench.upload(b"x", Content_Type="text/plain").status_code == 415
        assert bench.get(FILES).status_code == 200
    assert bench.upload(b"x").status_code == 201


# Quotas


@pytest.fixture
def limited(make_bench):
    return make_bench(Side.ORIGIN, upload={"quota_size": "10MiB", "quota_files": 4})


def used(bench):
    return bench.get(ME).json()["quota"]


def test_users_see_their_quotas(limited):
    assert used(limited) == {
        "size_limit": 10 * MIB,
        "size_used": 0,
        "files_limit": 4,
        "files_used": 0,
    }
    limited.upload(b"x" * 1000)
    assert (used(limited)["size_used"], used(limited)["files_used"]) == (1000, 1)


def test_an_upload_that_does_not_fit_is_refused_before_it_is_read(limited):
    assert limited.upload(b"x" * 6 * MIB).status_code == 201
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    headers = {
        "authorization": f"Token {limited.token}",
        "content-type": "application/octet-stream",
        "content-length": str(6 * MIB),
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": FILES,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    limited.asgi(scope, receive, send)
    assert sent[0]["status"] == 413
    assert b"urn:eurydice:quota-exceeded" in sent[1]["body"]
    assert read == []
    assert count(limited, OutgoingTransferable) == 1
    assert count(limited, UploadReservation) == 0


def test_an_upload_of_unknown_length_ends_where_the_quota_does(limited):
    def chunks(number):
        for _ in range(number):
            yield b"x" * MIB

    async def body(number):
        for chunk in chunks(number):
            yield chunk

    headers = {"Transfer-Encoding": "chunked"}
    assert limited.upload(body(10), **headers).status_code == 201
    assert used(limited)["size_used"] == 10 * MIB
    response = limited.upload(body(1), **headers)
    assert response.status_code == 413
    limited.installation.accounts.change("alice", quota_size=15 * MIB)
    response = limited.upload(body(12), **headers)
    assert response.status_code == 413
    assert response.json()["type"] == "urn:eurydice:quota-exceeded"
    state = limited.get(FILES).json()["results"][0]["state"]
    assert state == "ERROR"
    assert count(limited, UploadReservation) == 0


def test_room_comes_back_when_data_is_removed(limited):
    limited.upload(b"x" * 9 * MIB)
    assert limited.upload(b"x" * 2 * MIB).status_code == 413
    id = limited.get(FILES).json()["results"][0]["id"]
    assert limited.delete(f"{FILES}{id}/").status_code == 204
    OriginCleaner(limited.installation).step()
    assert used(limited)["size_used"] == 0
    assert limited.upload(b"x" * 2 * MIB).status_code == 201


def test_a_days_files_are_counted(limited):
    assert [limited.upload(b"").status_code for _ in range(4)] == [201] * 4
    response = limited.upload(b"")
    assert response.status_code == 429
    assert response.json()["type"] == "urn:eurydice:too-many-files"
    assert 86390 <= int(response.headers["retry-after"]) <= 86400
    with limited.installation.database.write() as session:
        oldest = select(func.min(OutgoingTransferable.created_at)).scalar_subquery()
        session.execute(
            update(OutgoingTransferable)
            .where(OutgoingTransferable.created_at == oldest)
            .values(created_at=datetime.now(UTC) - timedelta(days=1))
            .execution_options(synchronize_session=False)
        )
    assert used(limited)["files_used"] == 3
    assert [limited.upload(b"").status_code for _ in range(2)] == [201, 429]


def test_users_may_have_quotas_of_their_own(limited):
    limited.installation.accounts.change("alice", quota_size=-1, quota_files=0)
    assert used(limited) == {
        "size_limit": None,
        "size_used": None,
        "files_limit": 0,
        "files_used": 0,
    }
    assert limited.upload(b"").status_code == 429
    limited.installation.accounts.change("alice", quota_size=-1, quota_files=-1)
    assert limited.get(ME).json() == {"username": "alice"}
    assert limited.upload(b"x" * 11 * MIB).status_code == 201
    limited.user("bob")
    limited.sign_in("bob")
    assert used(limited)["size_used"] == 0


def test_a_refused_upload_may_be_tried_again_with_its_key(limited):
    key = {"Idempotency_Key": "one"}
    assert limited.upload(b"x" * 11 * MIB, **key).status_code == 413
    limited.installation.accounts.change("alice", quota_size=-1)
    first = limited.upload(b"x" * 11 * MIB, **key)
    assert first.status_code == 201
    limited.installation.accounts.change("alice", quota_size=0)
    again = limited.upload(b"x" * 11 * MIB, **key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


@pytest.fixture
def two(limited):
    """Begin uploads of alice's, as other processes would."""
    account = limited.installation.accounts.get("alice")

    def begin(size, files=None, limit=10 * MIB):
        submission = Submission(limited.installation, account, size=size)
        submission.room = reserve(
            limited.installation.database,
            account,
            Quota(size=limit, files=files),
            submission.id,
            size,
        )
        return submission

    return begin


def test_uploads_at_once_cannot_share_the_last_of_the_room(limited, two):
    first = two(6 * MIB)
    with pytest.raises(QuotaExceeded):
        two(5 * MIB)
    first.write(b"x" * 6 * MIB)
    two(4 * MIB)
    with pytest.raises(QuotaExceeded):
        two(1)


def test_a_range_that_is_recorded_is_not_reserved_as_well(limited, two):
    range_size = limited.installation.settings.upload.range_size
    upload = two(3 * range_size, limit=4 * range_size)
    for _ in range(3):
        upload.write(b"x" * range_size)
        assert used(limited)["size_used"] == 3 * range_size
    two(range_size, limit=4 * range_size)


def test_uploads_at_once_count_as_files(two):
    two(1, files=2)
    two(1, files=2)
    with pytest.raises(TooManyFiles):
        two(1, files=2)


def test_uploads_of_unknown_length_take_room_as_they_come(limited, two):
    upload, other = two(None, limit=200 * MIB), two(None, limit=200 * MIB)
    third = two(None, limit=200 * MIB)
    third.room.cover(70 * MIB)
    with pytest.raises(QuotaExceeded):
        upload.room.cover(130 * MIB)
    upload.room.cover(64 * MIB)
    other.room.cover(60 * MIB)
    assert count(limited, UploadReservation) == 3


def test_small_uploads_fit_beside_one_of_unknown_length(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"quota_size": "100MiB"})
    received, resume = asyncio.Event(), asyncio.Event()

    async def long_body():
        for _ in range(40):
            yield b"x" * MIB
        received.set()
        await resume.wait()

    async def small_body():
        yield b"x" * 1000

    def post(body):
        headers = {"Content-Type": "application/octet-stream"}
        headers["Authorization"] = f"Token {bench.token}"
        return bench.client.post(FILES, content=body, headers=headers)

    async def all_at_once():
        long = asyncio.ensure_future(post(long_body()))
        await received.wait()
        small = [post(b"x" * 1000 if number % 2 else small_body()) for number in range(50)]
        answers = [answer.status_code for answer in await asyncio.gather(*small)]
        resume.set()
        return answers, (await long).status_code

    answers, long = bench.runner.run(all_at_once())
    assert (Counter(answers), long) == ({201: 50}, 201)
    assert used(bench)["size_used"] == 40 * MIB + 50 * 1000
    assert count(bench, UploadReservation) == 0


def test_upload_that_outgrows_the_quota_frees_its_room(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"quota_size": "3MiB"})

    async def body(size):
        for _ in range(size):
            yield b"x" * MIB

    assert bench.upload(body(4)).status_code == 413
    OriginCleaner(bench.installation).step()
    assert used(bench)["size_used"] == 0
    assert bench.upload(body(3)).status_code == 201


def test_room_of_killed_uploads_comes_back(limited, two):
    two(6 * MIB)
    alive = two(3 * limited.installation.settings.upload.range_size, limit=100 * MIB)
    alive.write(b"x" * 2 * limited.installation.settings.upload.range_size)
    cleaner = OriginCleaner(
        limited.installation, now=lambda: datetime.now(UTC) + timedelta(minutes=59)
    )
    assert cleaner.end_dead_reservations() == 0
    later = datetime.now(UTC) + timedelta(minutes=61)
    with limited.installation.database.write() as session:
        session.execute(
            update(OutgoingTransferable)
            .values(received_at=later)
            .execution_options(synchronize_session=False)
        )
    assert OriginCleaner(limited.installation, now=lambda: later).end_dead_reservations() == 1
    with limited.installation.database.read() as session:
        assert session.scalars(select(UploadReservation.id)).all() == [alive.id]
    assert count(limited, OutgoingRange) > 0


# Floods of passwords


@pytest.fixture
def flooded(make_bench, monkeypatch):
    """A side whose hashes take until `release` is set."""
    bench = make_bench(
        Side.ORIGIN,
        api={"lockout_attempts": 1000},
        auth={"plugins": ["auth_basic"], "auth_basic": {"allow_http": True}},
    )
    bench.installation.accounts.set_password("alice", PASSWORD)
    assert bench.get(ME, headers=basic("alice", PASSWORD)).status_code == 200
    bench.release = threading.Event()

    def check_slowly(username, password):
        bench.release.wait()
        return False

    monkeypatch.setattr(bench.installation.accounts, "check_password", check_slowly)
    yield bench
    bench.release.set()


def test_remembered_password_does_not_wait_behind_wrong_ones(flooded):
    async def run():
        get = flooded.client.get
        flood = [
            asyncio.create_task(get(ME, headers=basic(f"user{number}", "wrong horse")))
            for number in range(HASHING + MAX_WAITING_AT + 10)
        ]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        known = await get(ME, headers=basic("alice", PASSWORD))
        flooded.release.set()
        return known, [*await asyncio.gather(*flood)]

    known, answers = flooded.runner.run(run())
    assert known.status_code == 200
    assert Counter(answer.status_code for answer in answers) == {
        401: HASHING + MAX_WAITING_AT,
        429: 10,
    }
    busy = next(answer for answer in answers if answer.status_code == 429)
    assert busy.json()["type"] == "urn:eurydice:too-many-passwords"
    assert busy.headers["retry-after"] == "5"


@pytest.mark.parametrize("change", ["password", "deactivation"])
def test_remembered_password_ends_with_its_account(flooded, change):
    accounts = flooded.installation.accounts
    if change == "password":
        accounts.set_password("alice", "another horse")
    else:
        accounts.set_active("alice", False)
    flooded.release.set()
    assert flooded.get(ME, headers=basic("alice", PASSWORD)).status_code == 401
