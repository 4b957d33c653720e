"""The commands as docs/reference/cli.md has them: print them, or put them into the page.

.venv/bin/python scripts/cli_reference.py [--write]
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from eurydice_core.cli.main import eurydice

PAGE = Path(__file__).parents[1] / "docs/reference/cli.md"
BLOCK = re.compile(r"(?<=<!-- commands -->\n).*?(?=<!-- end of commands -->)", re.DOTALL)


def commands(
    command: click.Command, parent: click.Context | None = None, name: str = "eurydice"
) -> Iterator[click.Context]:
    """Yield a context of every command, a group before what is in it."""
    context = click.Context(command, info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None:
                yield from commands(inner, context, each)


def described(context: click.Context) -> Iterator[str]:
    """Yield the lines about one command."""
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## `{context.command_path}`"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield ""
    yield f"```text\n{context.command_path} {usage}".rstrip()
    yield "```"
    yield ""
    options = [
        record
        for param in command.get_params(context)
        if isinstance(param, click.Option) and "--help" not in param.opts
        if (record := param.get_help_record(context))
    ]
    if options:
        yield "| option | meaning |"
        yield "|---|---|"
        for option, meaning in options:
            yield f"| `{cell(option)}` | {cell(meaning)} |"
        yield ""


def cell(text: str) -> str:
    """Return a text that ends no cell of a table."""
    return text.replace("|", "\\|")


def reference() -> str:
    """Return the block of the page."""
    lines = [line for context in commands(eurydice) for line in described(context)]
    return "\n".join(["", *lines])


def main() -> None:
    """Print the reference, or write it where it belongs."""
    if "--write" in sys.argv[1:]:
        block = reference()
        PAGE.write_text(BLOCK.sub(lambda _: block, PAGE.read_text()))
    else:
        sys.stdout.write(reference())


if __name__ == "__main__":
    main()
