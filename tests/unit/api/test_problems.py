from __future__ import annotations

import json

import pytest

from eurydice_core import errors
from eurydice_core.api.problems import NotAuthenticated, problem, status_of

EXAMPLES = [
    (errors.InvalidRequest("no"), 400),
    (errors.SizeMismatch(1, 2), 400),
    (errors.AssociationTokenInvalid("no"), 400),
    (NotAuthenticated(["Token"]), 401),
    (errors.NotAssociated(), 403),
    (errors.NotFound("no"), 404),
    (errors.Conflict("no"), 409),
    (errors.Gone("no"), 410),
    (errors.TooLarge(5), 413),
    (errors.ObjectMissing("key"), 500),
    (errors.LinkDown("no"), 500),
    (KeyError("bug"), 500),
    (errors.StorageUnavailable("no"), 503),
    (errors.DatabaseUnavailable("no"), 503),
    (errors.DatabaseMisconfigured("no"), 503),
    (errors.TransactionConflict("no"), 503),
    (errors.StorageFull("no"), 507),
]


@pytest.mark.parametrize(("error", "status"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_every_error_is_a_problem_of_its_status(error, status):
    response = problem(error)
    body = json.loads(response.body)
    assert response.status_code == status == body["status"]
    assert response.media_type == "application/problem+json"
    assert body["type"].startswith("urn:eurydice:")
    assert body["title"]
    assert body["detail"]


def test_no_error_of_ours_is_without_status():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert 400 <= status_of(kind.__new__(kind)) < 600


def test_what_is_wrong_inside_stays_inside():
    for secret in (errors.StorageUnavailable("s3.internal"), ValueError("s3.internal")):
        assert b"s3.internal" not in problem(secret).body


def test_every_database_outage_has_the_same_type():
    for kind in (errors.DatabaseMisconfigured, errors.TransactionConflict):
        assert b'"urn:eurydice:database-unavailable"' in problem(kind("no")).body


def test_an_outage_says_when_to_come_back():
    assert int(problem(errors.DatabaseUnavailable("no")).headers["retry-after"]) > 0


def test_every_challenge_is_a_header_of_its_own():
    response = problem(NotAuthenticated(['Basic realm="api"', "Token"]))
    assert response.headers.getlist("www-authenticate") == ['Basic realm="api"', "Token"]


def test_wrong_words_are_told_under_their_field():
    body = json.loads(problem(errors.AssociationTokenInvalid("unknown word")).body)
    assert body["token"] == body["detail"] == "unknown word"
