"""The API's own description, as a page for people: no scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

__all__ = ["router"]

router = APIRouter()

Part = Mapping[str, Any]
"""A part of an OpenAPI document."""

SCHEMA_URL: Final = "/api/v1/schema"
REFERENCE: Final = "#/components/schemas/"
UNTAGGED: Final = "Other"  # what an embedder adds may have no tag
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid; }
h3 { margin-top: 2rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; }
tr { border-bottom: 1px solid #8886; }
"""
STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@router.get("/api/docs/", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Describe this API to people."""
    schema_url = f"{request.scope.get('root_path', '')}{SCHEMA_URL}"
    page = "\n".join(_page(request.app.openapi(), schema_url))
    return HTMLResponse(page, headers=HEADERS)


def _page(document: Part, schema_url: str) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    yield f'<p>For programs: <a href="{escape(schema_url)}">OpenAPI {document["openapi"]}</a>.</p>'
    operations = [
        (operation.get("tags", [UNTAGGED])[0], method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for tag in dict.fromkeys(tag for tag, *_ in operations):
        yield f"<h2>{escape(tag)}</h2>"
        for its_tag, method, path, operation in operations:
            if its_tag == tag:
                yield from _operation(method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</main></body></html>"


def _operation(method: str, path: str, operation: Part) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<h3 id="{name}"><code>{method.upper()} {escape(path)}</code></h3>'
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    yield from _table(
        ("parameter", "in", "type", "meaning"),
        (
            (_code(each["name"]), each["in"], _type(each["schema"]), _meaning(each))
            for each in operation.get("parameters", ())
        ),
    )
    yield from _table(
        ("body", "type"),
        (
            (_code(kind), _type(content.get("schema", {})))
            for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        ),
    )
    yield from _table(
        ("status", "body", "meaning"),
        (
            (escape(status), _content(response), _meaning(response))
            for status, response in sorted(operation["responses"].items())
        ),
    )


def _schema(name: str, schema: Part) -> Iterator[str]:
    yield f'<h3 id="schema-{escape(name)}">{escape(schema.get("title", name))}</h3>'
    yield f"<p>{_meaning(schema)}</p>"
    yield from _table(
        ("field", "type", "meaning"),
        (
            (_code(field), _type(each), _meaning(each))
            for field, each in schema.get("properties", {}).items()
        ),
    )
    if "enum" in schema:
        yield f"<p>{_type(schema)}</p>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a table of cells that are HTML already; nothing, if it would be empty."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if lines:
        yield "<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads)
        yield "</tr></thead><tbody>"
        yield from lines
        yield "</tbody></table>"


def _content(response: Part) -> str:
    kinds = (
        f"{_code(kind)} {_type(content.get('schema', {}))}"
        for kind, content in response.get("content", {}).items()
    )
    return "<br>".join(kinds)


def _type(schema: Part) -> str:
    """Return what a value may be, with a link where that has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(REFERENCE))
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(_code(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and "properties" in schema:
        return "object with " + ", ".join(_code(name) for name in schema["properties"])
    return escape(" ".join(str(schema[key]) for key in ("type", "format") if key in schema))


def _meaning(part: Part) -> str:
    return escape(part.get("description", ""))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
