"""How to call each operation: with curl, and from Python."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any, Final

from eurydice_core.api.openapi.examples import BODIES

__all__ = ["samples_of"]

FILE: Final = "report.pdf"
BINARY: Final = "application/octet-stream"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation as somebody calls it."""

    method: str
    path: str
    side: str
    ways: Collection[str]
    """Names of the ways to say who one is."""
    body_type: str | None
    body: Any
    answer: str
    """The type of what comes back; empty if nothing does."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The variable that has this side's host."""
        return f"EURYDICE_{self.side.upper()}_HOST"

    @property
    def secret(self) -> str:
        """The variable that has the API token."""
        return f"EURYDICE_{self.side.upper()}_AUTHTOKEN"

    @property
    def by_token(self) -> bool:
        """Whether an API token says who one is."""
        return "tokenAuth" in self.ways

    @property
    def by_password(self) -> bool:
        """Whether only a password does."""
        return "basicAuth" in self.ways and not self.by_token


def samples_of(
    operation: dict[str, Any], method: str, path: str, side: str
) -> list[dict[str, str]]:
    """Return the samples of an operation, in the form that documentation tools show."""
    body_type = next(iter(operation.get("requestBody", {}).get("content", ())), None)
    answers = [answer for status, answer in operation["responses"].items() if status < "300"]
    call = Call(
        method=method.upper(),
        path=path,
        side=side,
        ways={name for way in operation["security"] for name in way},
        body_type=body_type,
        body=BODIES.get((operation["operationId"], body_type or "")),
        answer=next(iter(answers[0].get("content", ())), ""),
        headers={"Metadata-Name": FILE} if body_type == BINARY else {},
    )
    return [
        {"lang": "bash", "label": "cURL", "source": _curl(call)},
        {"lang": "python", "label": "Python (requests)", "source": _python(call)},
    ]


def _curl(call: Call) -> str:
    url = f'"https://${call.host}{call.path.replace("{id}", "$TRANSFERABLE_ID")}"'
    words = ["curl --fail --silent --show-error"]
    if call.method != "GET" and not (call.method == "POST" and call.body_type == JSON):
        words.append(f"--request {call.method}")
    if call.by_token:
        words.append(f'--header "Authorization: Token ${call.secret}"')
    if call.by_password:
        words.append('--user "$EURYDICE_USER:$EURYDICE_PASSWORD"')
    words += [f'--header "{name}: {value}"' for name, value in call.headers.items()]
    if call.body_type is not None:
        words.append(f'--header "Content-Type: {call.body_type}"')
    if call.body_type == BINARY:
        words.append(f"--upload-file {FILE}")
    elif call.body_type is not None:
        words.append(f"--data '{json.dumps(call.body)}'")
    if call.answer == BINARY:
        words.append("--location --remote-name --remote-header-name")
    return " \\\n  ".join([*words, url])


def _python(call: Call) -> str:
    path = call.path.replace("{id}", "{os.environ['TRANSFERABLE_ID']}")
    headers = []
    if call.by_token:
        headers.append(f'"Authorization": f"Token {{os.environ[\'{call.secret}\']}}"')
    headers += [f'"{name}": "{value}"' for name, value in call.headers.items()]
    if call.body_type not in (None, JSON):
        headers.append(f'"Content-Type": "{call.body_type}"')
    arguments = [f"f\"https://{{os.environ['{call.host}']}}{path}\""]
    if headers:
        arguments.append("headers={" + ", ".join(headers) + "}")
    if call.body_type == BINARY:
        arguments.append("data=file")
    elif call.body_type is not None:
        arguments.append(f"{'json' if call.body_type == JSON else 'data'}={call.body!r}")
    if call.by_password:
        arguments.append("auth=(os.environ['EURYDICE_USER'], os.environ['EURYDICE_PASSWORD'])")
    arguments.append("timeout=60")
    listed = "".join(f"    {argument},\n" for argument in arguments)
    ask = f"response = requests.{call.method.lower()}(\n{listed})"
    if call.body_type == BINARY:
        ask = f'with open("{FILE}", "rb") as file:\n{indent(ask, "    ")}'
    return f"import os\n\nimport requests\n\n{ask}\nresponse.raise_for_status()\n{_use(call)}"


def _use(call: Call) -> str:
    if call.answer == JSON:
        return "print(response.json())"
    if call.answer == BINARY:
        return f'with open("{FILE}", "wb") as file:\n    file.write(response.content)'
    return "print(response.text)" if call.answer else "print(response.status_code)"
