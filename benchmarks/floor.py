"""What the server itself can do: bare ASGI applications on Granian, without any of ours.

    python benchmarks/floor.py PORT DIRECTORY

`POST` hashes what comes (SHA-256) and writes it to a file, made durable at the end;
`GET` serves a file of the directory with the extension that the server has for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server import Server


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    directory = Path(os.environ["FLOOR"])
    if scope["method"] == "GET":
        path = directory / scope["path"].lstrip("/")
        headers = [(b"content-length", str(path.stat().st_size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(path)})
        return
    hasher = hashlib.sha256()
    with (directory / "uploaded").open("wb", buffering=0) as file:
        more = True
        while more:
            message = await receive()
            body, more = message.get("body", b""), message.get("more_body", False)
            hasher.update(body)
            file.write(body)
        os.fsync(file.fileno())
    body = hasher.hexdigest().encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    port, os.environ["FLOOR"] = int(sys.argv[1]), sys.argv[2]
    Server(
        f"{Path(__file__).stem}:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
