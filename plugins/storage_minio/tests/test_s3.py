from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, SSLError
from loguru import logger
from pydantic import ValidationError

from eurydice_core.errors import (
    ConfigurationError,
    ObjectMissing,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from eurydice_core.testing.assembly import content, put_object
from eurydice_core.testing.s3_server import S3Server
from eurydice_storage_minio import Settings
from eurydice_storage_minio.client import open_storage
from eurydice_storage_minio.errors import BucketMissing, translated
from eurydice_storage_minio.storage import S3Storage

MIB = 2**20

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="module")
def storage(make_settings: MakeSettings) -> S3Storage:
    storage = open_storage(make_settings(bucket="plain"))
    storage.check()
    return storage


@contextmanager
def counted(storage: S3Storage) -> Iterator[list[str]]:
    """Note every request of a storage."""
    requests: list[str] = []
    client = storage.filesystem.s3

    def note(model: Any, **_: Any) -> None:
        requests.append(model.name)

    client.meta.events.register("before-call.s3", note)
    try:
        yield requests
    finally:
        client.meta.events.unregister("before-call.s3", note)


def refusal(code: str, message: str = "the server's own words") -> OSError:
    """An answer of the server, as s3fs passes it on."""
    error = OSError(message)
    error.__cause__ = ClientError({"Error": {"Code": code, "Message": message}}, "PutObject")
    return error


@pytest.mark.service
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"secret_key": "wrong"}, "secret_key does not belong to access_key: check both"),
        ({"access_key": "nobody"}, "it does not know access_key: check it in [storage]"),
    ],
)
def test_wrong_keys_are_told(
    make_settings: MakeSettings, changes: dict[str, str], line: str
) -> None:
    storage = open_storage(make_settings(bucket="plain", **changes))
    with pytest.raises(StorageUnavailable) as raised:
        storage.check()
    assert line in str(raised.value)
    assert "wrong" not in str(raised.value), "a secret is in no message"


@pytest.mark.service
def test_wrong_keys_are_not_taken_for_missing_objects(make_settings: MakeSettings) -> None:
    storage = open_storage(make_settings(bucket="plain", secret_key="wrong"))
    with pytest.raises(StorageUnavailable, match="wrong keys, or keys that may not do this"):
        storage.size("a")


@pytest.mark.service
def test_missing_bucket_is_told_by_everything(
    make_settings: MakeSettings, server: S3Server
) -> None:
    storage = open_storage(make_settings(bucket="nowhere", create_bucket=False))
    uses = (
        storage.check,
        lambda: put_object(storage, "a", b"x"),
        lambda: storage.size("a"),
        lambda: next(storage.read("a")),
        lambda: storage.assemble("a", piece_size=5 * MIB).put(0, bytes(5 * MIB)),
    )
    for use in uses:
        with pytest.raises(BucketMissing) as raised:
            use()
        assert str(raised.value) == (
            f"no bucket 'nowhere' at {server.endpoint_url}:"
            " create it or set create_bucket = true in [storage]"
        )


@pytest.mark.service
def test_bucket_is_made_once(make_settings: MakeSettings) -> None:
    storage = open_storage(make_settings(bucket="made-here"))
    storage.check()
    storage.check()
    storage._create_bucket()  # as the other of two processes that start at once


def expiry(storage: S3Storage) -> dict[str, int]:
    """Return the days by prefix."""
    answer = storage.call("get_bucket_lifecycle_configuration")
    return {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in answer["Rules"]}


@pytest.mark.service
def test_expiry_follows_the_setting_and_leaves_other_rules_alone(
    make_settings: MakeSettings,
) -> None:
    def started(prefix: str, days: int | None) -> S3Storage:
        storage = open_storage(
            make_settings(bucket="expiring", prefix=prefix, expiration_days=days)
        )
        storage.check()
        return storage

    assert expiry(started("one", 8)) == {"one/": 8}
    assert expiry(started("two", 3)) == {"one/": 8, "two/": 3}
    storage = started("one", 9)
    assert expiry(storage) == {"one/": 9, "two/": 3}
    with counted(storage) as requests:
        storage.check()
        started("one", 9)
    assert "PutBucketLifecycleConfiguration" not in requests
    assert expiry(started("one", None)) == {"two/": 3}
    started("two", None)
    with pytest.raises(StorageError, match="NoSuchLifecycleConfiguration"):
        expiry(storage)


@pytest.mark.service
def test_server_without_expiry_is_told_and_no_reason_to_stop(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(make_settings(bucket="plain", expiration_days=8))
    call = storage.call

    def refusing(method: str, **arguments: Any) -> Any:
        if "lifecycle" in method:
            raise StorageUnavailable("not here")
        return call(method, **arguments)

    monkeypatch.setattr(storage, "call", refusing)
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    try:
        storage.check()
    finally:
        logger.remove(sink)
    assert lines == ["objects will not expire by themselves after 8 days: not here"]


def test_dead_endpoint_is_told(make_settings_offline: MakeSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        storage = open_storage(make_settings_offline(endpoint_url=url, retries=0))
        with pytest.raises(StorageUnavailable) as raised:
            storage.check()
    assert str(raised.value) == (
        f"the S3 server {url} failed: no connection: check endpoint_url, and that it runs"
    )


@pytest.fixture
def make_settings_offline() -> MakeSettings:
    def make(**changes: Any) -> Settings:
        values = {"bucket": "abc", "access_key": "ak", "secret_key": "sk"}
        return Settings.model_validate(values | changes)

    return make


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("RequestTimeTooSkewed"), StorageUnavailable, "clock and this machine's differ"),
        (refusal("XMinioStorageFull"), StorageFull, "no room left in bucket 'b' at s3"),
        (refusal("QuotaExceeded"), StorageFull, "no room left"),
        (refusal("AccessDenied"), StorageUnavailable, "allow them to read, write, list and delete"),
        (refusal("SlowDown"), StorageUnavailable, "overloaded"),
        (refusal("PermanentRedirect"), StorageUnavailable, "check region in"),
        (refusal("Odd"), StorageUnavailable, r"the server's own words \(Odd\)"),
        (refusal("NoSuchKey"), ObjectMissing, "no object 'k'"),
        (FileNotFoundError("b/k"), ObjectMissing, "no object 'k'"),
        (EndpointConnectionError(endpoint_url="s3"), StorageUnavailable, "that it runs"),
        (SSLError(endpoint_url="s3", error="bad"), StorageUnavailable, "set ca_file"),
        (TimeoutError(), StorageUnavailable, "no answer in time"),
        (ValueError("odd"), StorageUnavailable, "ValueError: odd"),
    ],
    ids=repr,
)
def test_failure_says_what_to_do(error: Exception, kind: type[StorageError], words: str) -> None:
    found = translated(error, key="k", bucket="b", server="s3")
    assert type(found) is kind
    with pytest.raises(kind, match=words):
        raise found


@pytest.mark.service
def test_small_object_is_one_request(storage: S3Storage) -> None:
    with counted(storage) as requests:
        put_object(storage, "small", b"x")
        assembly = storage.assemble("assembled", piece_size=5 * MIB)
        assembly.put(0, b"x")
        assembly.commit(1)
    assert requests == ["PutObject", "PutObject"]


@pytest.mark.service
def test_pieces_known_here_are_not_asked_for(storage: S3Storage) -> None:
    data = content(5 * MIB + 1)
    with counted(storage) as requests:
        assembly = storage.assemble("assembled", piece_size=5 * MIB)
        assembly.put(5 * MIB, data[5 * MIB :])
        assembly.put(0, data[: 5 * MIB])
        assembly.commit(len(data))
    assert requests[-4:] == [
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPart",
        "CompleteMultipartUpload",
    ]
    assert {name[:4] for name in requests[:-4]} == {"List"}, "whether an earlier try left anything"


@pytest.mark.service
def test_file_of_50_tib_has_a_place_for_every_piece(storage: S3Storage) -> None:
    assembly = storage.assemble("huge", piece_size=8 * MIB)
    last = 50 * 2**40 - 8 * MIB
    assembly.put(last, bytes(8 * MIB))
    assembly.put(0, bytes(8 * MIB))
    state = assembly.checkpoint()
    assert set(state["uploads"]) == {"0", str(last // (8 * MIB) // 10_000)}
    assert set(storage.list_keys("huge")) == {"huge"}
    assembly.abort()
    assert set(storage.list_keys("huge")) == set()


@pytest.mark.service
def test_long_object_goes_in_parts(storage: S3Storage) -> None:
    data = content(12 * MIB)
    with counted(storage) as requests:
        put_object(storage, "long", data)
    assert requests == [
        "CreateMultipartUpload",
        *["UploadPart"] * 3,
        "CompleteMultipartUpload",
    ]
    assert b"".join(storage.read("long")) == data


@pytest.mark.service
def test_object_of_too_many_parts_is_refused(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "max_parts", 2)
    with pytest.raises(StorageError, match=r"S3 takes 2 parts of 5\.0 MiB; raise part_size"):
        put_object(storage, "too-long", bytes(11 * MIB))
    assert list(storage.list_keys("too-long")) == []


@pytest.mark.service
def test_upload_the_server_cleaned_up_is_told(storage: S3Storage) -> None:
    assembly = storage.assemble("cleaned", piece_size=5 * MIB)
    assembly.put(0, bytes(5 * MIB))
    state = assembly.checkpoint()
    storage.assemble("cleaned", piece_size=5 * MIB).abort()
    resumed = storage.assemble("cleaned", piece_size=5 * MIB, state=state)
    resumed.put(5 * MIB, b"x")
    with pytest.raises(StorageError, match="'cleaned' cannot be completed: the S3 server"):
        resumed.commit(5 * MIB + 1)


@pytest.mark.service
def test_objects_of_another_prefix_are_not_seen(
    storage: S3Storage, make_settings: MakeSettings
) -> None:
    other = open_storage(make_settings(bucket="plain", prefix=""))
    put_object(storage, "here", b"x")
    with pytest.raises(ObjectMissing):
        other.size("here")


@pytest.mark.service
def test_large_stream_needs_the_memory_of_a_few_parts(make_settings: MakeSettings) -> None:
    storage = open_storage(make_settings(bucket="plain", parallel_parts=2))
    block = bytes(MIB)
    tracemalloc.start()
    try:
        with storage.write("large") as writer:
            for _ in range(128):
                writer.write(block)
        assert sum(map(len, storage.read("large"))) == 128 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    storage.delete(["large"])
    assert peak < 64 * MIB


@pytest.mark.service
def test_presigned_url_gives_the_object_with_the_headers_asked_for(
    make_settings: MakeSettings, storage: S3Storage
) -> None:
    put_object(storage, "a", b"bytes")
    signing = open_storage(make_settings(bucket="plain", presigned_downloads=True))
    headers = {"Content-Disposition": 'attachment; filename="a b"', "content-type": "text/x-odd"}
    url = signing.presigned_url("a", seconds=60, headers=headers)
    assert url is not None
    answer = httpx.get(url, trust_env=False)
    assert answer.content == b"bytes"
    assert answer.headers["content-disposition"] == headers["Content-Disposition"]
    assert answer.headers["content-type"] == "text/x-odd"
    assert httpx.get(url.partition("?")[0], trust_env=False).status_code == 403


@pytest.mark.service
def test_presigned_url_is_none_where_it_cannot_do_what_is_asked(
    make_settings: MakeSettings, storage: S3Storage
) -> None:
    assert storage.presigned_url("a", seconds=60, headers={}) is None
    signing = open_storage(make_settings(bucket="plain", presigned_downloads=True))
    assert signing.presigned_url("a", seconds=60, headers={"digest": "x"}) is None
    public = make_settings(
        bucket="plain", presigned_downloads=True, public_endpoint_url="https://s3.example"
    )
    put_object(storage, "a", b"x")
    url = open_storage(public).presigned_url("a", seconds=60, headers={})
    assert url is not None
    assert url.startswith("https://s3.example/")


def test_keys_may_be_in_files(tmp_path: Path, make_settings_offline: MakeSettings) -> None:
    (tmp_path / "access").write_text("from file\n")
    (tmp_path / "secret").write_text("secret from file\n")
    settings = make_settings_offline(
        access_key=None,
        secret_key=None,
        access_key_file=tmp_path / "access",
        secret_key_file=tmp_path / "secret",
    )
    filesystem = open_storage(settings).filesystem
    assert (filesystem.key, filesystem.secret) == ("from file", "secret from file")


def test_keys_may_be_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, make_settings_offline: MakeSettings
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    settings = make_settings_offline(
        access_key=None,
        secret_key=None,
        endpoint_url="https://s3.example",
        presigned_downloads=True,
    )
    filesystem = open_storage(settings).filesystem
    assert "of-the-environment" in filesystem.url("abc/a", expires=60)


@pytest.mark.parametrize(
    ("addressing", "begin"),
    [("path", "https://s3.example/abc/a?"), ("virtual", "https://abc.s3.example/a?")],
)
def test_bucket_is_in_the_path_or_in_the_host_name(
    make_settings_offline: MakeSettings, addressing: str, begin: str
) -> None:
    settings = make_settings_offline(endpoint_url="https://s3.example", addressing=addressing)
    url = open_storage(settings).filesystem.url("abc/a", expires=60)
    assert url.startswith(begin)


@pytest.mark.parametrize("setting", ["secret_key_file", "ca_file"])
def test_file_that_cannot_be_read_is_told(
    tmp_path: Path, make_settings_offline: MakeSettings, setting: str
) -> None:
    changes: dict[str, Any] = {setting: tmp_path / "nothing"}
    if setting == "secret_key_file":
        changes["secret_key"] = None
    with pytest.raises(ConfigurationError, match=rf"\[storage\] {setting}: cannot read .*nothing"):
        open_storage(make_settings_offline(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"bucket": "NOT A BUCKET"},
        {"secret_key": None},
        {"secret_key_file": "/x"},
        {"access_key_file": "/x"},
        {"part_size": "4MiB"},
        {"endpoint_url": "minio:9000"},
        {"prefix": "/x"},
        {"bukket": "x"},
    ],
)
def test_wrong_settings_are_refused(
    make_settings_offline: MakeSettings, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        make_settings_offline(**changes)


def test_secret_is_never_shown(make_settings_offline: MakeSettings) -> None:
    assert "hush" not in repr(make_settings_offline(secret_key="hush"))
