"""The table of docs/reference/compatibility.md: print it, or put it into the page.

.venv/bin/python scripts/api_differences.py [--write]

Compares our OpenAPI documents with docs/reference/existing_api.json, which describes the REST
API of the existing system. A difference without a reason in `REASONS` is an error, and so is a
reason without a difference.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eurydice_core.api.app import ROUTERS, schema_of
from eurydice_core.model.states import Side

REFERENCE: Final = Path(__file__).parents[1] / "docs/reference"
FACTS: Final = REFERENCE / "existing_api.json"
PAGE: Final = REFERENCE / "compatibility.md"
BLOCK: Final = re.compile(
    r"(?<=<!-- differences -->\n).*?(?=<!-- end of differences -->)", re.DOTALL
)
ERRORS: Final = "every error"
SIGNED_IN: Final = "wherever a user signs in"
EVERYWHERE: Final = {("status", "429"), ("status", "503")}
"""Status codes of every operation with an account, listed in one row."""
SUCCESS: Final = re.compile(r"[23]\d\d")
ENCRYPTION: Final = "encryption in the browser is not offered, see above"
PROBLEM: Final = "the body is a problem (RFC 9457); the text is in `detail`"

REASONS: Final[Sequence[tuple[str, str]]] = (
    (
        r"missing operation .*/(?:(?:init|finalize)-multipart-upload|file-part)/",
        ENCRYPTION,
    ),
    (r"missing field encoded_public_key Metadata", ENCRYPTION),
    (r"undescribed operation GET /api/v1/schema", "answers, with JSON only"),
    (r"undescribed operation GET /api/docs/", "answers with a page that has no scripts"),
    (r"undescribed operation DELETE /api/v1/transferables/delete/", "answers as before"),
    (r"added operation GET /(?:metrics|healthz|readyz)", "monitoring"),
    (r"added operation \S+ \S+/repair/", "repair tickets"),
    (r"added operation POST /api/v1/user/logout/", "ends a session"),
    (r"added operation \S+ /api/v1/user/token/", "as in 1.8"),
    (
        r"added status (?:204|302) GET /api/v1/user/login/?",
        "204 with a slash at the end, 302 without",
    ),
    (r"added status 429 .*", "the throttle, and the lockout after wrong passwords"),
    (r"added status 503 .*", "the database or the storage is away: was 500"),
    (r"added status 507 .*", "no room is left: was 500"),
    (r"added status 408 POST .*", "the upload stalled or trickled"),
    (r"added status 417 POST .*", "an `Expect` other than `100-continue`"),
    (r"added status 501 POST .*", "a `Transfer-Encoding` other than `chunked`"),
    (r"added status (?:409|410|422) POST /api/v1/transferables/", "of an `Idempotency-Key`"),
    (r"added status (?:206|304|412|416) .*/download/", "ranges and conditions of RFC 9110"),
    (r"added status 307 .*/download/", "the storage delivers the file itself, if it is set up so"),
    (r"added parameter header (?:If-.*|Range) .*", "ranges and conditions of RFC 9110"),
    (
        r"added parameter header (?:Content-Digest|Repr-Digest|Idempotency-Key) .*",
        "verified and repeatable uploads",
    ),
    (r"added field sha256 .*", "SHA-1 no longer proves that a file is the same"),
    (r"added field (?:speed|estimated_finish_date) .*", "as in 1.1"),
    (r"added field encryption_enabled .*", "as in 1.8; always false"),
    (r"added field quota .*", "only for users who have a quota"),
    (r"added field (?:type|title|status|instance|request_id) every error", "RFC 9457"),
    (r"added field detail every error", "errors of fields and tokens have it too"),
    (r"different media type .* every error", "RFC 9457"),
    (r"missing field (?:\{field\}|token) every error", "is sent as before, beside `detail`"),
    (r"missing field error every error", PROBLEM),
    (r"different body .*", PROBLEM),
)


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not the same in the two descriptions."""

    change: str
    """`missing`, `added`, `different` or `undescribed` (answered here, not in our document)."""
    kind: str
    name: str
    where: str
    side: str

    @property
    def reason(self) -> str | None:
        """Why it differs; None if nobody wrote a reason."""
        text = f"{self.change} {self.kind} {self.name} {self.where}".rstrip()
        return next((why for pattern, why in REASONS if re.fullmatch(pattern, text)), None)


class Ours:
    """The description of one side's API here, in the terms of the facts file."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.document = schema_of(side)
        self.operations = {
            f"{method.upper()} {path}": operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }
        self.routed = {
            f"{method} {getattr(route, 'path', '').rstrip('/')}"
            for router in ROUTERS[side]
            for route in router.routes
            for method in getattr(route, "methods", ())
        }

    def resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a schema that is no reference."""
        while "$ref" in node:
            node = self.document["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]
        return node

    def type_of(self, node: Mapping[str, Any]) -> str:
        """Return a type as the facts file writes it; an object is `object`."""
        node = self.resolved(node)
        if "anyOf" in node:
            return " or ".join(self.type_of(each) for each in node["anyOf"])
        if "enum" in node:
            return "one of " + ", ".join(sorted(node["enum"]))
        if node.get("type") == "array":
            return f"array of {self.type_of(node['items'])}"
        return str(node.get("format") or node.get("type") or "any")


class Comparison:
    """Compares one side with one version of the existing system."""

    def __init__(self, facts: Mapping[str, Any], ours: Ours, version: str) -> None:
        self.side = ours.side.value
        self.schemas = of_version(facts["schemas"], version)
        self.theirs = of_version(facts["operations"], version)
        self.version = version
        self.ours = ours

    def differences(self) -> Iterator[Difference]:
        """Yield all that differs, operation by operation."""
        matched = set()
        for name, operation in self.theirs.items():
            key = name if name in self.ours.operations else f"{name}/"
            if key in self.ours.operations:
                matched.add(key)
                yield from self._operation(name, operation, self.ours.operations[key])
            else:
                change = "undescribed" if name.rstrip("/") in self.ours.routed else "missing"
                yield self._difference(change, "operation", name, "")
        for name in self.ours.operations.keys() - matched:
            yield self._difference("added", "operation", name, "")

    def _difference(self, change: str, kind: str, name: str, where: str) -> Difference:
        return Difference(change, kind, name, where, self.side)

    def _sets(
        self, kind: str, theirs: set[str], ours: set[str], where: str
    ) -> Iterator[Difference]:
        for change, names in (("missing", theirs - ours), ("added", ours - theirs)):
            for name in names:
                at = SIGNED_IN if (kind, name) in EVERYWHERE else where
                yield self._difference(change, kind, name, at)

    def _operation(
        self, name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]
    ) -> Iterator[Difference]:
        parameters = {f"{each['in']} {each['name']}" for each in ours.get("parameters", ())}
        yield from self._sets("parameter", set(theirs.get("parameters", ())), parameters, name)
        request = set(ours.get("requestBody", {}).get("content", {}))
        yield from self._sets("request", set(theirs.get("request", ())), request, name)
        yield from self._sets("status", set(theirs["responses"]), set(ours["responses"]), name)
        if theirs.get("operation_id", ours["operationId"]) != ours["operationId"]:
            yield self._difference("different", "operation id", theirs["operation_id"], name)
        for status in theirs["responses"].keys() & ours["responses"].keys():
            content = ours["responses"][status].get("content", {})
            for body in theirs["responses"][status]:
                yield from self._body(status, body, content, name)

    def _body(
        self, status: str, body: str, content: Mapping[str, Any], name: str
    ) -> Iterator[Difference]:
        is_error = not SUCCESS.fullmatch(status)
        where = ERRORS if is_error else name
        media_type = next(iter(content), "none")
        expected = body if "/" in body else "application/json"
        if media_type != expected:
            name_of_both = f"{expected}, here {media_type}"
            yield self._difference("different", "media type", name_of_both, where)
        if body not in self.schemas:
            return
        node = content.get(media_type, {}).get("schema", {})
        if isinstance(self.schemas[body], dict):
            at = where if is_error else body
            yield from self._fields(body, self.ours.resolved(node), at)
        elif node and self.schemas[body] != self.ours.type_of(node):
            yield self._difference("different", f"body of {status}", self.schemas[body], name)

    def _fields(self, schema: str, ours: Mapping[str, Any], where: str) -> Iterator[Difference]:
        theirs = of_version(self.schemas[schema], self.version)
        fields = ours.get("properties", {})
        yield from self._sets("field", set(theirs), set(fields), where)
        for name in theirs.keys() & fields.keys():
            written = theirs[name]["type"] if isinstance(theirs[name], dict) else theirs[name]
            inner = written.removeprefix("array of ")
            node = self.ours.resolved(fields[name])
            if isinstance(self.schemas.get(inner), dict):
                node = self.ours.resolved(node["items"]) if inner != written else node
                yield from self._fields(inner, node, inner)
                continue
            if inner in self.schemas:
                written = "one of " + ", ".join(sorted(self.schemas[inner]))
            here = self.ours.type_of(node)
            if written != here:
                both = f"{name}: {written}, here {here}"
                yield self._difference("different", "field", both, where)


def of_version(named: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return those that a version of the existing system has."""
    return {
        name: each
        for name, each in named.items()
        if not isinstance(each, dict) or version in each.get("versions", [version])
    }


def found() -> dict[Difference, list[str]]:
    """Return the differences, with the versions that each is from."""
    facts = json.loads(FACTS.read_text())
    differences: dict[Difference, list[str]] = {}
    for side in Side:
        ours = Ours(side)
        for version in facts["versions"]:
            compared = Comparison(facts["sides"][side.value], ours, version)
            for each in sorted(set(compared.differences())):
                differences.setdefault(each, []).append(version)
    return differences


def rows(differences: Mapping[Difference, Sequence[str]]) -> Iterator[str]:
    """Yield the rows of the table; what differs alike in many places is one row."""
    places: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for each, versions in sorted(differences.items()):
        key = (each.change, each.kind, each.name, " and ".join(versions), each.reason or "")
        places.setdefault(key, {}).setdefault(each.where, []).append(each.side)
    names: dict[tuple[str, ...], list[str]] = {}
    for (change, kind, name, of, reason), sides_at in places.items():
        where = "<br>".join(place(at, sides) for at, sides in sides_at.items())
        names.setdefault((change, kind, where, of, reason), []).append(f"`{name}`")
    for (change, kind, where, of, reason), alike in names.items():
        yield f"| {change} | {kind} {', '.join(alike)} | {where} | {of} | {reason} |"


def place(where: str, sides: Sequence[str]) -> str:
    """Return one place of a difference."""
    at = f"`{where}`" if where not in ("", ERRORS, SIGNED_IN) else where
    return ": ".join(filter(None, ["" if len(sides) > 1 else sides[0], at])) or "both sides"


def table() -> str:
    """Return the block of the page.

    Raises:
        SystemExit: a difference has no reason, or a reason has no difference.
    """
    differences = found()
    lines = [f"{each} has no reason" for each in differences if each.reason is None]
    used = {each.reason for each in differences}
    lines += [f"no difference has the reason {why!r}" for _, why in REASONS if why not in used]
    if lines:
        raise SystemExit("\n".join(lines))
    head = ["", "| here | what | where | against | why |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows(differences), "", ""])


def main() -> None:
    """Print the table, or write it where it belongs."""
    if "--write" in sys.argv[1:]:
        block = table()
        PAGE.write_text(BLOCK.sub(lambda _: block, PAGE.read_text()))
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
