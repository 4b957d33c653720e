"""Both sides' APIs against their own descriptions: requests that make sense, and that do not.

More of them, by hand: `EURYDICE_EXAMPLES=500 pytest tests/integration/api/test_schemathesis.py`.
"""

from __future__ import annotations

import hashlib
import os
import uuid

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from eurydice_core.api.app import schema_of
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side

EXAMPLES = int(os.environ.get("EURYDICE_EXAMPLES", "12"))
CONTENT = b"what the file says"
load_all_checks()
# A token of a page, words, or a ticket may look right and be none of ours: that is refused,
# and no description could say which.
CHOSEN = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "missing_required_header",
        "unsupported_method",
        "allow_header_conformance",
        "ignored_auth",
    ]
)
always_the_same = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Stage:
    """An application that is known before the one of each test is."""

    app: FastAPI

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])  # each test opens and closes its own
        await self.app(scope, receive, send)


def described(side):
    schema = schemathesis.openapi.from_dict(schema_of(side))
    schema.app = STAGE
    schema.config.generation.update(modes=list(GenerationMode), deterministic=True)
    return schema


STAGE = Stage()
ORIGIN, DESTINATION = described(Side.ORIGIN), described(Side.DESTINATION)


@pytest.fixture(scope="module", autouse=True)
def event_loop_of_schemathesis():
    """It keeps one, in a thread, for as long as the process lives: not for one test to clean up."""
    app = FastAPI()
    schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.fixture
def database_url(sqlite_database):
    return sqlite_database


@pytest.fixture
def user(make_bench):
    """Make a side with a user who may see everything, some files of theirs and of another's."""

    def make(side):
        # So many wrong passwords are tried that the door would close, as it should.
        bench = make_bench(side, api={"lockout_attempts": 1000, "lockout_window": 0.001})
        bench.user("prometheus", sees_metrics=True)
        bench.sign_in("prometheus")
        STAGE.app = bench.app
        return User(bench, FILL[side](bench))

    return make


class User:
    """Calls operations as somebody who knows the ids of some files."""

    def __init__(self, bench, ids):
        self.bench = bench
        self.ids = ids
        self.calls = 0

    def call(self, case):
        self.calls += 1
        positive = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
        if "id" in case.path_parameters and positive and self.calls % 3:
            case.path_parameters["id"] = self.ids[self.calls % len(self.ids)]
        headers = {"Authorization": f"Token {self.bench.token}"}
        case.call_and_validate(headers=headers, checks=CHOSEN)


def fill_origin(bench):
    return [bench.upload(CONTENT, Metadata_Name=name).json()["id"] for name in ("a", "b", "")]


def fill_destination(bench):
    now = utc_now()
    account = bench.installation.accounts.find("prometheus")
    profile = OriginProfile(profile=b"profile1", user_id=account.id, created_at=now)
    rows = [
        IncomingTransferable(
            id=uuid.uuid4(),
            profile=profile.profile,
            created_at=now,
            received_at=now,
            name="report.pdf",
            user_provided_meta={"Metadata-Name": "report.pdf"},
            state=state,
            size=len(CONTENT),
            bytes_received=len(CONTENT),
            sha1=hashlib.sha1(CONTENT).digest(),
            sha256=hashlib.sha256(CONTENT).digest(),
            finished_at=None if state is IncomingState.ONGOING else now,
            stored=state is IncomingState.SUCCESS,
        )
        for state in [*IncomingState, *[IncomingState.SUCCESS] * 5]
    ]
    for row in rows:
        if row.stored:
            with bench.storage.write(row.key) as writer:
                writer.write(CONTENT)
    with bench.installation.database.write() as session:
        session.add(profile)
        session.flush()
        session.add_all(rows)
    return [str(row.id) for row in rows]


FILL = {Side.ORIGIN: fill_origin, Side.DESTINATION: fill_destination}


@ORIGIN.parametrize()
@always_the_same
def test_the_origin_does_what_it_says(case, origin_user):
    origin_user.call(case)


@DESTINATION.parametrize()
@always_the_same
def test_the_destination_does_what_it_says(case, destination_user):
    destination_user.call(case)


@pytest.fixture
def origin_user(user):
    return user(Side.ORIGIN)


@pytest.fixture
def destination_user(user):
    return user(Side.DESTINATION)
