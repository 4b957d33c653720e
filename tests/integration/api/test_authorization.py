"""Somebody else's files are out of reach: by any id, header, filter or token, on every route."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import uuid

import pytest
from sqlalchemy import select

from eurydice_core.api.app import schema_of
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile, ReceivedExtent
from eurydice_core.db.schema import TABLES
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side
from eurydice_core.origin.revoke import revoke
from eurydice_core.protocol.association import issue_words
from eurydice_core.protocol.repair import Ticket, issue_ticket

LIST = "/api/v1/transferables/"
AWAY = "203.0.113.9"  # from where nobody watches
SECRET = "alices-own-secret"
PROFILE = b"alice..."
ACCESS = {"last_access", "last_used_at"}
HERS = {
    "X-Remote-User": "alice",
    "X-Forwarded-User": "alice",
    "X-Forwarded-For": "127.0.0.1",
    "Authenticated-User": "alice",
    "X-Request-ID": "alice",
    "Cookie": "eurydice_sessionid=alice; username=alice",
    "X-HTTP-Method-Override": "GET",
}
"""What a server may be careless enough to believe."""
FOREIGN_QUERY = ("user", "user_id", "username", "owner", "profile", "account")


class Alice:
    """A user with files in every state, and everything that somebody could learn of them."""

    def __init__(self, bench):
        self.bench = bench
        self.account = bench.installation.accounts.get("alice")
        self.token = bench.token
        self.ids = FILL[bench.installation.settings.side](bench, self.account)
        pages = bench.get(LIST, params={"page_size": 2}).json()["pages"]
        self.page_tokens = [token for token in pages.values() if token]
        installation = bench.installation
        self.ticket = issue_ticket(
            Ticket(uuid.UUID(self.ids[0]), ((0, 1),)), installation.repair_key
        )
        self.words = issue_words(
            PROFILE, utc_now().replace(year=2100), installation.association_key
        )

    @property
    def secrets(self):
        """What no answer to somebody else may have."""
        return [SECRET, sha1_of(CONTENT), sha256_of(CONTENT), CONTENT.decode()]

    def traces(self):
        """Return all that the database and the storage have of her."""
        hers = {self.account.id, PROFILE, *map(uuid.UUID, self.ids)}
        rows = []
        with self.bench.installation.database.read() as session:
            for model in TABLES[self.bench.installation.settings.side]:
                columns = model.__table__.columns.keys()
                for row in session.execute(select(model.__table__)):
                    values = dict(zip(columns, row, strict=True))
                    if hers & {v for v in values.values() if isinstance(v, (uuid.UUID, bytes))}:
                        kept = {k: v for k, v in values.items() if k not in ACCESS}
                        rows.append((model.__tablename__, repr(kept)))
        return sorted(rows), self.bench.storage.keys


CONTENT = b"what alice sent, and nobody else may read"


def sha1_of(content):
    return hashlib.sha1(content).hexdigest()


def sha256_of(content):
    return hashlib.sha256(content).hexdigest()


def fill_origin(bench, account):
    ids = [
        bench.upload(
            CONTENT, Metadata_Name=SECRET, Metadata_Of=SECRET, Idempotency_Key='"k"'
        ).json()["id"]
    ]
    ids += [bench.upload(CONTENT, Metadata_Name=SECRET).json()["id"] for _ in range(3)]
    with bench.installation.database.write() as session:
        revoke(session, uuid.UUID(ids[-1]), "USER_CANCELED", utc_now())
    return ids


def fill_destination(bench, account):
    rows = [
        IncomingTransferable(
            id=uuid.uuid4(),
            profile=PROFILE,
            created_at=utc_now(),
            received_at=utc_now(),
            name=SECRET,
            user_provided_meta={"Metadata-Name": SECRET},
            state=state,
            size=len(CONTENT),
            piece_size=10,
            bytes_received=len(CONTENT),
            sha1=hashlib.sha1(CONTENT).digest(),
            sha256=hashlib.sha256(CONTENT).digest(),
            finished_at=None if state is IncomingState.ONGOING else utc_now(),
            repairable=state is IncomingState.ERROR,
            stored=state is IncomingState.SUCCESS,
        )
        for state in IncomingState
    ]
    for row in rows:
        if row.stored:
            with bench.storage.write(row.key) as writer:
                writer.write(CONTENT)
    with bench.installation.database.write() as session:
        session.add(OriginProfile(profile=PROFILE, user_id=account.id, created_at=utc_now()))
        session.flush()
        session.add_all(rows)
        session.flush()
        session.add(ReceivedExtent(transferable_id=rows[0].id, start=0, stop=10))
    return [str(row.id) for row in rows]


FILL = {Side.ORIGIN: fill_origin, Side.DESTINATION: fill_destination}
OPERATIONS = [
    pytest.param(side, method, path, operation, id=f"{side}-{operation['operationId']}")
    for side in Side
    for path, methods in schema_of(side)["paths"].items()
    for method, operation in methods.items()
]


@pytest.fixture
def database_url(sqlite_database):
    """Who owns what is asked alike of either database: one is enough for so many requests."""
    return sqlite_database


@pytest.fixture
def alice(request, make_bench):
    side = request.node.callspec.params["side"]
    return Alice(make_bench(side, client_address=AWAY))


def mallory_of(alice, *, associated):
    """Sign somebody else in; return them."""
    bench = alice.bench
    account = bench.user("mallory")
    if bench.installation.settings.side is Side.DESTINATION and associated:
        with bench.installation.database.write() as session:
            profile = OriginProfile(profile=b"mallory.", user_id=account.id, created_at=utc_now())
            session.add(profile)
    bench.sign_in("mallory")
    return account


def paths(path, alice):
    """Yield a path with everything of hers in it; a parameter that is new here fails."""
    assert set(re.findall(r"{(\w+)}", path)) <= {"id"}
    ids = [*alice.ids, alice.ids[0].upper(), alice.ids[0].replace("-", "")]
    yield from (path.replace("{id}", id) for id in ids) if "{id}" in path else [path]


def queries(operation, alice):
    """Yield parameters that say what of hers somebody may have seen."""
    known = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    yield {}
    yield {name: value for name in FOREIGN_QUERY for value in ["alice"]}
    for name, token in itertools.product(sorted({"page", "from"} & known), alice.page_tokens):
        yield {name: token, "page_size": "2"}
    yield from ({key: value} for key, value in hers_in(alice).items() if key in known)
    if "format" in known:
        yield {"format": "png"}


def hers_in(alice):
    return {"name": SECRET[:8], "sha1": sha1_of(CONTENT), "state": "SUCCESS"}


def bodies(operation, alice):
    """Yield bodies that carry what of hers somebody may have got hold of."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield {}
    for kind in content:
        headers = {"Content-Type": kind}
        if kind == "application/json":
            for words in (alice.words, alice.ticket):
                body = json.dumps({"token": words, "ticket": words, "id": alice.ids[0]})
                yield {"content": body, "headers": headers}
        elif kind == "text/plain":
            yield {"content": alice.ticket, "headers": headers}
        else:
            yield {"content": b"mallory's", "headers": {**headers, "Idempotency-Key": '"k"'}}


def attempts(path, operation, alice):
    for target, query, body in itertools.product(
        paths(path, alice), queries(operation, alice), bodies(operation, alice)
    ):
        headers = body.get("headers", {})
        yield target, {**body, "params": query}
        etag = {"If-None-Match": f'"{sha256_of(CONTENT)}"', "Range": "bytes=0-9"}
        yield target, {**body, "params": query, "headers": {**headers, **HERS, **etag}}


@pytest.mark.parametrize("associated", [True, False])
@pytest.mark.parametrize(("side", "method", "path", "operation"), OPERATIONS)
def test_nothing_of_hers_is_told_or_changed(alice, side, method, path, operation, associated):
    if side is Side.ORIGIN and not associated:
        pytest.skip("there is no association at the origin")
    mallory_of(alice, associated=associated)
    before = alice.traces()
    for target, options in attempts(path, operation, alice):
        answer = alice.bench.request(method.upper(), target, **options)
        said = answer.content + repr(answer.headers.raw).encode()
        for secret in alice.secrets:
            assert secret.encode() not in said, (target, options)
        if "{id}" in path and answer.status_code != 400:  # a ticket is read before its file
            assert answer.status_code == (404 if associated else 403), (target, options)
        assert answer.headers.get("authenticated-user", "mallory") == "mallory"
        assert answer.status_code < 500
    rows, objects = alice.traces()
    assert rows == before[0]
    assert before[1] <= objects


@pytest.mark.parametrize("side", Side)
def test_her_files_and_no_files_at_all_are_answered_alike(alice, side):
    mallory_of(alice, associated=True)
    for path, methods in schema_of(side)["paths"].items():
        for method in methods if "{id}" in path else ():
            answers = []
            for id in (alice.ids[0], str(uuid.uuid4())):
                answer = alice.bench.request(method.upper(), path.replace("{id}", id))
                named = {"instance": "", "request_id": ""}
                content = {**answer.json(), **named} if answer.content else {}
                said = json.dumps(content).replace(id, "ID")
                answers.append((answer.status_code, said, sorted(answer.headers)))
            assert answers[0] == answers[1]


@pytest.mark.parametrize("side", Side)
def test_a_page_token_of_hers_is_refused(alice, side):
    mallory_of(alice, associated=True)
    for token, name in itertools.product(alice.page_tokens, ("page", "from")):
        answer = alice.bench.get(LIST, params={name: token, "page_size": 2})
        assert answer.status_code == 400
    assert alice.page_tokens


@pytest.mark.parametrize("side", Side)
def test_what_is_tried_here_is_what_she_herself_can_do(alice, side):
    """Or else these tests would prove nothing."""
    for path, methods in schema_of(side)["paths"].items():
        for method, operation in methods.items():
            if "{id}" in path and method == "get" and "repair" not in path:
                found = alice.bench.get(path.replace("{id}", alice.ids[1])).status_code
                assert found == 200, operation["operationId"]
    assert SECRET in alice.bench.get(LIST).text
    assert alice.bench.get(LIST, params={"page": alice.page_tokens[0], "page_size": 2}).is_success


@pytest.mark.parametrize("side", Side)
def test_renewing_ones_own_token_leaves_hers(alice, side):
    hers = alice.bench.get("/api/v1/user/token/").json()["token"]
    mallory_of(alice, associated=True)
    mine = alice.bench.get("/api/v1/user/token/").json()["token"]
    assert alice.bench.delete("/api/v1/user/token/").json()["token"] not in (mine, hers)
    answer = alice.bench.get("/api/v1/user/me/", headers={"Authorization": f"Token {hers}"})
    assert answer.json()["username"] == "alice"


@pytest.mark.parametrize("side", [Side.ORIGIN])
def test_a_ticket_of_hers_is_none_of_somebody_elses_files(alice, side):
    mallory_of(alice, associated=True)
    mine = alice.bench.upload(b"mallory's").json()["id"]
    for id in (mine, alice.ids[0]):
        answer = alice.bench.post(f"{LIST}{id}/repair/", json={"ticket": alice.ticket})
        assert answer.status_code in (400, 404)


@pytest.mark.parametrize("side", [Side.ORIGIN])
def test_an_idempotency_key_of_hers_is_another_one_of_somebody_else(alice, side):
    mallory_of(alice, associated=True)
    answer = alice.bench.upload(CONTENT, Metadata_Name="mine", Idempotency_Key='"k"')
    assert answer.status_code == 201
    assert answer.json()["id"] not in alice.ids
    assert answer.json()["name"] == "mine"


@pytest.mark.parametrize("side", [Side.DESTINATION])
def test_deleting_all_deletes_ones_own(alice, side):
    mallory_of(alice, associated=True)
    before = alice.traces()
    assert alice.bench.delete(LIST).status_code == 200
    assert alice.traces() == before


@pytest.mark.parametrize("side", [Side.DESTINATION])
def test_her_words_link_nobody_else_once_she_is_linked(alice, side):
    mallory_of(alice, associated=False)
    answer = alice.bench.post("/api/v1/user/association/", json={"token": alice.words})
    assert answer.status_code == 409
