"""Processes are started, started again, and ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from eurydice_core import supervisor
from eurydice_core.errors import ServiceError
from eurydice_core.supervisor import Child, Program, Supervisor

PATIENCE = 30.0
PROGRAM = Program("worker", ("worker",))


class FakeProcess:
    """A process whose fate the test decides."""

    pid = 1

    def __init__(self):
        self.code = None
        self.report = ""
        self.told = False
        self.stubborn = False
        self.closed = False

    def exit_code(self):
        return self.code

    def reported(self):
        return self.report

    def terminate(self):
        self.told = True

    def close(self, patience=0.0):
        self.closed = True
        return not self.stubborn


class World:
    """A supervisor of fake processes, and its clock."""

    def __init__(self, *names):
        self.time = 0.0
        self.started = []
        self.supervisor = Supervisor(
            [Program(name, (name,)) for name in names or ("worker",)],
            start=self.start,
            clock=lambda: self.time,
        )

    def start(self, program):
        process = FakeProcess()
        self.started.append((program.name, process))
        return process

    @property
    def last(self):
        return self.started[-1][1]

    def step_at(self, time):
        self.time = time
        self.supervisor.step()


@pytest.fixture
def lines():
    from loguru import logger

    written = []
    sink = logger.add(lambda message: written.append(message.record["message"]), level="INFO")
    yield written
    logger.remove(sink)


def test_a_process_that_was_killed_is_started_again_after_a_wait(lines):
    world = World()
    world.step_at(0)
    world.last.code = -signal.SIGKILL
    world.step_at(1)
    assert lines[-1] == "worker was killed by SIGKILL; starting it again in 0.5 s"
    assert world.last.closed
    world.step_at(1.4)
    assert len(world.started) == 1
    world.step_at(1.5)
    assert len(world.started) == 2


@pytest.mark.parametrize(
    ("code", "report", "said"),
    [
        (0, "", "worker ended; starting"),
        (3, "", "worker ended with exit code 3; starting"),
        (-64, "", "worker was killed by signal 64; starting"),
        (-signal.SIGSEGV, "", "worker was killed by SIGSEGV; starting"),
    ],
)
def test_the_log_says_how_it_ended(lines, code, report, said):
    if code == -64:
        code = -signal.SIGRTMIN - 1  # has no name
        said = f"worker was killed by signal {-code}; starting"
    world = World()
    world.step_at(0)
    world.last.code, world.last.report = code, report
    world.step_at(1)
    assert lines[-1].startswith(said)


def waits(world, count, lives=0.0):
    """Let the process die again and again; return the waits between end and start."""
    found = []
    for _ in range(count):
        if lives:
            world.step_at(world.time + lives)
        world.last.code = -9
        world.step_at(world.time)
        ended, starts = world.time, len(world.started)
        while len(world.started) == starts:
            world.step_at(world.time + 0.25)
        found.append(world.time - ended)
    return found


def test_the_waits_grow_to_a_limit():
    world = World()
    world.step_at(0)
    assert waits(world, 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_wait_is_short_again_once_the_process_lived_for_a_while():
    world = World()
    world.step_at(0)
    assert waits(world, 3) == [0.5, 1, 2]
    assert waits(world, 1, lives=supervisor.HEALTHY_AFTER) == [0.5]


def test_a_wrong_configuration_ends_everything_at_the_first_run():
    world = World("first", "second")
    world.step_at(0)
    world.last.code, world.last.report = os.EX_CONFIG, "port 7400 is in use"
    with pytest.raises(ServiceError, match=r"^port 7400 is in use$"):
        world.step_at(1)
    world.supervisor.end()
    assert world.started[0][1].told


def test_a_wrong_configuration_without_a_word_names_the_program():
    world = World()
    world.step_at(0)
    world.last.code = os.EX_CONFIG
    with pytest.raises(ServiceError, match="worker ended with exit code 78; what it wrote"):
        world.step_at(1)


@pytest.mark.parametrize("code", [0, 1, 3, -9])
@pytest.mark.parametrize("report", ["", "KeyError: a bug"])
def test_any_other_end_in_the_first_minute_is_followed_by_a_restart(lines, code, report):
    world = World()
    world.step_at(0)
    world.last.code, world.last.report = code, report
    world.step_at(1)
    assert lines[-1].endswith("starting it again in 0.5 s")
    world.step_at(1.5)
    assert len(world.started) == 2


def test_a_restarted_program_never_ends_the_others(lines):
    world = World()
    world.step_at(0)
    world.last.code = -9
    world.step_at(1)
    world.step_at(2)
    world.last.code, world.last.report = os.EX_CONFIG, "the port is in use for a moment"
    world.step_at(3)
    assert lines[-1].startswith("worker ended: the port is in use for a moment; starting it again")


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("cannot start worker: Too many open files"),
        BlockingIOError(11, "Resource temporarily unavailable"),
        OSError(24, "Too many open files"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("first", [True, False])
def test_a_start_that_fails_is_tried_again(lines, error, first):
    world = World()
    real, failing = world.start, iter([True] if first else [False, True])

    def start(program):
        if next(failing, False):
            raise error
        return real(program)

    for keeper in world.supervisor._keepers:
        keeper._start = start
    world.step_at(0)
    if not first:
        world.last.code = -9
        world.step_at(1)
        world.step_at(2)
    assert "cannot be started: " in lines[-1]
    world.step_at(10)
    assert len(world.started) == (1 if first else 2)


def test_every_end_is_told_with_its_reason():
    world = World()
    told = []
    for keeper in world.supervisor._keepers:
        keeper._on_end = lambda *end: told.append(end)
    world.step_at(0)
    world.last.code, world.last.report = 1, "a bug"
    world.step_at(1)
    assert told == [("worker", "ended: a bug")]


def test_a_process_that_worked_once_is_started_again_whatever_it_says(lines):
    world = World()
    world.step_at(0)
    world.step_at(supervisor.HEALTHY_AFTER)
    world.last.code, world.last.report = 1, "the disk is gone"
    world.step_at(100)
    assert lines[-1] == "worker ended: the disk is gone; starting it again in 0.5 s"
    world.step_at(101)
    world.last.code, world.last.report = 1, "the disk is still gone"
    world.step_at(102)
    assert lines[-1].startswith("worker ended: the disk is still gone; starting it again in 1 s")


def test_all_are_told_before_any_is_waited_for(lines):
    world = World("first", "second", "third")
    world.step_at(0)
    processes = [process for _, process in world.started]
    order = []
    for process in processes:
        process.terminate = lambda: order.append("told")
        process.close = lambda patience: order.append("waited") or True
    world.supervisor.end()
    assert order == ["told"] * 3 + ["waited"] * 3
    assert lines[-3:] == ["first stopped", "second stopped", "third stopped"]


def test_one_that_does_not_stop_is_reported(lines):
    world = World()
    world.step_at(0)
    world.last.stubborn = True
    world.supervisor.end()
    assert lines[-1] == "worker did not stop in time and was killed"


def test_run_ends_everything_when_it_is_told_to_stop():
    world = World("first", "second")
    stop = threading.Event()
    stop.set()
    world.supervisor.run(stop)
    assert [name for name, _ in world.started] == ["first", "second"]
    assert all(process.told and process.closed for _, process in world.started)


# Real processes from here on.


def child(code, **options):
    return Child(Program("test", (sys.executable, "-c", code)), **options)


def read_line(descriptor):
    """Return the next line, or an empty text once nobody can write any more."""
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([descriptor], [], [], PATIENCE)[0]
        if not (part := os.read(descriptor, 1)):
            break
        line += part
    return line.decode()


REPORTING = """
import sys
from eurydice_core.supervisor import Supervision
Supervision(int(sys.argv[2])).report("nothing works\\nat all")
sys.exit(7)
"""
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(grandchild.pid, flush=True)
signal.pause()
"""
# Starts a child as the supervisor would, and waits to be killed.
PARENT = """
import signal, sys
from eurydice_core.supervisor import Child, Program
code = '''
import signal, sys
from eurydice_core.supervisor import Supervision
Supervision(int(sys.argv[2]))
print("tied", flush=True)
signal.pause()
'''
Child(Program("test", (sys.executable, "-c", code)))
signal.pause()
"""


def test_a_child_says_what_keeps_it_from_working():
    process = child(REPORTING)
    assert process.close(PATIENCE)
    assert process.exit_code() == 7
    assert process.reported() == "nothing works\nat all"


def test_a_child_that_does_not_stop_is_killed_with_all_that_it_started():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb") as output:
        process = child(STUBBORN, output=output)
        grandchild = int(read_line(read_end))
        process.terminate()
        assert process.exit_code() is None
        assert not process.close(0.0)
        assert process.exit_code() == -signal.SIGKILL
        output.close()
        # Nobody holds the pipe any more once the grandchild is gone too.
        assert read_line(read_end) == ""
    assert grandchild > 0


def test_a_child_ends_with_its_supervisor_however_that_ends():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb"):
        with os.fdopen(write_end, "wb") as output:
            parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=output)
        with parent:
            try:
                assert read_line(read_end) == "tied\n"
            finally:
                parent.kill()
        assert read_line(read_end) == ""  # nobody holds the other end any more


def test_a_child_whose_supervisor_is_gone_already_leaves():
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-c", REPORTING, "--supervised", str(write_end)],
        pass_fds=(write_end,),
        timeout=PATIENCE,
        check=False,
    )
    os.close(write_end)
    assert done.returncode == 1


def test_a_program_that_cannot_be_started_is_named():
    with pytest.raises(ServiceError, match=r"cannot start x \(/no/such\): No such file"):
        Child(Program("x", ("/no/such",)))
