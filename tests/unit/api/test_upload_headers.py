"""What an upload announces, and what is made of announcements that make no sense."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from eurydice_core.api.upload_headers import announced_digests, idempotency_key
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest

SHA256 = hashlib.sha256(b"x").digest()
SHA512 = hashlib.sha512(b"x").digest()
ALICE = Account(
    id=uuid.UUID(int=1),
    username="alice",
    profile=bytes(8),
    priority=0,
    is_active=True,
    is_staff=False,
    sees_metrics=False,
    quota_size=None,
    quota_files=None,
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    last_access=None,
)


def headers(*pairs):
    return Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in pairs])


def sf(data):
    return f":{base64.b64encode(data).decode()}:"


def test_digests_of_both_headers_and_all_their_lines_count():
    announced = headers(
        ("content-digest", f"md5=:abc:, sha-256={sf(SHA256)};q=1"),
        ("repr-digest", "unixsum=:AA==:"),
        ("repr-digest", f" sha-512={sf(SHA512)} , sha-256={sf(SHA256)}"),
    )
    assert announced_digests(announced) == {"sha-256": SHA256, "sha-512": SHA512}


def test_no_digest_is_announced_by_most():
    assert announced_digests(headers(("content-type", "x"))) == {}


@pytest.mark.parametrize(
    "value",
    [
        "sha-256=abc",
        "sha-256=:abc:",
        "sha-256",
        f"sha-256={sf(SHA256[:-1])}",
        f"sha-512={sf(SHA256)}",
        f"sha-256={sf(SHA256)}, sha-256={sf(bytes(32))}",
    ],
)
def test_a_digest_that_cannot_be_verified_is_refused(value):
    with pytest.raises(InvalidRequest, match="sha-256"):
        announced_digests(headers(("repr-digest", value)))


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")))
def test_any_digest_header_is_read_or_refused(value):
    try:
        found = announced_digests(headers(("content-digest", value)))
    except InvalidRequest:
        return
    assert all(len(digest) in (32, 64) for digest in found.values())


def key(value, **announced):
    return idempotency_key(headers(("idempotency-key", value)), ALICE, announced)


def test_a_key_is_the_same_with_and_without_quotes():
    assert key('"8e03978e"') == key(" 8e03978e ")
    assert key('"8e03978e"') != key('"8e03978f"')


def test_a_key_knows_what_was_announced_with_it():
    assert key("k", size=1).request == key("k", size=1).request
    assert key("k", size=1).request != key("k", size=2).request
    assert key("k", size=1).digest == key("k", size=2).digest


@pytest.mark.parametrize(
    "value", ["", '""', '"a"b"', "a b", '"é"', '"' + "k" * 256 + '"', "k" * 256]
)
def test_what_cannot_be_a_key_is_refused(value):
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        key(value)


def test_most_uploads_have_no_key():
    assert idempotency_key(headers(), ALICE, {}) is None
