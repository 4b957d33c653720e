"""The OpenAPI documents say everything that can be said of every operation."""

from __future__ import annotations

import ast
import json
import re
import shlex

import jsonschema_rs
import pytest

from eurydice_core.api.app import schema_of
from eurydice_core.model.states import Side

DOCUMENTS = {side: schema_of(side) for side in Side}
OPERATIONS = [
    pytest.param(side, path, method, operation, id=f"{side}-{operation['operationId']}")
    for side, document in DOCUMENTS.items()
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
]
each_operation = pytest.mark.parametrize(("side", "path", "method", "operation"), OPERATIONS)
SCHEMAS = [
    pytest.param(side, name, schema, id=f"{side}-{name}")
    for side, document in DOCUMENTS.items()
    for name, schema in document["components"]["schemas"].items()
]
EMPTY = {"204", "302", "304", "307"}
"""Statuses whose answers have no body."""


def resolved(document, part):
    while "$ref" in part:
        place = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        part = place
    return part


def assert_fits(side, schema, example):
    components = DOCUMENTS[side]["components"]
    jsonschema_rs.validate({**schema, "components": components}, example)


@pytest.mark.parametrize("side", Side)
def test_the_document_is_openapi_3_1(side):
    document = DOCUMENTS[side]
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == f"Eurydice {side} API"
    assert set(document["components"]["securitySchemes"]) >= {"tokenAuth", "basicAuth"}
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.parametrize("side", Side)
def test_every_reference_leads_somewhere(side):
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENTS[side]))):
        assert resolved(DOCUMENTS[side], {"$ref": reference})


@pytest.mark.parametrize("side", Side)
def test_every_tag_is_described(side):
    described = {tag["name"] for tag in DOCUMENTS[side]["tags"]}
    operations = (o for p in DOCUMENTS[side]["paths"].values() for o in p.values())
    assert {tag for operation in operations for tag in operation["tags"]} == described


@each_operation
def test_every_operation_tells_what_it_does_and_who_may(side, path, method, operation):
    assert operation["description"]
    ways = {name for way in operation["security"] for name in way}
    assert ways <= set(DOCUMENTS[side]["components"]["securitySchemes"])
    asks = bool(operation["security"]) and {} not in operation["security"]
    assert asks == ("401" in operation["responses"]) or operation["operationId"] in (
        "login",
        "metrics",
    )


@each_operation
def test_every_answer_names_its_request_and_what_it_carries(side, path, method, operation):
    for status, response in operation["responses"].items():
        assert "X-Request-Id" in response["headers"]
        assert response["description"] not in ("", "Successful Response")
        assert ("content" in response) == (status not in EMPTY), status


@each_operation
def test_every_error_is_a_problem_with_an_example(side, path, method, operation):
    for status, response in operation["responses"].items():
        if status < "400" or status in EMPTY or operation["operationId"] == "readyz":
            continue
        assert list(response["content"]) == ["application/problem+json"]
        content = response["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert_fits(side, content["schema"], content["example"])


@each_operation
def test_any_operation_may_fail_and_those_that_ask_may_refuse(side, path, method, operation):
    assert "500" in operation["responses"]
    if operation["security"]:
        assert {"429", "503"} <= set(operation["responses"])
        assert "Retry-After" in operation["responses"]["429"]["headers"]
    if "401" in operation["responses"]:
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


@each_operation
def test_every_body_and_parameter_has_an_example(side, path, method, operation):
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind != "application/octet-stream":
            assert_fits(side, content["schema"], content["example"])
    for parameter in operation.get("parameters", ()):
        if "_after" not in parameter["name"] and "_before" not in parameter["name"]:
            assert_fits(side, parameter["schema"], parameter["example"])
        assert parameter["description"]


@pytest.mark.parametrize(("side", "name", "schema"), SCHEMAS)
def test_every_answer_has_an_example_that_fits(side, name, schema):
    if schema.get("type") == "object" and name not in ("Problem", "CheckResult"):
        assert schema["examples"]
    for example in schema.get("examples", ()):
        assert_fits(side, schema, example)
        assert set(example) <= set(schema["properties"])


@each_operation
def test_every_operation_has_samples_for_a_shell_and_for_python(side, path, method, operation):
    shell, python = operation["x-codeSamples"]
    assert (shell["lang"], python["lang"]) == ("bash", "python")
    words = shlex.split(shell["source"])
    assert words[0] == "curl"
    variable = f"EURYDICE_{side.upper()}_HOST"
    assert words[-1] == f"https://${variable}{path.replace('{id}', '$TRANSFERABLE_ID')}"
    assert variable in python["source"]
    ast.parse(python["source"])


def test_a_download_names_its_headers():
    download = DOCUMENTS[Side.DESTINATION]["paths"]["/api/v1/transferables/{id}/download/"]["get"]
    for status in ("200", "206"):
        headers = download["responses"][status]["headers"]
        assert {"ETag", "Content-Disposition", "Repr-Digest", "Metadata-Name"} <= set(headers)
    assert "Content-Range" in download["responses"]["206"]["headers"]
