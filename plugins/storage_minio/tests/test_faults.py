"""What happens when the network or the server fails, between us and a real server."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eurydice_core.errors import ObjectMissing, StorageError, StorageFull, StorageUnavailable
from eurydice_core.testing.assembly import content, put_object
from eurydice_core.testing.s3_faults import Fault, Proxy, proxy_to
from eurydice_core.testing.s3_server import S3Server
from eurydice_storage_minio import Settings, http
from eurydice_storage_minio.client import open_storage
from eurydice_storage_minio.storage import S3Storage

pytestmark = pytest.mark.service

MIB = 2**20
MakeSettings = Callable[..., Settings]
TRANSIENT: tuple[Fault, ...] = ("reset", "hang", "503")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect more speed of the network than a user may."""
    monkeypatch.setattr(http, "SLOWEST", 20 * MIB)


@pytest.fixture
def proxy(server: S3Server) -> Iterator[Proxy]:
    with proxy_to(server.endpoint_url) as running:
        yield running


@pytest.fixture
def direct(make_settings: MakeSettings) -> S3Storage:
    storage = open_storage(make_settings(bucket="faults"))
    storage.check()
    return storage


@pytest.fixture
def storage(proxy: Proxy, direct: S3Storage, make_settings: MakeSettings) -> S3Storage:
    return open_storage(
        make_settings(
            bucket="faults",
            endpoint_url=proxy.url,
            retries=1,
            read_timeout=0.5,
            connect_timeout=0.5,
        )
    )


@pytest.mark.parametrize("fault", TRANSIENT)
def test_write_outlives_what_passes(
    storage: S3Storage, direct: S3Storage, proxy: Proxy, fault: Fault
) -> None:
    proxy.faults = [("PUT", fault), ("PUT", fault)]
    put_object(storage, "small", b"bytes")
    assert proxy.faults == []
    assert b"".join(direct.read("small")) == b"bytes"


@pytest.mark.parametrize("fault", TRANSIENT)
def test_every_request_of_a_long_write_may_fail_once(
    storage: S3Storage, direct: S3Storage, proxy: Proxy, fault: Fault
) -> None:
    data = content(12 * MIB)
    proxy.faults = [("PUT", fault), ("POST", fault), ("PUT", fault)]
    put_object(storage, "long", data)
    assert proxy.faults == []
    assert b"".join(direct.read("long")) == data


@pytest.mark.parametrize("fault", [*TRANSIENT, "cut"])
def test_download_goes_on_where_it_broke_off(
    storage: S3Storage, direct: S3Storage, proxy: Proxy, fault: Fault
) -> None:
    data = content(9 * MIB)
    put_object(direct, "download", data)
    chunks = storage.read("download")
    whole = [next(chunks)]
    proxy.faults = [("GET", fault)]
    put_object(direct, "another", data)
    whole += chunks
    whole += storage.read("another")
    assert proxy.faults == []
    assert b"".join(whole) == 2 * data


@pytest.mark.parametrize("fault", TRANSIENT)
def test_pieces_outlive_what_passes(
    storage: S3Storage, direct: S3Storage, proxy: Proxy, fault: Fault
) -> None:
    data = content(10 * MIB + 1)
    assembly = storage.assemble("pieces", piece_size=5 * MIB)
    proxy.faults = [("GET", fault), ("POST", fault), ("PUT", fault)]
    for start in range(0, len(data), 5 * MIB):
        assembly.put(start, data[start : start + 5 * MIB])
    assembly.checkpoint()
    proxy.faults += [("POST", fault)]
    assembly.commit(len(data))
    assert proxy.faults == []
    assert b"".join(direct.read("pieces")) == data


def test_lost_answer_to_the_last_request_is_made_good(
    storage: S3Storage, direct: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = storage.uploads.complete

    def twice(name: str, id: str, parts: object) -> None:
        complete(name, id, parts)  # type: ignore[arg-type]
        complete(name, id, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.uploads, "complete", twice)
    data = content(6 * MIB)
    put_object(storage, "answered", data)
    assert b"".join(direct.read("answered")) == data


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("reset", "no connection|the connection broke"),
        ("hang", "no answer in time: look into its log, or raise read_timeout"),
        ("503", "it is overloaded"),
    ],
)
def test_lasting_fault_is_told_and_leaves_nothing(
    storage: S3Storage, direct: S3Storage, proxy: Proxy, fault: Fault, line: str
) -> None:
    proxy.faults = [("PUT", fault)] * 20
    with pytest.raises(StorageUnavailable, match=line) as raised:
        put_object(storage, f"lasting-{fault}", content(6 * MIB))
    assert str(raised.value).startswith(f"the S3 server {proxy.url} failed: ")
    proxy.faults = []
    with pytest.raises(ObjectMissing):
        direct.size(f"lasting-{fault}")
    assert list(direct.list_keys(f"lasting-{fault}")) == []
    put_object(storage, f"lasting-{fault}", b"and on it goes")


def test_failed_piece_is_told_at_the_checkpoint_and_put_again(
    storage: S3Storage, direct: S3Storage, proxy: Proxy
) -> None:
    data = content(10 * MIB)
    assembly = storage.assemble("checkpoint", piece_size=5 * MIB)
    assembly.put(0, data[: 5 * MIB])
    state = assembly.checkpoint()
    proxy.faults = [("PUT", "503")] * 20
    assembly.put(5 * MIB, data[5 * MIB :])
    with pytest.raises(StorageUnavailable):
        assembly.checkpoint()
    proxy.faults = []
    assembly = storage.assemble("checkpoint", piece_size=5 * MIB, state=state)
    with pytest.raises(StorageError, match="1 of the 2 pieces"):
        assembly.commit(len(data))
    assembly.put(5 * MIB, data[5 * MIB :])
    assembly.commit(len(data))
    assert b"".join(direct.read("checkpoint")) == data


def test_full_server_is_told(storage: S3Storage, proxy: Proxy) -> None:
    proxy.faults = [("PUT", "507")] * 20
    with pytest.raises(StorageFull, match=r"no room left in bucket 'faults'.*the drives are full"):
        put_object(storage, "full", b"x")
    assembly = storage.assemble("full", piece_size=5 * MIB)
    assembly.put(0, bytes(5 * MIB))
    with pytest.raises(StorageFull):
        assembly.checkpoint()


def test_clocks_that_differ_are_told(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.check()
    monkeypatch.setattr("botocore.auth.get_current_datetime", past)
    with pytest.raises(StorageUnavailable, match="its clock and this machine's differ"):
        storage.check()


def past(*_: object, **__: object) -> object:
    return datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    place = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert"
    subprocess.run(command.split(), cwd=place, check=True, capture_output=True)
    return place


@pytest.fixture
def tls_proxy(server: S3Server, certificate: Path) -> Iterator[Proxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert", certificate / "key")
    with proxy_to(server.endpoint_url, tls=context) as running:
        yield running


@pytest.mark.parametrize("sign_payload", [True, False])
def test_server_with_a_certificate_of_our_own(
    tls_proxy: Proxy,
    direct: S3Storage,
    certificate: Path,
    make_settings: MakeSettings,
    sign_payload: bool,
) -> None:
    settings = make_settings(
        bucket="faults",
        endpoint_url=tls_proxy.url,
        ca_file=certificate / "cert",
        sign_payload=sign_payload,
    )
    storage = open_storage(settings)
    storage.check()
    data = os.urandom(6 * MIB)
    put_object(storage, "tls", data)
    assert b"".join(storage.read("tls")) == data


def test_certificate_nobody_trusts_is_told(
    tls_proxy: Proxy, direct: S3Storage, make_settings: MakeSettings
) -> None:
    storage = open_storage(make_settings(bucket="faults", endpoint_url=tls_proxy.url, retries=0))
    with pytest.raises(StorageUnavailable, match="its certificate is not trusted: set ca_file"):
        storage.check()


def test_payload_need_not_be_signed(direct: S3Storage, make_settings: MakeSettings) -> None:
    storage = open_storage(make_settings(bucket="faults", sign_payload=False))
    data = content(6 * MIB)
    put_object(storage, "unsigned", data)
    assert b"".join(direct.read("unsigned")) == data
