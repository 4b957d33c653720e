"""The samples of the reference do what they show."""

from __future__ import annotations

import hashlib
import sys
import types
import uuid

import httpx
import pytest

from eurydice_core.api.app import schema_of
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, Side

CONTENT = b"what the file says"
REFUSED = {
    (Side.DESTINATION, "associate-users"): 400,
    (Side.ORIGIN, "repair-transferable"): 400,
    (Side.DESTINATION, "get-repair-ticket"): 409,
}
"""Examples of words and of tickets prove nothing, and nothing is missing of the file."""
OPERATIONS = [
    pytest.param(side, operation, id=f"{side}-{operation['operationId']}")
    for side in Side
    for path in schema_of(side)["paths"].values()
    for operation in path.values()
]


class Requests(types.ModuleType):
    """As much of the library as the samples use, without a network."""

    def __init__(self, bench):
        super().__init__("requests")
        self.bench = bench
        self.answers = []

    def __getattr__(self, method):
        def request(url, *, headers=(), data=None, json=None, auth=None, timeout):
            assert url.startswith("https://side.example/")
            options = {"headers": {"Authorization": "", **dict(headers)}, "timeout": timeout}
            if data is not None:
                options["content"] = data if isinstance(data, str) else data.read()
            if json is not None:
                options["json"] = json
            if auth is not None:
                options["auth"] = httpx.BasicAuth(*auth)
            answer = self.bench.request(
                method.upper(), url.removeprefix("https://side.example"), **options
            )
            self.answers.append(answer)
            return answer

        return request


@pytest.fixture
def database_url(sqlite_database):
    return sqlite_database


def fill_origin(bench):
    return bench.upload(CONTENT).json()["id"]


def fill_destination(bench):
    now, id = utc_now(), uuid.uuid4()
    alice = bench.installation.accounts.get("alice")
    row = IncomingTransferable(
        id=id,
        profile=b"profile1",
        created_at=now,
        received_at=now,
        finished_at=now,
        state=IncomingState.SUCCESS,
        user_provided_meta={},
        size=len(CONTENT),
        bytes_received=len(CONTENT),
        sha1=hashlib.sha1(CONTENT).digest(),
        stored=True,
    )
    with bench.storage.write(row.key) as writer:
        writer.write(CONTENT)
    with bench.installation.database.write() as session:
        session.add(OriginProfile(profile=b"profile1", user_id=alice.id, created_at=now))
        session.flush()
        session.add(row)
    return str(id)


FILL = {Side.ORIGIN: fill_origin, Side.DESTINATION: fill_destination}


@pytest.mark.parametrize(("side", "operation"), OPERATIONS)
def test_a_python_sample_does_what_it_shows(
    make_bench, monkeypatch, tmp_path, capsys, side, operation
):
    bench = make_bench(side, auth={"plugins": ["auth_basic"], "auth_basic": {"allow_http": True}})
    bench.installation.accounts.add("bob", "correct horse", sees_metrics=True)
    id = FILL[side](bench)
    bench.sign_in("bob" if "metrics" in operation["operationId"] else "alice")
    for name, value in {
        f"EURYDICE_{side.upper()}_HOST": "side.example",
        f"EURYDICE_{side.upper()}_AUTHTOKEN": bench.token,
        "EURYDICE_USER": "bob",
        "EURYDICE_PASSWORD": "correct horse",
        "TRANSFERABLE_ID": id,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.pdf").write_bytes(b"a report")
    requests = Requests(bench)
    monkeypatch.setitem(sys.modules, "requests", requests)
    _, sample = operation["x-codeSamples"]
    code = compile(sample["source"], "sample.py", "exec", dont_inherit=True)
    refused = REFUSED.get((side, operation["operationId"]))
    if refused is not None:
        with pytest.raises(httpx.HTTPStatusError):
            exec(code, {})
    else:
        exec(code, {})
    (answer,) = requests.answers
    assert answer.status_code == refused or answer.is_success
    if operation["operationId"] == "download-transferable":
        assert (tmp_path / "report.pdf").read_bytes() == CONTENT
