"""Help, errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import click
import pytest

from eurydice_core import __version__
from eurydice_core.cli import main
from eurydice_core.cli.main import COMMANDS
from eurydice_core.cli.main import eurydice as group
from eurydice_core.errors import EurydiceError

QUICK = """
import sys
from eurydice_core.cli import main
code = main(["--help"])
heavy = {"fastapi", "granian", "sqlalchemy", "pydantic", "loguru", "rich", "fsspec", "numpy"}
print("imported:", sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def test_help_lists_every_command_and_imports_none_of_them():
    done = subprocess.run([sys.executable, "-c", QUICK], capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert done.stderr == "imported: []\n"


def test_the_module_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "eurydice_core", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip().endswith(__version__)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_about_a_command_is_the_one_of_its_own_help(name):
    place, line = COMMANDS[name]
    module, _, attribute = place.partition(":")
    if find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == line


@pytest.fixture
def raising(monkeypatch):
    """Make `eurydice fail` raise something."""

    def arrange(error):
        @click.command("fail")
        def fail():
            raise error

        monkeypatch.setattr(group, "get_command", lambda _context, _name: fail)

    return arrange


def test_an_error_of_ours_is_one_line_and_exit_code_1(eurydice, raising):
    raising(EurydiceError("the link is down: plug it in"))
    assert eurydice("fail") == (1, "", "eurydice: error: the link is down: plug it in\n")


def test_an_error_of_several_problems_is_one_line_each(eurydice, raising):
    raising(EurydiceError("one\ntwo"))
    assert eurydice("fail") == (1, "", "eurydice: error: one\neurydice: error: two\n")


def test_a_bug_shows_its_traceback(raising):
    raising(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["fail"])


def test_an_interrupt_is_exit_code_130(eurydice, raising):
    raising(KeyboardInterrupt())
    code, _, err = eurydice("fail")
    assert code == 130
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m eurydice_core config reference | head -1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("## Top level\n", "")


@pytest.mark.parametrize("arguments", [["nope"], ["config", "nope"], ["--nope"], ["init"]])
def test_a_command_line_that_makes_no_sense_is_exit_code_2(eurydice, arguments):
    code, out, err = eurydice(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_nothing_said_is_answered_with_help(eurydice):
    code, out, err = eurydice()
    assert code == 2
    assert "Usage: eurydice" in out + err
