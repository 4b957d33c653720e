"""Uploads that are verified, that may be repeated, and that are too slow; files kept inline."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest
from sqlalchemy import select

from eurydice_core.db.idempotency import IdempotencyKey
from eurydice_core.db.outgoing import OutgoingContent, OutgoingRange, OutgoingTransferable
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, Side

LIST = "/api/v1/transferables/"
MIB = 2**20
CONTENT = b"all that there is"


def rows(bench, table=OutgoingTransferable):
    with bench.installation.database.read() as session:
        return session.scalars(select(table)).all()


def lasting(response):
    """Return what does not depend on how long ago the upload began."""
    body = response.json()
    return {key: body[key] for key in body if key not in ("speed", "estimated_finish_date")}


def sf(data):
    return f":{base64.b64encode(data).decode()}:"


@pytest.fixture(params=[len(CONTENT), 6 * MIB], ids=["small", "large"])
def content(request):
    return (CONTENT * (request.param // len(CONTENT) + 1))[: request.param]


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_a_digest_that_holds_changes_nothing(origin, content, header, name):
    digest = getattr(hashlib, name)(content).digest()
    value = f"sha-{name[3:]}={sf(digest)}, crc32c=:AAAAAA==:"
    assert origin.upload(content, **{header: value}).status_code == 201


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_a_digest_that_does_not_hold_leaves_nothing(make_bench, content, name):
    bench = make_bench(Side.ORIGIN, upload={"range_size": "5MiB"})
    digest = getattr(hashlib, name)(content + b"!").digest()
    response = bench.upload(content, Content_Digest=f"sha-{name[3:]}={sf(digest)}")
    assert response.status_code == 400
    assert response.json()["type"] == "urn:eurydice:digest-mismatch"
    (row,) = rows(bench)
    assert (row.state, row.sha256) == (OutgoingState.ERROR, None)
    assert rows(bench, OutgoingContent) == []


def test_a_digest_that_is_none_is_refused_before_anything_is_kept(origin):
    assert origin.upload(CONTENT, Repr_Digest="sha-256=:?:").status_code == 400
    assert rows(origin) == []


def test_a_name_is_understood_and_its_header_kept_as_it_came(origin):
    body = origin.upload(CONTENT, Metadata_Name="r%C3%A9sum%C3%A9.pdf").json()
    assert body["name"] == "résumé.pdf"
    assert body["user_provided_meta"] == {"Metadata-Name": "r%C3%A9sum%C3%A9.pdf"}
    body = origin.upload(CONTENT, **{"Metadata-Name*": "UTF-8''%e2%82%ac"}).json()
    assert (body["name"], body["user_provided_meta"]) == ("€", {"Metadata-Name": "€"})


def test_an_upload_that_is_repeated_is_taken_once(origin, content):
    first = origin.upload(content, Idempotency_Key='"k"', Metadata_Name="a")
    again = origin.upload(content, Idempotency_Key='"k"', Metadata_Name="a")
    assert (first.status_code, again.status_code) == (201, 201)
    assert lasting(again) == lasting(first)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(rows(origin)) == 1
    assert [event.kind for event in origin.events()] == [EventKind.SUBMITTED]


@pytest.mark.parametrize(
    ("body", "headers"),
    [(CONTENT + b"!", {}), (CONTENT, {"Metadata-Name": "b"}), (CONTENT, {"Metadata-More": "1"})],
)
def test_a_key_that_comes_with_something_else_is_refused(origin, body, headers):
    assert origin.upload(CONTENT, Idempotency_Key="k", Metadata_Name="a").status_code == 201
    response = origin.upload(body, **{"Idempotency-Key": "k", "Metadata-Name": "a", **headers})
    assert response.status_code == 422
    assert len(rows(origin)) == 1


def test_two_users_may_have_the_same_key(origin):
    origin.upload(CONTENT, Idempotency_Key="k")
    origin.user("bob")
    origin.sign_in("bob")
    response = origin.upload(CONTENT, Idempotency_Key="k")
    assert response.status_code == 201
    assert len(rows(origin)) == 2


def test_an_upload_that_failed_may_be_tried_again_with_its_key(origin, content):
    wrong = sf(bytes(32))
    headers = {"Idempotency-Key": "k"}
    assert origin.upload(content, **headers, Repr_Digest=f"sha-256={wrong}").status_code == 400
    assert rows(origin, IdempotencyKey) == []
    assert origin.upload(content, **headers).status_code == 201


def test_a_key_is_held_while_its_upload_goes_on(origin):
    async def pieces():
        yield CONTENT
        headers = {
            "Authorization": f"Token {origin.token}",
            "Content-Type": "application/octet-stream",
            "Idempotency-Key": "k",
            "Transfer-Encoding": "chunked",
        }
        response = await origin.client.post(LIST, content=_one(CONTENT), headers=headers)
        assert response.status_code == 409
        yield CONTENT

    assert origin.upload(pieces(), Idempotency_Key="k").status_code == 201
    assert len(rows(origin)) == 1


async def _one(content):
    yield content


def test_of_uploads_at_the_same_time_one_has_the_key(origin):
    headers = {
        "Authorization": f"Token {origin.token}",
        "Content-Type": "application/octet-stream",
        "Idempotency-Key": "k",
    }

    async def all_at_once():
        posts = [origin.client.post(LIST, content=CONTENT, headers=headers) for _ in range(8)]
        return await asyncio.gather(*posts)

    statuses = {response.status_code for response in origin.runner.run(all_at_once())}
    assert statuses <= {201, 409}
    assert len(rows(origin)) == 1


def test_what_was_removed_since_is_not_taken_again(origin):
    origin.upload(CONTENT, Idempotency_Key="k")
    with origin.installation.database.write() as session:
        session.delete(session.scalars(select(OutgoingTransferable)).one())
    assert origin.upload(CONTENT, Idempotency_Key="k").status_code == 410


def test_a_key_does_not_stand_for_its_upload_for_ever(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"idempotency_age": 1e-06})
    for _ in range(2):
        response = bench.upload(CONTENT, Idempotency_Key="k")
        assert response.status_code == 201
        assert "idempotency-replayed" not in response.headers


def test_an_upload_that_trickles_is_given_up(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"min_rate": "1024TiB", "min_rate_window": 1e-9})

    async def pieces():
        while True:
            yield b"x"

    response = bench.upload(pieces())
    assert response.status_code == 408
    assert "a second is the least" in response.json()["detail"]
    (row,) = rows(bench)
    assert row.state is OutgoingState.ERROR


def test_small_files_are_kept_in_the_database_and_larger_ones_are_not(make_bench):
    bench = make_bench(Side.ORIGIN, upload={"inline_size": 10})
    for size in (0, 10, 11):
        assert bench.upload(b"x" * size).status_code == 201
    ranges = {row.size: row for row in rows(bench, OutgoingRange)}
    kept = {size: (row.stored, row.inline, row.whole) for size, row in ranges.items()}
    assert kept == {0: (False, False, True), 10: (True, True, True), 11: (True, False, True)}
    assert bench.storage.keys == {ranges[11].key}
    (content,) = rows(bench, OutgoingContent)
    assert (content.transferable_id, content.data) == (ranges[10].transferable_id, b"x" * 10)


def test_what_an_upload_answers_is_what_is_kept_of_it(make_bench):
    for inline_size in (0, 1000):
        bench = make_bench(Side.ORIGIN, upload={"inline_size": inline_size})
        answer = lasting(bench.upload(CONTENT, Metadata_Name="a", Metadata_More="b"))
        assert lasting(bench.get(f"{LIST}{answer['id']}/")) == answer
