"""What users of the destination see of the files that came, and do with them."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import uuid
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from types import SimpleNamespace

import pytest
from loguru import logger

from eurydice_core.api.destination import download as download_module
from eurydice_core.api.destination import source
from eurydice_core.db.facts import LAST_PACKET_RECEIVED_AT, set_time
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.destination import deliver
from eurydice_core.destination.purge import purgeable
from eurydice_core.errors import ObjectMissing, StorageUnavailable
from eurydice_core.interfaces.storage import HasPresignedUrl
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.protocol.association import issue_words
from eurydice_core.testing.fakes.storage import MemoryStorage

LIST = "/api/v1/transferables/"
ASSOCIATION = "/api/v1/user/association/"
NOW = datetime.now(UTC)
PROFILE = b"profile1"
CONTENT = b"what the file says"


def words(bench, profile=PROFILE, *, expires_in=timedelta(minutes=5), key=None):
    key = key or bench.installation.association_key
    return issue_words(profile, datetime.now(UTC) + expires_in, key)


def associate(bench, token):
    return bench.post(ASSOCIATION, json={"token": token})


@pytest.fixture(params=["memory", "files"])
def bench(request, make_bench, tmp_path):
    """The destination with alice associated, over a storage without and with local files."""
    tables = {"storage": {"plugin": "storage_fs", "root": str(tmp_path / "data")}}
    if request.param == "files":
        (tmp_path / "data").mkdir()
    bench = make_bench(Side.DESTINATION, **(tables if request.param == "files" else {}))
    assert associate(bench, words(bench)).status_code == 204
    return bench


def received(bench, state=IncomingState.SUCCESS, content=CONTENT, profile=PROFILE, **values):
    """Put a file where the receiver would have put it."""
    ongoing = state is IncomingState.ONGOING
    row = IncomingTransferable(
        id=uuid.uuid4(),
        profile=profile,
        created_at=NOW,
        received_at=NOW,
        state=state,
        size=len(content),
        bytes_received=len(content),
        sha1=hashlib.sha1(content).digest(),
        sha256=hashlib.sha256(content).digest(),
        finished_at=None if ongoing else NOW,
        stored=state is IncomingState.SUCCESS,
        **{"name": "report.txt", "user_provided_meta": {}, **values},
    )
    if row.stored:
        with bench.storage.write(row.key) as writer:
            writer.write(content)
    with bench.installation.database.write() as session:
        session.add(row)
    return row


@pytest.fixture
def logged():
    """Return a function that gives the log until now."""
    lines = []
    handler = logger.add(lines.append, format="{message}{exception}", backtrace=False)
    yield lambda: "".join(lines)
    logger.remove(handler)


def download_scope(bench, row):
    """Return the ASGI scope of a download."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"{LIST}{row.id}/download/",
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [(b"authorization", f"Token {bench.token}".encode())],
    }


def is_broken_off(bench, row):
    """Download a file; return whether the response began and never ended."""
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    bench.asgi(download_scope(bench, row), receive, send)
    assert sent[0]["status"] == 200
    return all(message["more_body"] for message in sent[1:])


def download(bench, row, **options):
    return bench.get(f"{LIST}{row.id}/download/", **options)


def test_a_file_is_shown(bench):
    row = received(bench, user_provided_meta={"Metadata-Name": "report.txt"})
    assert bench.get(f"{LIST}{row.id}/").json() == {
        "id": str(row.id),
        "created_at": NOW.isoformat(),
        "name": "report.txt",
        "sha1": hashlib.sha1(CONTENT).hexdigest(),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size": len(CONTENT),
        "user_provided_meta": {"Metadata-Name": "report.txt"},
        "state": "SUCCESS",
        "progress": 100,
        "finished_at": NOW.isoformat(),
        "expires_at": (NOW + timedelta(days=7)).isoformat(),
        "bytes_received": len(CONTENT),
    }


def test_only_a_file_that_can_be_fetched_expires(bench):
    for state in IncomingState:
        row = received(bench, state)
        expires_at = bench.get(f"{LIST}{row.id}/").json()["expires_at"]
        assert (expires_at is not None) == (state is IncomingState.SUCCESS)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", ""])
def test_a_download_is_the_file_and_says_what_it_is(bench, accept):
    row = received(bench, user_provided_meta={"Metadata-Name": "report.txt", "Metadata-A": "é"})
    response = download(bench, row, headers={"Accept": accept})
    assert response.status_code == 200
    assert response.content == CONTENT
    sha256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    expected = {
        "content-type": "application/octet-stream",
        "content-length": str(len(CONTENT)),
        "content-disposition": 'attachment; filename="report.txt"',
        "digest": "SHA=" + base64.b64encode(hashlib.sha1(CONTENT).digest()).decode(),
        "repr-digest": f"sha-256=:{sha256}:",
        "metadata-name": "report.txt",
        "authenticated-user": "alice",
    }
    assert {name: response.headers[name] for name in expected} == expected
    assert (b"metadata-a", "é".encode()) in response.headers.raw
    (event,) = bench.events()
    assert (event.kind, event.username) == (EventKind.DELIVERED, "alice")


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 12000])
def test_downloads_of_any_size_are_whole(bench, content):
    assert download(bench, received(bench, content=content)).content == content


def test_a_file_without_name_is_called_by_its_id(bench):
    row = received(bench, name="")
    disposition = download(bench, row).headers["content-disposition"]
    assert disposition == f'attachment; filename="{row.id}"'


def test_head_tells_of_a_download_without_delivering(bench):
    row = received(bench)
    response = bench.request("HEAD", f"{LIST}{row.id}/download/")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(CONTENT))
    assert bench.events() == []


def test_a_download_that_broke_off_is_continued(bench):
    row = received(bench)
    etag = download(bench, row).headers["etag"]
    response = download(bench, row, headers={"Range": "bytes=5-", "If-Range": etag})
    assert (response.status_code, response.content) == (206, CONTENT[5:])
    assert response.headers["content-range"] == f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert download(bench, row, headers={"Range": "bytes=99-"}).status_code == 416


def test_several_parts_come_in_one_answer(bench):
    content = bytes(range(256)) * 40
    row = received(bench, content=content)
    response = download(bench, row, headers={"Range": "bytes=10000-,0-9,99999-"})
    assert response.status_code == 206
    assert int(response.headers["content-length"]) == len(response.content)
    kind = response.headers["content-type"]
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + response.content)
    assert message.get_content_type() == "multipart/byteranges"
    parts = [
        (part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()
    ]
    size = len(content)
    assert parts == [
        (f"bytes 10000-{size - 1}/{size}", content[10000:]),
        (f"bytes 0-9/{size}", content[:10]),
    ]
    assert "content-range" not in response.headers
    assert [event.kind for event in bench.events()] == [EventKind.DELIVERED]


def test_what_a_client_has_already_is_not_sent_again(bench):
    row = received(bench)
    first = download(bench, row)
    for name, header in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        response = download(bench, row, headers={header: first.headers[name]})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == first.headers["etag"]


def test_a_download_of_another_version_is_refused(bench):
    response = download(bench, received(bench), headers={"If-Match": '"old"'})
    assert response.status_code == 412
    assert response.headers["content-type"] == "application/problem+json"


def test_bytes_that_are_not_there_are_refused(bench):
    response = download(bench, received(bench), headers={"Range": "bytes=99-"})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"


def test_head_tells_of_the_whole_file_whatever_part_it_asks_for(bench):
    row = received(bench)
    headers = {"Range": "bytes=0-1"}
    response = bench.request("HEAD", f"{LIST}{row.id}/download/", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-length"] == str(len(CONTENT))


def test_a_file_is_delivered_with_its_last_part(bench):
    row = received(bench)
    for part in ("bytes=0-3", "bytes=4-8", "bytes=9-"):
        assert download(bench, row, headers={"Range": part}).status_code == 206
    assert [event.kind for event in bench.events()] == [EventKind.DELIVERED]


class ShortOfBreath(MemoryStorage):
    """Stops reading before the end."""

    def read(self, key, start=0, stop=None):
        yield b"".join(super().read(key, start, stop))[:-1]


def test_a_download_that_cannot_go_on_is_broken_off_and_not_delivered(make_bench):
    bench = make_bench(Side.DESTINATION, shelf=ShortOfBreath())
    associate(bench, words(bench))
    row = received(bench)
    assert is_broken_off(bench, row)
    assert bench.events() == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET])
@pytest.mark.parametrize("kind", ["file", "object"])
def test_failed_read_of_storage_is_no_client_that_left(
    make_bench, tmp_path, monkeypatch, logged, kind, number
):
    def fail(*_):
        raise OSError(number, os.strerror(number), "/srv/secret/path")

    class Failing(MemoryStorage):
        def read(self, key, start=0, stop=None):
            yield b"what"
            fail()

    if kind == "file":
        (tmp_path / "data").mkdir()
        monkeypatch.setattr(source._LocalFile, "read", with_failing_file(fail))
        table = {"plugin": "storage_fs", "root": str(tmp_path / "data")}
        bench = make_bench(Side.DESTINATION, storage=table)
    else:
        bench = make_bench(Side.DESTINATION, shelf=Failing())
    associate(bench, words(bench))
    row = received(bench)
    assert is_broken_off(bench, row)
    text = logged()
    plugin = {"file": "storage_fs", "object": "shelf"}[kind]
    assert f"{plugin}: the download of {row.key} is broken off: cannot read a stored file" in text
    assert os.strerror(number) in text
    assert "/srv/secret" not in text
    assert "went away" not in text
    assert "bug" not in text
    assert bench.events() == []
    assert 'eurydice_downloads_total{outcome="failed"} 1' in bench.get("/metrics").text


def with_failing_file(fail):
    """Return a `read` of `_LocalFile` whose file fails."""
    read = source._LocalFile.read

    def failing(self):
        self._file.close()
        self._file = SimpleNamespace(read=fail, close=lambda: None)
        return read(self)

    return failing


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_file_that_cannot_be_opened_is_a_storage_failure(
    make_bench, tmp_path, monkeypatch, logged, number
):
    (tmp_path / "data").mkdir()
    bench = make_bench(
        Side.DESTINATION, storage={"plugin": "storage_fs", "root": str(tmp_path / "data")}
    )
    associate(bench, words(bench))
    row = received(bench)

    def fail(*_):
        raise OSError(number, os.strerror(number), "/srv/secret/path")

    monkeypatch.setattr(source, "_LocalFile", fail)
    response = download(bench, row)
    assert response.status_code == 500
    assert response.json()["type"] == "urn:eurydice:storage-error"
    assert "/srv/secret" not in response.text + logged()
    assert bench.get(f"{LIST}{row.id}/").json()["state"] == "SUCCESS"


def test_client_that_takes_nothing_is_said_to_have_stalled(bench, monkeypatch, logged):
    monkeypatch.setattr(download_module, "STALLED_SECONDS", 0.01)
    row = received(bench)

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    bench.asgi(download_scope(bench, row), receive, send)
    assert "took nothing of a download" in logged()
    assert bench.events() == []


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (IncomingState.ONGOING, 409),
        (IncomingState.ERROR, 403),
        (IncomingState.EXPIRED, 410),
        (IncomingState.REVOKED, 410),
        (IncomingState.REMOVED, 410),
    ],
)
def test_what_is_not_there_cannot_be_fetched(bench, state, status):
    response = download(bench, received(bench, state), headers={"Accept": "text/html"})
    assert response.status_code == status
    assert response.json()["detail"]


def test_a_file_whose_data_vanished_becomes_an_error(bench):
    row = received(bench)
    bench.storage.delete([row.key])
    assert download(bench, row).status_code == 500
    assert bench.get(f"{LIST}{row.id}/").json()["state"] == "ERROR"
    assert download(bench, row).status_code == 403


def test_a_file_whose_data_is_cut_short_is_never_delivered(bench):
    row = received(bench)
    with bench.storage.write(row.key) as writer:
        writer.write(CONTENT[:-1])
    assert download(bench, row).status_code == 500
    assert bench.get(f"{LIST}{row.id}/").json()["state"] == "ERROR"


def test_a_file_is_deleted_once(bench):
    row = received(bench)
    assert bench.delete(f"{LIST}{row.id}/").status_code == 204
    assert bench.get(f"{LIST}{row.id}/").json()["state"] == "REMOVED"
    with pytest.raises(Exception, match="no object"):
        bench.storage.size(row.key)
    assert bench.delete(f"{LIST}{row.id}/").status_code == 409
    assert [event.kind for event in bench.events()] == [EventKind.DELETED]


@pytest.mark.parametrize("state", sorted(set(IncomingState) - {IncomingState.SUCCESS}))
def test_what_is_not_there_cannot_be_deleted(bench, state):
    assert bench.delete(f"{LIST}{received(bench, state).id}/").status_code == 409


def test_many_files_are_deleted_in_few_transactions(bench, monkeypatch):
    rows = [received(bench) for _ in range(30)]
    other = received(bench, profile=PROFILE, state=IncomingState.ERROR)
    monkeypatch.setattr(deliver, "BATCH", 20)
    writes = []
    write = bench.installation.database.write
    monkeypatch.setattr(
        bench.installation.database, "write", lambda **more: writes.append(1) or write(**more)
    )
    assert bench.delete(LIST).json() == "30 fichiers supprimés."
    assert len(writes) == 3  # the states, and two batches
    with bench.installation.database.read() as session:
        for row in rows:
            found = session.get(IncomingTransferable, row.id)
            assert (found.state, found.stored) == (IncomingState.REMOVED, False)
            with pytest.raises(ObjectMissing):
                bench.storage.size(row.key)
        assert session.get(IncomingTransferable, other.id).state is IncomingState.ERROR


def test_storage_that_is_away_is_freed_later(bench, monkeypatch):
    rows = [received(bench) for _ in range(3)]

    def away(_keys):
        raise StorageUnavailable("away")

    monkeypatch.setattr(bench.storage, "delete", away)
    assert bench.delete(LIST).status_code == 200
    with bench.installation.database.read() as session:
        assert all(session.get(IncomingTransferable, row.id).stored for row in rows)
    monkeypatch.undo()
    assert len(purgeable(bench.installation, 10)) == 3


@pytest.mark.parametrize("path", [LIST, f"{LIST}delete/", f"{LIST}delete"])
def test_everything_is_deleted_at_once(bench, path):
    kept = received(bench, IncomingState.ERROR)
    counts = []
    for number in (0, 1, 2):
        for _ in range(number):
            received(bench)
        response = bench.delete(path)
        assert response.status_code == 200
        counts.append(response.json())
    assert counts == [
        "Aucun fichier à supprimer.",
        "1 fichier supprimé.",
        "2 fichiers supprimés.",
    ]
    assert bench.get(f"{LIST}{kept.id}/").json()["state"] == "ERROR"


def test_files_of_others_do_not_exist(bench):
    mine, theirs = received(bench), None
    with bench.installation.database.write() as session:
        session.add(OriginProfile(profile=b"another1", created_at=NOW))
    theirs = received(bench, profile=b"another1")
    assert bench.get(LIST).json()["count"] == 1
    for request in (bench.get, bench.delete):
        assert request(f"{LIST}{theirs.id}/").status_code == 404
    assert download(bench, theirs).status_code == 404
    bench.delete(LIST)
    assert bench.storage.size(theirs.key) == len(CONTENT)
    assert bench.get(f"{LIST}{mine.id}/").json()["state"] == "REMOVED"


@pytest.mark.parametrize("id", ["6f1c0e7a-52c8-4c5b-9e0d-3a4b5c6d7e8f", "nothing"])
def test_what_is_no_transferable_is_not_found(bench, id):
    for path in (f"{LIST}{id}/", f"{LIST}{id}/download/"):
        assert bench.get(path).status_code == 404
    assert bench.delete(f"{LIST}{id}/").status_code == 404


def test_files_are_found_by_when_they_ended(bench):
    row = received(bench)
    received(bench, IncomingState.ONGOING)
    for bound in ("finished_after", "finished_before"):
        found = bench.get(LIST, params={bound: NOW.isoformat()}).json()
        assert [item["id"] for item in found["results"]] == [str(row.id)]


def test_every_route_of_files_needs_an_association(destination):
    id = uuid.uuid4()
    answers = [
        destination.get(LIST),
        destination.delete(LIST),
        destination.delete(f"{LIST}delete/"),
        destination.get(f"{LIST}{id}/"),
        destination.delete(f"{LIST}{id}/"),
        destination.get(f"{LIST}{id}/download/"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert "associat" in answers[0].json()["detail"]
    assert all(answer.headers["authenticated-user"] == "alice" for answer in answers)
    destination.token = ""
    assert destination.get(f"{LIST}{id}/download/").status_code == 401


def test_association_shows_what_came_before_it(destination):
    with destination.installation.database.write() as session:
        session.add(OriginProfile(profile=PROFILE, created_at=NOW))
    received(destination)
    response = associate(destination, words(destination))
    assert (response.status_code, response.content) == (204, b"")
    assert destination.get(LIST).json()["count"] == 1


def test_accounts_are_associated_one_to_one(destination):
    assert associate(destination, words(destination)).status_code == 204
    assert associate(destination, words(destination)).status_code == 409
    assert associate(destination, words(destination, b"another1")).status_code == 409
    destination.user("bob")
    destination.sign_in("bob")
    assert associate(destination, words(destination)).status_code == 409
    assert associate(destination, words(destination, b"another1")).status_code == 204


def test_words_that_prove_nothing_are_refused_each_for_its_reason(destination):
    bad = [
        "nonsense",
        words(destination, key=b"x" * 32),
        words(destination, expires_in=timedelta(seconds=-2)),
        "...!",
    ]
    reasons = set()
    for token in bad:
        response = associate(destination, token)
        assert response.status_code == 400
        assert isinstance(response.json()["token"], str)
        reasons.add(response.json()["token"])
    assert len(reasons) == len(bad)


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": "  "}, {"token": 5}])
def test_words_that_are_missing_are_asked_for(destination, body):
    response = destination.post(ASSOCIATION, json=body)
    assert response.status_code == 400
    assert isinstance(response.json()["token"], list)


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60000, "application/json", 400),
        (b" " * 70000, "application/json", 400),
        (b"token=x", "application/x-www-form-urlencoded", 415),
    ],
)
def test_bodies_that_are_no_json_object_are_refused(destination, content, content_type, status):
    headers = {"Content-Type": content_type}
    assert destination.post(ASSOCIATION, content=content, headers=headers).status_code == status


def test_the_status_tells_when_something_last_came(destination):
    assert destination.get("/api/v1/status/").json() == {"last_packet_received_at": None}
    with destination.installation.database.write() as session:
        set_time(session, LAST_PACKET_RECEIVED_AT, NOW)
    body = destination.get("/api/v1/status/").json()
    assert body == {"last_packet_received_at": NOW.isoformat()}


def test_figures_count_everybodys_files(bench):
    old = NOW - timedelta(minutes=61)
    for state in IncomingState:
        received(bench, state)
        if state is not IncomingState.ONGOING:
            earlier = received(bench, state)
            with bench.installation.database.write() as session:
                session.get_one(IncomingTransferable, earlier.id).finished_at = old
    assert bench.get("/api/v1/metrics/").status_code == 403
    bench.user("chief", sees_metrics=True)
    bench.sign_in("chief")
    assert bench.get("/api/v1/metrics/").json() == {
        "ongoing_transferables": 1,
        "recent_successes": 3,
        "recent_errors": 1,
        "last_packet_received_at": None,
    }


def test_figures_look_back_as_far_as_is_set(make_bench):
    bench = make_bench(Side.DESTINATION, api={"metrics_window": "2h"})
    associate(bench, words(bench))
    old = NOW - timedelta(minutes=61)
    row = received(bench, IncomingState.ERROR)
    with bench.installation.database.write() as session:
        session.get_one(IncomingTransferable, row.id).finished_at = old
    bench.user("chief", sees_metrics=True)
    bench.sign_in("chief")
    assert bench.get("/api/v1/metrics/").json()["recent_errors"] == 1


class Bucket(MemoryStorage, HasPresignedUrl):
    """A storage that users can reach themselves."""

    def presigned_url(self, key, *, seconds, headers):
        name = headers["content-disposition"]
        return f"https://s3.example/{key}?seconds={seconds}&name={len(name)}"


def test_a_storage_that_users_can_reach_serves_downloads_itself(make_bench):
    bench = make_bench(Side.DESTINATION, shelf=Bucket())
    associate(bench, words(bench))
    row = received(bench)
    response = download(bench, row)
    assert response.status_code == 307
    assert response.headers["location"].startswith(f"https://s3.example/{row.key}?")
    assert response.headers["digest"].startswith("SHA=")
    assert [event.kind for event in bench.events()] == [EventKind.DELIVERED]


def test_a_client_that_goes_away_is_not_waited_for(bench):
    row = received(bench, content=bytes(4 * 2**20))
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.body":
            gone.set()
            await asyncio.Event().wait()

    bench.asgi(download_scope(bench, row), receive, send)
    assert bench.events() == []
