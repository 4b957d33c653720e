"""Sending a file: what is taken, what is refused, and what stays behind when it fails."""

from __future__ import annotations

import hashlib

import pytest


def test_an_upload_is_answered_with_the_transferable(origin):
    response = origin.upload(b"hello", Metadata_Name="hello.txt", metadata_foo_BAR="1")
    assert response.status_code == 201
    body = response.json()
    assert body["name"] == "hello.txt"
