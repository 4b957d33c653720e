from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eurydice_core.testing.s3_server import S3Server, s3_server
from eurydice_storage_minio import Settings

MIB = 2**20


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def make_settings(server: S3Server) -> Callable[..., Settings]:
    """Settings for a bucket of the test's own, which does not exist yet."""

    def make(**changes: Any) -> Settings:
        values = {
            "endpoint_url": server.endpoint_url,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
            "bucket": f"test-{secrets.token_hex(6)}",
            "prefix": "some/where",
            "create_bucket": True,
            "part_size": 5 * MIB,
            "retries": 1,
        }
        return Settings.model_validate(values | changes)

    return make
