"""Completes what FastAPI says of the routes by what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from eurydice_core.api.openapi.examples import BODIES, PARAMETERS, SCHEMAS, problem_example
from eurydice_core.api.openapi.headers import HEADERS, REQUEST_HEADERS, headers_of
from eurydice_core.api.openapi.samples import samples_of
from eurydice_core.api.openapi.security import SCHEMES, needs_account, security_of
from eurydice_core.api.schemas import PROBLEMS, Problem
from eurydice_core.model.states import Side

__all__ = ["describe"]

Part = dict[str, Any]

PROBLEM: Final = "application/problem+json"
TAGS: Final = {
    "Transferring files": "Upload files at the origin, download them at the destination.",
    "Account management": "Your account, your API token, and the link between your two accounts.",
    "Administration": "State of the link, and figures of the files of all accounts.",
    "Metadata": "Contact and banner that user interfaces show.",
    "Monitoring": "Health checks and metrics for operators.",
}
OF_ANY: Final = (500,)
ASKING: Final = (429, 503)
"""Any operation that asks who you are may answer these."""
CHANGES: Final = frozenset({"post", "put", "patch", "delete"})
DESCRIPTION: Final = """\
This is the API of the {side} side. Files travel from the origin to the destination through a
one-way link. Errors are problem documents (RFC 9457). Every response has an `X-Request-Id`, which
is in the log too.

The samples read the address of this side from `EURYDICE_{upper}_HOST` and an API token from
`EURYDICE_{upper}_AUTHTOKEN`."""


def describe(app: FastAPI, side: Side, routes: Iterable[BaseRoute]) -> Part:
    """Return the OpenAPI document of an application that has these routes of a side.

    What somebody else added to it is left as FastAPI describes it.
    """
    document = FastAPI.openapi(app)
    document["info"]["description"] = DESCRIPTION.format(side=side, upper=side.upper())
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "The server of this document."}]
    components = document["components"]
    components["securitySchemes"] = SCHEMES
    components["headers"] = HEADERS
    _describe_schemas(components["schemas"])
    ours = {route.operation_id: route for route in routes if isinstance(route, APIRoute)}
    used = set()
    for path, method, operation in _operations(document):
        route = ours.get(operation["operationId"])
        if route is None:
            continue
        used.update(operation.get("tags", ()))
        _describe_inputs(operation)
        _describe_responses(document, operation, method, route)
        operation["security"] = security_of(route)
        operation["x-codeSamples"] = samples_of(operation, method, path, side)
    document["tags"] = [
        {"name": name, "description": text} for name, text in TAGS.items() if name in used
    ]
    return document


def _operations(document: Part) -> Iterator[tuple[str, str, Part]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _describe_schemas(schemas: Part) -> None:
    # FastAPI speaks of a validation of its own, which no route of ours leaves to it.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for name, examples in SCHEMAS.items():
        if name in schemas:
            fields = set(schemas[name].get("properties", ()))
            schemas[name]["examples"] = [e for e in examples if set(e) <= fields]


def _describe_inputs(operation: Part) -> None:
    headers = REQUEST_HEADERS.get(operation["operationId"], {})
    if headers:
        told = {parameter["name"] for parameter in operation.get("parameters", ())}
        operation.setdefault("parameters", []).extend(
            {
                "in": "header",
                "name": name,
                "description": description,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, (description, example) in headers.items()
            if name not in told
        )
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS:
            parameter.setdefault("example", PARAMETERS[parameter["name"]])
        if parameter["in"] == "path":
            parameter["schema"] = {"type": "string", "format": "uuid"}
            parameter["description"] = "The transferable's id, the same on both sides."
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if (operation["operationId"], kind) in BODIES:
            content["example"] = BODIES[operation["operationId"], kind]


def _describe_responses(document: Part, operation: Part, method: str, route: APIRoute) -> None:
    responses: Part = operation["responses"]
    knows_user = needs_account(route)
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    wanted = list(OF_ANY)
    if knows_user:
        wanted.append(401)
    if security_of(route):
        wanted += ASKING
    if knows_user and method in CHANGES:
        wanted.append(403)  # a session without its CSRF token
    for status in wanted:
        responses.setdefault(str(status), dict(PROBLEMS[status]))
    _describe_success(responses, document["components"]["schemas"])
    for name, response in responses.items():
        _describe_problem(int(name), response)
        response["headers"] = {
            header: {"$ref": f"#/components/headers/{header}"}
            for header in headers_of(operation["operationId"], int(name), knows_user=knows_user)
        } | response.get("headers", {})
    operation["responses"] = dict(sorted(responses.items()))


def _describe_success(responses: Part, schemas: Part) -> None:
    """Say what comes, where FastAPI only says that something does."""
    for response in responses.values():
        if response["description"] != "Successful Response":
            continue
        contents = response.get("content", {}).values()
        names = [each.get("schema", {}).get("$ref", "").rpartition("/")[2] for each in contents]
        described = [schemas[name].get("description") for name in names if name in schemas]
        response["description"] = next(filter(None, described), "It is done.")


def _describe_problem(status: int, response: Part) -> None:
    if PROBLEM not in response.get("content", {}):
        return
    example = problem_example(status, HTTPStatus(status).phrase, response["description"])
    response["content"] = {
        PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    }
