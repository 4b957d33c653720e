"""The demo: a real link, every byte compared, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import signal

import httpx
import psutil
import pytest

from eurydice_core.testing.diode import Fault, Trace

pytestmark = pytest.mark.e2e
PATIENCE = 100.0


@pytest.fixture
def demo(eurydice):
    """Run a demo that must go well; return its report."""

    def run(*arguments):
        code, out, err = eurydice("demo", "--json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def test_files_of_any_name_and_size_cross_with_the_default_plugins(demo, environ, tmp_path):
    contents = {
        "leer": b"",
        "Übergröße ☃ (1).tar.gz": b"x" * 3_000_001,
        "a/same name": b"first",
        "b/same name": b"second",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    report = demo(*(tmp_path / name for name in contents))
    assert report["ok"]
    assert [(file["name"], file["size"], file["sha256"]) for file in report["files"]] == [
        (name.rpartition("/")[2], len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    ]
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert list(stages) == ["upload", "sent", "received", "download"]
    assert all(stage["seconds"] > 0 for stage in stages.values())
    peaks = {(peak["side"], peak["process"]): peak["bytes"] for peak in report["peak_memory"]}
    assert {"api", "sender", "cleaner"} <= {role for side, role in peaks if side == "origin"}
    assert {"api", "receiver"} <= {role for side, role in peaks if side == "destination"}
    assert min(peaks.values()) > 2**20
    assert not list((tmp_path / "tmp").iterdir())


def test_an_s3_server_and_another_scheduler(demo):
    report = demo("--size", "6MiB", "--storage", "storage_minio", "--scheduler", "scheduler_fifo")
    assert report["plugins"] == {
        "storage": "storage_minio",
        "scheduler": "scheduler_fifo",
        "transport": "transport_udp",
    }
    assert report["files"][0]["size"] == 6 * 2**20


def test_a_bad_link_is_repaired_or_crossed_again(demo, tmp_path):
    trace = tmp_path / "trace"
    report = demo(
        "--size", "24MiB", "--loss", "3%", "--duplicate", "1%", "--reorder", "1%",
        "--corrupt", "0.1%", "--burst", "1MB", "--burst-every", "16MB", "--seed", "7",
        "--trace", trace,
    )  # fmt: skip
    assert report["ok"]
    told = report["bad_link"]
    assert told["faults"]["loss"] == 0.03
    link = told["link"]
    assert link["bursts"] >= 1
    assert link["lost"] > 0.03 * link["datagrams"] / 2
    assert link["duplicated"] > 0 < link["delayed"]
    assert told["transport"]["repaired"] > 0
    assert told["receiver"]["packets"] > 0
    losses = [each for each in Trace.read(trace).incidents if each.fault is Fault.LOSE]
    lost = {number for each in losses for number in range(each.at, each.at + each.amount)}
    assert len(lost) == link["lost"]


def test_a_demo_that_is_kept_can_be_used_and_ends_with_a_signal(start, written_by, tmp_path):
    process = start("demo", "--json", "--keep", "--size", "1MiB", "--transport", "transport_lidi")
    report = json.loads(written_by(process.stdout).wait_for(r"\n}\n"))
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 8
    sides = report["sides"]
    name = {"Metadata-Name": "by hand", "Content-Type": "application/octet-stream"}
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        for side, count in (("origin", 1), ("destination", 1)):
            access = sides[side]
            auth = (access["user"], access["password"])
            listed = client.get(f"{access['url']}/api/v1/transferables/", auth=auth).json()
            assert listed["count"] == count
        origin = sides["origin"]
        answer = client.post(
            f"{origin['url']}/api/v1/transferables/",
            headers={**name, "Authorization": f"Token {origin['token']}"},
            content=b"more",
        )
        assert answer.status_code == 201
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    assert list((tmp_path / "tmp").iterdir()), "what was kept is there"


def test_a_demo_that_fails_says_where_to_look(eurydice, tmp_path):
    code, _, err = eurydice(
        "demo", "--size", "1MiB", "--dir", tmp_path / "kept", "--set", "origin.upload.max_size=1"
    )
    assert code == 1
    log = tmp_path / "kept" / "origin" / "eurydice.log"
    assert f"the last lines of {log}:" in err
    assert "the file is larger than 1 bytes" in err
    assert err.endswith(f"(everything is kept in {tmp_path / 'kept'})\n")
    assert "sender started" in log.read_text()
