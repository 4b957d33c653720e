"""Only `private_files` creates files, so that no other module forgets their mode."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for place in ("eurydice_core", "plugins", "examples")
    for path in sorted((ROOT / place).rglob("*.py"))
    if "tests" not in path.relative_to(ROOT).parts and path.name != "private_files.py"
]
CREATING = {"mkdir", "makedirs", "touch", "write_text", "write_bytes", "mknod", "mkfifo"}


def opens_for_writing(call: ast.Call) -> bool:
    """Tell whether this is an `open` whose mode, as far as it is written there, creates."""
    function = ast.unparse(call.func)
    if function == "os.open":
        return "O_CREAT" in ast.unparse(call)
    given = [word.value for word in call.keywords if word.arg == "mode"]
    given += call.args[:1] if function.endswith(".open") else call.args[1:2]
    modes = [each.value for each in given if isinstance(each, ast.Constant)]
    return function.split(".")[-1] == "open" and any(set(str(mode)) & set("wax") for mode in modes)


def creations(source: str) -> list[int]:
    """Return the lines that create a file or directory with any mode."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func).split(".")[-1] in CREATING or opens_for_writing(call)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "path.mkdir()",
        "path.open('wb')",
        "open(path, 'a')",
        "path.open(mode='x')",
        "path.write_text('')",
        "os.open(path, os.O_CREAT | os.O_RDWR, 0o600)",
    ],
)
def test_creation_is_noticed(line):
    assert creations(line) == [1]


@pytest.mark.parametrize("line", ["path.open('rb')", "open(path)", "os.open(path, os.O_RDONLY)"])
def test_reading_is_no_creation(line):
    assert not creations(line)


def test_files_are_created_by_one_module():
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line in creations(path.read_text())
    }
    assert not found, f"use eurydice_core.private_files: {sorted(found)}"
