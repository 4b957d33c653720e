"""HTML reference page of an OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final
from urllib.parse import quote

__all__ = ["STYLE", "page"]

Part = Mapping[str, Any]
"""A part of an OpenAPI document."""

Operation = tuple[str, str, Part]
"""Method, path, description."""

REFERENCE: Final = "#/components/schemas/"
UNTAGGED: Final = "Other"  # what an embedder adds may have no tag
MONITORING: Final = "Monitoring"
CODE: Final = re.compile("`([^`]+)`")
STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --muted: #57606a; --line: #d0d7de;
  --quiet: #f3f5f8; --accent: #01426a; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --text: #e6e9ed; --muted: #a3adb8;
  --line: #3a424c; --quiet: #20262d; --accent: #7cc4f0; } }
*, ::before, ::after { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; color: var(--text);
  background: var(--page); overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1rem 3rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { margin-top: 3rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2.5rem; font-size: 1.05rem; }
nav ul { list-style: none; padding: 0; margin: 0; }
nav a { display: inline-block; padding: .1rem 0; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; min-width: 40rem; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: .35rem 1rem .35rem 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-size: .9rem; }
td { overflow-wrap: break-word; }
td a { display: inline-block; min-width: 24px; min-height: 24px; }
pre { overflow-x: auto; padding: .75rem 1rem; background: var(--quiet); border-radius: .25rem; }
summary { cursor: pointer; padding: .25rem 0; }
"""


def page(document: Part, schema_url: str) -> str:
    """Return the HTML page of a document that `schema_url` serves as JSON."""
    return "\n".join(_page(document, schema_url))


def _page(document: Part, schema_url: str) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    schema = f'<a href="{escape(schema_url)}">the OpenAPI {document["openapi"]} document</a>'
    yield f"<p>For programs, download {schema}.</p>"
    yield _prose(document["info"].get("description", ""))
    yield from _authentication(document["components"].get("securitySchemes", {}))
    sections = _by_tag(document)
    yield from _contents(operation for section in sections.values() for operation in section)
    about = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    for tag, operations in sections.items():
        yield f"<h2>{escape(tag)}</h2>{_prose(about.get(tag, ''))}"
        for method, path, operation in operations:
            yield from _operation(method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</main></body></html>"


def _by_tag(document: Part) -> dict[str, list[Operation]]:
    """Return the operations of each tag; monitoring comes last."""
    sections: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", [UNTAGGED])[0]
            sections.setdefault(tag, []).append((method, path, operation))
    return dict(sorted(sections.items(), key=lambda section: section[0] == MONITORING))


def _contents(operations: Iterable[Operation]) -> Iterator[str]:
    """Yield a list of links to the operations."""
    yield '<nav aria-label="Operations"><h2>Operations</h2><ul>'
    for method, path, operation in operations:
        name = f"<code>{method.upper()} {escape(path)}</code>"
        yield f'<li><a href="#{quote(operation["operationId"])}">{name}</a></li>'
    yield "</ul></nav>"


def _operation(method: str, path: str, operation: Part) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<h3 id="{name}"><code>{method.upper()} {escape(path)}</code></h3>'
    yield _prose(operation.get("description", ""))
    yield f"<p>{_required(operation.get('security', ()))}</p>"
    yield from _table(
        f"Parameters of {name}",
        ("Parameter", "Sent in", "Type", "Description"),
        (
            (_code(each["name"]), each["in"], _type(each["schema"]), _meaning(each))
            for each in operation.get("parameters", ())
        ),
    )
    yield from _table(
        f"Request body of {name}",
        ("Request body", "Type"),
        (
            (_code(kind), _type(content.get("schema", {})))
            for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        ),
    )
    yield from _table(
        f"Responses of {name}",
        ("Status", "Body", "Description", "Headers"),
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
        f"Fields of {escape(name)}",
        ("Field", "Type", "Description"),
        (
            (_code(field), _type(each), _meaning(each))
            for field, each in schema.get("properties", {}).items()
        ),
    )
    if "enum" in schema:
        yield f"<p>{_type(schema)}</p>"
    for example in schema.get("examples", ()):
        yield _folded("Example", json.dumps(example, indent=2, ensure_ascii=False))


def _authentication(schemes: Mapping[str, Part]) -> Iterator[str]:
    if schemes:
        yield "<h2>Authentication</h2>"
    yield from _table(
        "Authentication",
        ("Method", "Sent in", "Description"),
        ((_code(name), _code(_place(each)), _meaning(each)) for name, each in schemes.items()),
    )


def _place(scheme: Part) -> str:
    if scheme["type"] == "http":
        return f"Authorization: {scheme['scheme'].title()} ..."
    return f"{scheme['name']} ({scheme['in']})"


def _required(security: Iterable[Part]) -> str:
    """Return a sentence: which authentication an operation needs."""
    ways = [" and ".join(map(_code, way)) for way in security]
    if not ways:
        return "No authentication needed."
    known = ", or ".join(filter(None, ways))
    return f"Authentication is optional: {known}." if "" in ways else f"Authentication: {known}."


def _headers(response: Part) -> str:
    return ", ".join(_code(name) for name in response.get("headers", ()))


def _folded(title: str, text: str) -> str:
    """Return preformatted text in an element that is closed at first."""
    sample = f'<pre tabindex="0">{escape(text)}</pre>'
    return f"<details><summary>{escape(title)}</summary>{sample}</details>"


def _prose(text: str) -> str:
    """Return paragraphs; text between backticks becomes `<code>`."""
    return "".join(f"<p>{_inline(each)}</p>" for each in text.split("\n\n") if each.strip())


def _inline(text: str) -> str:
    return CODE.sub(r"<code>\1</code>", escape(text))


def _table(label: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a table in a region that scrolls; nothing without rows. Cells and label are HTML."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if lines:
        yield f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table>'
        yield "<thead><tr>" + "".join(f'<th scope="col">{head}</th>' for head in heads)
        yield "</tr></thead><tbody>"
        yield from lines
        yield "</tbody></table></div>"


def _content(response: Part) -> str:
    kinds = (
        f"{_code(kind)} {_type(content.get('schema', {}))}"
        for kind, content in response.get("content", {}).items()
    )
    return "<br>".join(kinds)


def _type(schema: Part) -> str:
    """Return the type of a value; a named schema is a link to its section."""
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
    return text if example is None else f"{text} Example: {_code(str(example))}".strip()


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
