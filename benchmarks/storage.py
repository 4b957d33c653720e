"""Speed and processor time of the storages, beside boto3 and obstore on the same S3 server.

    python benchmarks/storage.py                              # what is installed here
    python benchmarks/storage.py --python OTHER/bin/python    # boto3 and obstore of that one
    python benchmarks/storage.py --place /dev/shm             # no disk below the server

The server is SeaweedFS on this machine. Each client is a process of its own; of several
rounds, which take turns so that all meet the same neighbours, the best counts. MB/s are
10^6 bytes a second, processor seconds are the client's alone, per 10^9 bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20
BUCKET = "bench"
PARALLEL = 4
"""Requests beside each other, where a client lets us choose."""
SMALL = 10 * 1024
SMALL_COUNT = 100

CLIENTS = {
    "storage_fs": "eurydice_storage_fs",
    "storage_minio": "eurydice_storage_minio",
    "storage_minio, unsigned": "eurydice_storage_minio",
    "s3fs": "s3fs",
    "boto3": "boto3",
    "obstore": "obstore",
}
"""Who is measured, and what has to be installed for that."""
OURS = frozenset({"storage_fs", "storage_minio", "storage_minio, unsigned", "s3fs"})


@dataclass(frozen=True)
class Client:
    """What each of them can do."""

    put: Callable[[str, bytes], object]
    """Write a range, in one go."""
    multipart: Callable[[str, list[bytes]], object]
    """Write a file that comes in pieces."""
    get: Callable[[str], int]
    """Read a file as a stream; return its length."""


def main() -> None:
    arguments = parse_arguments()
    if arguments.client:
        print(json.dumps(measure(arguments)))
        return
    from eurydice_core.testing.s3_server import s3_server

    with (
        tempfile.TemporaryDirectory(dir=arguments.place) as place,
        s3_server(Path(place) / "s3") as server,
    ):
        access = {
            "endpoint_url": server.endpoint_url,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
            "directory": place,
        }
        prepare(access)
        results: dict[str, dict[str, list[float]]] = {}
        for _ in range(arguments.rounds):
            for name in CLIENTS:
                merge(results.setdefault(name, {}), run(name, access, arguments))
    report(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of the storages.")
    parser.add_argument("--size", type=int, default=64, help="MiB of a file")
    parser.add_argument("--piece", type=int, default=8, help="MiB of a piece, as ranges are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--place", type=Path, help="where the server keeps its data")
    parser.add_argument("--python", type=Path, help="that has boto3 and obstore")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(access: dict[str, str]) -> None:
    from eurydice_storage_minio.client import open_storage

    open_storage(minio_settings(access, sign_payload=True, create_bucket=True)).check()


def run(name: str, access: dict[str, str], arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Measure one client in a process of its own; nothing if it is not installed there."""
    python = sys.executable if name in OURS else str(arguments.python or sys.executable)
    sizes = [f"--size={arguments.size}", f"--piece={arguments.piece}"]
    # The keys go through standard input, since everybody may read a command line.
    done = subprocess.run(
        [python, __file__, f"--client={name}", *sizes],
        input=json.dumps(access),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Be one of the clients."""
    access = json.loads(sys.stdin.read())
    if importlib.util.find_spec(CLIENTS[arguments.client]) is None:
        return {}
    client = make(arguments.client, access)
    piece = os.urandom(arguments.piece * MIB)
    count = max(2, arguments.size // arguments.piece)
    pieces, total = [piece] * count, count * len(piece)
    name = "".join(filter(str.isalnum, arguments.client))
    client.put(f"{name}/warm", piece)
    small = os.urandom(SMALL)
    figures = {
        "small": timed(
            SMALL_COUNT * SMALL,
            lambda: [client.put(f"{name}/small{n}", small) for n in range(SMALL_COUNT)],
        ),
        "ranges": timed(total, lambda: [client.put(f"{name}/{n}", piece) for n in range(count)]),
        "pieces": timed(total, lambda: client.multipart(f"{name}/file", pieces)),
    }
    figures["read"] = timed(total, lambda: expect(client.get(f"{name}/file"), total))
    return figures


def timed(size: int, do: Callable[[], object]) -> tuple[float, float]:
    """Return MB/s, and processor seconds per GB."""
    began, before = time.perf_counter(), time.process_time()
    do()
    seconds, spent = time.perf_counter() - began, time.process_time() - before
    return size / 1e6 / seconds, spent / (size / 1e9)


def expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise SystemExit(f"{found} bytes came, not {wanted}")


def make(name: str, access: dict[str, str]) -> Client:
    makers = {
        "storage_fs": file_storage,
        "storage_minio": lambda access: minio_storage(access, sign_payload=True),
        "storage_minio, unsigned": lambda access: minio_storage(access, sign_payload=False),
        "s3fs": s3fs_client,
        "boto3": boto3_client,
        "obstore": obstore_client,
    }
    return makers[name](access)


def of_storage(storage: Any) -> Client:
    def put(name: str, data: bytes) -> None:
        with storage.write(name) as writer:
            writer.write(data)

    def multipart(name: str, pieces: list[bytes]) -> None:
        size = len(pieces[0])
        assembly = storage.assemble(name, piece_size=size)
        for first, some in enumerate(batched_pieces(pieces)):
            for number, piece in enumerate(some):
                assembly.put((first * PARALLEL + number) * size, piece)
            assembly.checkpoint()  # as after each packet
        assembly.commit(size * len(pieces))

    return Client(put, multipart, lambda name: sum(map(len, storage.read(name))))


def batched_pieces(pieces: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(pieces), PARALLEL):
        yield pieces[start : start + PARALLEL]


def file_storage(access: dict[str, str]) -> Client:
    from eurydice_storage_fs import Settings, open_storage

    return of_storage(open_storage(Settings(root=Path(access["directory"]) / "files")))


def minio_storage(access: dict[str, str], *, sign_payload: bool) -> Client:
    from eurydice_storage_minio.client import open_storage

    return of_storage(open_storage(minio_settings(access, sign_payload=sign_payload)))


def minio_settings(access: dict[str, str], **more: Any) -> Any:
    from eurydice_storage_minio import Settings

    given = {key: access[key] for key in ("endpoint_url", "access_key", "secret_key")}
    return Settings.model_validate({**given, "bucket": BUCKET, **more})


def s3fs_client(access: dict[str, str]) -> Client:
    from s3fs import S3FileSystem

    filesystem = S3FileSystem(
        endpoint_url=access["endpoint_url"], key=access["access_key"], secret=access["secret_key"]
    )

    def multipart(name: str, pieces: list[bytes]) -> None:
        with filesystem.open(f"{BUCKET}/{name}", "wb", block_size=len(pieces[0])) as file:
            for piece in pieces:
                file.write(piece)

    def get(name: str) -> int:
        with filesystem.open(f"{BUCKET}/{name}", "rb", cache_type="none") as file:
            return sum(map(len, iter(lambda: file.read(4 * MIB), b"")))

    return Client(lambda name, data: filesystem.pipe_file(f"{BUCKET}/{name}", data), multipart, get)


def boto3_client(access: dict[str, str]) -> Client:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint_url"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )

    def multipart(name: str, pieces: list[bytes]) -> None:
        where = {"Bucket": BUCKET, "Key": name}
        where["UploadId"] = client.create_multipart_upload(**where)["UploadId"]

        def send(number: int) -> dict[str, Any]:
            answer = client.upload_part(Body=pieces[number - 1], PartNumber=number, **where)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        with ThreadPoolExecutor(PARALLEL) as pool:
            parts = list(pool.map(send, range(1, len(pieces) + 1)))
        client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **where)

    def get(name: str) -> int:
        body = client.get_object(Bucket=BUCKET, Key=name)["Body"]
        return sum(map(len, body.iter_chunks(4 * MIB)))

    def put(name: str, data: bytes) -> None:
        client.put_object(Bucket=BUCKET, Key=name, Body=data)

    return Client(put, multipart, get)


def obstore_client(access: dict[str, str]) -> Client:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=access["endpoint_url"],
        access_key_id=access["access_key"],
        secret_access_key=access["secret_key"],
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    def multipart(name: str, pieces: list[bytes]) -> None:
        size = len(pieces[0])
        obstore.put(store, name, iter(pieces), chunk_size=size, max_concurrency=PARALLEL)

    def get(name: str) -> int:
        return sum(map(len, obstore.get(store, name).stream(min_chunk_size=4 * MIB)))

    return Client(
        lambda name, data: obstore.put(store, name, data, use_multipart=False), multipart, get
    )


def merge(best: dict[str, list[float]], found: dict[str, list[float]]) -> None:
    """Keep the higher speed and the lower cost."""
    for what, (speed, cost) in found.items():
        so_far = best.setdefault(what, [speed, cost])
        so_far[:] = [max(so_far[0], speed), min(so_far[1], cost)]


def report(results: dict[str, dict[str, list[float]]]) -> None:
    for what in ("small", "ranges", "pieces", "read"):
        rows = {name: found[what] for name, found in results.items() if what in found}
        best = max((speed for name, (speed, _) in rows.items() if name != "storage_fs"), default=1)
        print(f"\n{what:28}  MB/s  of best  CPU s/GB")
        for name, (speed, cost) in rows.items():
            share = "-" if name == "storage_fs" else f"{speed / best:.2f}"
            print(f"  {name:24} {speed:7.1f}  {share:>7}  {cost:8.2f}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
