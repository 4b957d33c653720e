"""Commands of other distributions are listed, loaded when run, and blamed for their faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eurydice_core.cli import main

MODULE = """
import click

@click.command()
@click.argument("word")
def greet(word):
    "Print a word."
    click.echo(f"hello {word}")

not_a_command = 3
"""
METADATA = """Metadata-Version: 2.1
Name: eurydice-greeter
Version: 1.2
Summary: Greets whom you name.
"""
ENTRY_POINTS = """[eurydice.commands]
greet = greeter:greet
broken = no_such_module:command
wrong = greeter:not_a_command
run = greeter:greet
"""


@pytest.fixture
def greeter(tmp_path, monkeypatch):
    """Install a distribution with four commands."""
    (tmp_path / "greeter.py").write_text(MODULE)
    info = tmp_path / "eurydice_greeter-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("greeter", None)


def test_plugin_command_runs(greeter, capsys):
    assert main(["greet", "world"]) == 0
    assert capsys.readouterr().out == "hello world\n"


def test_help_lists_plugin_commands_without_importing(greeter):
    program = (
        "import sys; from eurydice_core.cli import main; main(['--help']);"
        " print('imported' if 'greeter' in sys.modules else 'not imported')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(greeter)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "greet" in done.stdout
    assert "Greets whom you name." in done.stdout
    assert done.stdout.endswith("not imported\n")


def test_plugin_cannot_replace_a_command_of_the_core(greeter, capsys):
    assert main(["run", "--help"]) == 0
    assert "Run the services of this side" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "fault"),
    [("broken", "No module named 'no_such_module'"), ("wrong", "not a click command")],
)
def test_unusable_plugin_command_names_its_distribution(greeter, capsys, name, fault):
    assert main([name]) == 1
    error = capsys.readouterr().err
    assert "eurydice-greeter 1.2" in error
    assert fault in error
