"""Sending a file: what is taken, what is refused, and what stays behind when it fails."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import tracemalloc
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from eurydice_core.api.origin import upload
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.errors import StorageFull, StorageUnavailable
from eurydice_core.installation import UPLOAD_WORKERS
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RevocationReason, Side
from eurydice_core.origin import submit
from eurydice_core.origin.cutter import RangeCutter
from eurydice_core.testing.fakes.storage import MemoryStorage

MIB = 2**20


def rows(bench):
    with bench.installation.database.read() as session:
        return session.scalars(select(OutgoingTransferable)).all()


def assert_given_up(bench, reason):
    (row,) = rows(bench)
    assert row.state is OutgoingState.ERROR
    assert row.revocation_reason is reason
    assert bench.storage.keys == frozenset()


def test_an_upload_is_answered_with_the_transferable(origin):
    content = b"hello"
    response = origin.upload(content, Metadata_Name="hello.txt", metadata_foo_BAR="1")
    assert response.status_code == 201
    body = response.json()
    assert body.pop("id")
    assert body.pop("created_at").endswith("+00:00")
    assert body.pop("submission_succeeded_at").endswith("+00:00")
    assert body == {
        "name": "hello.txt",
        "sha1": hashlib.sha1(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": 5,
        "user_provided_meta": {"Metadata-Name": "hello.txt", "Metadata-Foo-Bar": "1"},
        "submission_succeeded": True,
        "state": "PENDING",
        "progress": 0,
        "bytes_transferred": 0,
        "finished_at": None,
        "speed": None,
        "estimated_finish_date": None,
    }
    (event,) = origin.events()
    assert (event.kind, event.username) == (EventKind.SUBMITTED, "alice")


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
def test_a_body_is_stored_in_ranges_and_nothing_of_it_changes(make_bench, size):
    bench = make_bench(Side.ORIGIN, upload={"range_size": "5MiB", "inline_size": 0})
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    response = bench.upload(content)
    assert response.status_code == 201
    assert response.json()["size"] == size
    with bench.installation.database.read() as session:
        ranges = session.scalars(select(OutgoingRange).order_by(OutgoingRange.byte_offset)).all()
    assert len(ranges) == max(1, -(-size // (5 * MIB)))
    stored = b"".join(b"".join(bench.storage.read(r.key)) for r in ranges if r.stored)
    assert stored == content


async def in_pieces(*pieces):
    for piece in pieces:
        yield piece


def test_a_body_of_unknown_length_is_taken(origin):
    response = origin.upload(in_pieces(b"hel", b"", b"lo"))  # httpx makes it chunked
    assert response.status_code == 201
    assert response.json()["size"] == 5


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_a_chunked_body_has_no_other_length(origin, coding):
    headers = {"Transfer-Encoding": coding, "Content-Length": "999"}
    response = origin.upload(b"hello", **headers)
    assert response.status_code == 201
    assert response.json()["size"] == 5


@pytest.mark.parametrize(
    ("announced", "content", "status"),
    [
        ("0", b"", 201),
        ("0", b"12", 400),
        ("1", b"12", 400),
        ("3", b"12", 400),
        ("2", b"12", 201),
        ("", b"12", 201),
        ("-4", b"12", 201),
        ("42", b"", 400),
    ],
)
def test_the_announced_length_must_be_the_real_one(origin, announced, content, status):
    response = origin.upload(content, **{"Content-Length": announced})
    assert response.status_code == status
    if status == 400:
        assert_given_up(origin, RevocationReason.UPLOAD_SIZE_MISMATCH)


def test_a_length_that_is_no_number_is_refused_before_anything_is_kept(origin):
    response = origin.upload(b"12", **{"Content-Length": "two"})
    assert response.status_code == 400
    assert "Content-Length" in response.json()["detail"]
    assert rows(origin) == []


def test_a_file_that_announces_too_much_is_refused_before_anything_is_kept(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"max_size": 4})
    response = bench.upload(b"12345")
    assert response.status_code == 413
    assert rows(bench) == []


def test_a_file_that_grows_too_large_is_given_up(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"max_size": 4})
    response = bench.upload(in_pieces(b"123", b"45"))
    assert response.status_code == 413
    assert_given_up(bench, RevocationReason.UNEXPECTED_EXCEPTION)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/octet-stream", 201),
        ("", 400),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/octet-stream; charset=utf-8", 201),
    ],
)
def test_only_plain_bytes_are_taken(origin, content_type, status):
    assert origin.upload(b"x", Content_Type=content_type).status_code == status


def test_nobody_uploads_without_credentials(origin):
    origin.token = ""
    assert origin.upload(b"x").status_code == 401
    assert rows(origin) == []


def test_a_name_that_is_too_long_is_refused(origin):
    response = origin.upload(b"x", Metadata_Name="n" * 256)
    assert response.status_code == 400
    assert "255" in response.json()["detail"]


class FailingStorage(MemoryStorage):
    """Fails while an object is written, as often as it is told to."""

    error: Exception | None = None

    @contextmanager
    def write(self, key):
        with super().write(key) as writer:
            if self.error is not None:
                raise self.error
            yield writer


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (StorageFull("full"), 507, RevocationReason.OBJECT_STORAGE_FULL),
        (StorageUnavailable("gone"), 503, RevocationReason.UNEXPECTED_EXCEPTION),
        (RuntimeError("a bug"), 500, RevocationReason.UNEXPECTED_EXCEPTION),
    ],
)
def test_a_storage_that_fails_fails_the_upload(make_bench, error, status, reason):
    storage = FailingStorage()
    bench = make_bench(Side.ORIGIN, shelf=storage, upload={"inline_size": 0})
    storage.error = error
    response = bench.upload(b"hello")
    assert response.status_code == status
    assert_given_up(bench, reason)
    assert [event.kind for event in bench.events()] == [EventKind.FAILED]


def upload_scope(bench, *headers):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/transferables/",
        "raw_path": b"/api/v1/transferables/",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [
            (b"authorization", f"Token {bench.token}".encode()),
            (b"content-type", b"application/octet-stream"),
            *headers,
        ],
    }


def answers(bench, scope, receive):
    """Return the status that a request gets over plain ASGI."""
    statuses = []

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    bench.asgi(scope, receive, send)
    return statuses


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]])
def test_an_upload_that_breaks_off_is_given_up(origin, headers):
    messages = iter(
        [
            {"type": "http.request", "body": b"hel", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(messages)

    answers(origin, upload_scope(origin, *headers), receive)
    assert_given_up(origin, RevocationReason.UPLOAD_INTERRUPTION)


def test_an_upload_that_stalls_is_given_up(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"idle_timeout": "10ms"})

    async def receive():
        await asyncio.Event().wait()

    assert answers(bench, upload_scope(bench), receive) == [408]
    assert_given_up(bench, RevocationReason.UPLOAD_INTERRUPTION)


def test_an_upload_that_its_user_took_back_ends_with_a_conflict(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"range_size": "5MiB"})

    async def pieces():
        yield b"x" * (5 * MIB)
        yield b"x" * (2 * MIB)
        while not (found := await asyncio.to_thread(rows, bench)):
            pass
        response = await bench.client.delete(
            f"/api/v1/transferables/{found[0].id}/",
            headers={"Authorization": f"Token {bench.token}"},
        )
        assert response.status_code == 204
        yield b"x" * (6 * MIB)

    assert bench.upload(pieces()).status_code == 409
    (row,) = rows(bench)
    assert row.state is OutgoingState.CANCELED
    assert row.revocation_reason is RevocationReason.USER_CANCELED


class Abyss(MemoryStorage):
    """Keeps nothing of what is written."""

    @contextmanager
    def write(self, key):
        class Nothing:
            def write(self, data):
                pass

        yield Nothing()


def test_an_upload_takes_little_memory_however_large_it_is(make_bench):
    bench = make_bench(Side.ORIGIN, shelf=Abyss())
    chunk = 64 * 1024

    async def pieces():
        for _ in range(64 * MIB // chunk):
            yield bytes(chunk)

    tracemalloc.start()
    try:
        assert bench.upload(pieces()).status_code == 201
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB


def test_what_a_slow_client_sends_is_not_piled_up_in_memory(make_bench, monkeypatch):
    monkeypatch.setattr(upload, "BATCH_SECONDS", 0.0)
    written = []

    class Ledger(MemoryStorage):
        @contextmanager
        def write(self, key):
            class Written:
                def write(self, data):
                    written.append(bytes(data))

            yield Written()

    bench = make_bench(Side.ORIGIN, shelf=Ledger(), upload={"inline_size": 4})

    async def pieces():
        for number in range(8):
            # One may be on its way to the storage, one may just have been received.
            assert sum(map(len, written)) >= 2 * (number - 4)
            yield b"%02d" % number

    assert bench.upload(pieces()).status_code == 201
    assert b"".join(written) == b"0001020304050607"
    assert len(written) > 2


def test_tiny_chunks_are_written_before_they_take_much_memory(make_bench, monkeypatch):
    monkeypatch.setattr(upload, "BATCH", 1000)
    bench = make_bench(Side.ORIGIN)

    async def pieces():
        for _ in range(100):
            yield b"x"

    assert bench.upload(pieces()).json()["size"] == 100
    assert len(bench.storage.keys) == 1  # too many chunks to be held, few bytes though they are


def test_paused_uploads_share_a_bounded_pool(make_bench, monkeypatch):
    count, size = 100, 256 * 1024
    monkeypatch.setattr(upload, "BATCH", size)
    monkeypatch.setattr(
        submit, "RangeCutter", lambda *given: RangeCutter(given[0], given[1], 2**16, given[3])
    )
    bench = make_bench(Side.ORIGIN)
    paused, resume = asyncio.Semaphore(0), asyncio.Event()

    async def body():
        yield b"x" * size
        yield b"y" * size
        paused.release()  # the first part is written when a third one is asked for
        await resume.wait()

    async def post():
        headers = {"Content-Type": "application/octet-stream"}
        headers["Authorization"] = f"Token {bench.token}"
        return await bench.client.post("/api/v1/transferables/", content=body(), headers=headers)

    async def all_at_once():
        uploads = [asyncio.ensure_future(post()) for _ in range(count)]
        for _ in range(count):
            await paused.acquire()
        threads = [one for one in threading.enumerate() if one.name.startswith("upload")]
        resume.set()
        return len(threads), [(await one).json() for one in uploads]

    threads, files = bench.runner.run(all_at_once())
    assert 0 < threads <= UPLOAD_WORKERS
    content = b"x" * size + b"y" * size
    assert {file["sha1"] for file in files} == {hashlib.sha1(content).hexdigest()}
    assert {file["state"] for file in files} == {"PENDING"}
