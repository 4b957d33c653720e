"""The document as a page for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

__all__ = ["STYLE", "page"]

Part = Mapping[str, Any]
"""A part of an OpenAPI document."""

REFERENCE: Final = "#/components/schemas/"
UNTAGGED: Final = "Other"  # what an embedder adds may have no tag
CODE: Final = re.compile("`([^`]+)`")
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid; }
h3 { margin-top: 2rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; }
pre { overflow-x: auto; padding: .5rem; background: #8882; }
summary { cursor: pointer; }
tr { border-bottom: 1px solid #8886; }
"""


def page(document: Part, schema_url: str) -> str:
    """Return the page for a document, which is at that address as well."""
    return "\n".join(_page(document, schema_url))


def _page(document: Part, schema_url: str) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    yield f'<p>For programs: <a href="{escape(schema_url)}">OpenAPI {document["openapi"]}</a>.</p>'
    yield _prose(document["info"].get("description", ""))
    yield from _ways_in(document["components"].get("securitySchemes", {}))
    operations = [
        (operation.get("tags", [UNTAGGED])[0], method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    told = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    for tag in dict.fromkeys(tag for tag, *_ in operations):
        yield f"<h2>{escape(tag)}</h2>{_prose(told.get(tag, ''))}"
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
    yield _prose(operation.get("description", ""))
    yield f"<p>{_who(operation.get('security', ()))}</p>"
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
        ("status", "body", "meaning", "headers"),
        (
            (escape(status), _content(response), _meaning(response), _headers(response))
            for status, response in sorted(operation["responses"].items())
        ),
    )
    for sample in operation.get("x-codeSamples", ()):
        yield _folded(sample.get("label", sample["lang"]), sample["source"])


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
    for example in schema.get("examples", ()):
        yield _folded("Example", json.dumps(example, indent=2, ensure_ascii=False))


def _ways_in(schemes: Mapping[str, Part]) -> Iterator[str]:
    if schemes:
        yield "<h2>Who you are</h2>"
    yield from _table(
        ("way", "where", "meaning"),
        ((_code(name), _code(_place(each)), _meaning(each)) for name, each in schemes.items()),
    )


def _place(scheme: Part) -> str:
    if scheme["type"] == "http":
        return f"Authorization: {scheme['scheme'].title()} ..."
    return f"{scheme['name']} ({scheme['in']})"


def _who(security: Iterable[Part]) -> str:
    """Say who may call an operation."""
    ways = [" with ".join(map(_code, way)) for way in security]
    if not ways:
        return "For everybody."
    known = ", ".join(filter(None, ways))
    return f"For everybody, or by {known}." if "" in ways else f"By {known}."


def _headers(response: Part) -> str:
    return ", ".join(_code(name) for name in response.get("headers", ()))


def _folded(title: str, text: str) -> str:
    """Return text as it is, out of the way until it is asked for."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _prose(text: str) -> str:
    """Return paragraphs; what stands between backticks is code."""
    return "".join(f"<p>{_inline(each)}</p>" for each in text.split("\n\n") if each.strip())


def _inline(text: str) -> str:
    return CODE.sub(r"<code>\1</code>", escape(text))


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
    text = _inline(part.get("description", ""))
    example = part.get("example")
    return text if example is None else f"{text} For example {_code(str(example))}".strip()


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
