"""The receiver's disks, processes and descriptors fail for a while; nothing is lost."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MIB = 2**20
FILES = 20


@contextmanager
def uploading(sites, tools) -> Iterator[None]:
    """Upload half of the files before the block and half of them in it; expect all afterwards.

    The receiver's memory is too small for them, so that some go through its spool.
    """
    sites.origin.start()
    sites.destination.start()
    ((sender, fetcher),) = sites.users(1)
    sent = []

    def upload() -> None:
        content = tools.content(MIB, len(sent))
        id = tools.upload(sender, content, f"file-{len(sent)}")["id"]
        sent.append((id, content.sha256.hexdigest()))

    for _ in range(FILES // 2):
        upload()
    yield lambda: [upload() for _ in range(FILES - len(sent))]
    tools.expect_each_once(fetcher, sent, 120)
    tools.wait_until(lambda: sites.destination.readiness()[0] == 200, 60, "ready again")
    assert "Traceback" not in sites.destination.said()


@pytest.fixture
def small_memory(make_sites):
    return make_sites(destination={"RECEIVER__BUFFER_SIZE": "1MiB", "STORAGE__MIN_FREE": "0"})


@pytest.fixture
def make_read_only():
    """Make directories read-only, for those who open files; return what ends that.

    A mount is over them, as the kernel makes no file system read-only while a file is open
    for writing.
    """
    mounted: list[Path] = []

    def mount(*options: str) -> None:
        done = subprocess.run(["mount", *options], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting needs root: {done.stderr.decode()}")

    def restore() -> None:
        while mounted:
            subprocess.run(["umount", "-l", str(mounted.pop())], check=True)

    def make(*directories: Path):
        for directory in directories:
            mount("--bind", str(directory), str(directory))
            mounted.append(directory)
            mount("-o", "remount,bind,ro", str(directory))
        return restore

    yield make
    restore()


def test_disks_that_turn_read_only_are_waited_for(small_memory, tools, make_read_only):
    destination = small_memory.destination
    with uploading(small_memory, tools) as upload_rest:
        receiver = destination.service("receiver").pid
        restore = make_read_only(destination.home / "data", destination.home / "state")
        upload_rest()
        tools.wait_until(lambda: destination.readiness()[0] == 503, 60, "not ready")
        tools.wait_until(lambda: "nothing is lost" in destination.said(), 60, "it is said")
        restore()
    assert destination.service("receiver").pid == receiver


def test_killed_collector_and_receiver_lose_nothing(small_memory, tools):
    destination = small_memory.destination
    with uploading(small_memory, tools) as upload_rest:
        (collector,) = destination.service("receiver").children()
        collector.kill()
        upload_rest()
        receiver = destination.service("receiver")
        receiver.kill()
        receiver.wait(10)
    assert destination.service("receiver").pid != receiver.pid


@pytest.mark.scale
def test_receiver_out_of_descriptors_goes_on_by_itself(small_memory, tools):
    destination = small_memory.destination
    with uploading(small_memory, tools) as upload_rest:
        receiver = destination.service("receiver")
        limits = receiver.rlimit(resource.RLIMIT_NOFILE)
        receiver.rlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        (collector,) = receiver.children()
        collector.kill()
        upload_rest()
        tools.wait_until(lambda: "LimitNOFILE" in destination.said(), 60, "it is said")
        tools.wait_until(lambda: destination.readiness()[0] == 503, 60, "not ready")
        receiver.rlimit(resource.RLIMIT_NOFILE, limits)
    assert destination.service("receiver").pid == receiver.pid
