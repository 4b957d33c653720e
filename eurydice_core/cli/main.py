"""The `eurydice` command: finds its subcommands by name, and reports errors in one place."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eurydice_core import __version__
from eurydice_core.cli.plugin_commands import load_command, plugin_commands, summary_of
from eurydice_core.errors import EurydiceError

if TYPE_CHECKING:
    from eurydice_core.config import Loaded

__all__ = ["Invocation", "eurydice", "main", "pass_invocation"]

EXTRAS = {
    "fastapi": "api",
    "granian": "api",
    "prometheus_client": "api",
    "starlette": "api",
    "psycopg": "postgresql",
    "httpx": "testing",
}
"""Package that may be missing -> the extra of eurydice-core that brings it."""

ADVISED = re.compile(r"(?<=')eurydice(?= (?:config|history|maintenance|migrate|repair|run|user)\b)")
"""The program's name in a command that a message tells to run with this configuration."""
INTERRUPTED = 130  # what a shell reports of a process that ended by Ctrl-C

COMMANDS = {
    "demo": ("eurydice_core.cli.demo:demo", "Carry a file across both sides, on this machine."),
    "init": (
        "eurydice_core.cli.init:init",
        "Write the configuration of a new side, origin or destination.",
    ),
    "config": ("eurydice_core.cli.config:config", "Check the configuration, or show it."),
    "migrate": ("eurydice_core.cli.migrate:migrate", "Make the database ready for this version."),
    "run": ("eurydice_core.cli.run:run", "Run the services of this side."),
    "user": ("eurydice_core.cli.user:user", "Manage the accounts of this side."),
    "link": (
        "eurydice_core.cli.link:link",
        "Examine the link: where it loses, and how fast it may be.",
    ),
    "repair": (
        "eurydice_core.cli.repair:repair",
        "Ask for what a file still misses, and send it again.",
    ),
    "quarantine": (
        "eurydice_core.cli.quarantine:quarantine",
        "Look at packets that could not be ingested, and ingest or delete them (destination).",
    ),
    "history": (
        "eurydice_core.cli.history:history",
        "Tell the destination again how transfers ended.",
    ),
    "transferable": (
        "eurydice_core.cli.transferable:transferable",
        "Look at everybody's files on their way, and end what has to end.",
    ),
    "maintenance": (
        "eurydice_core.cli.maintenance:maintenance",
        "Hold the sender back while the link or the other side is worked on.",
    ),
    "schema": (
        "eurydice_core.cli.schema:schema",
        "Print the description of a side's API, as OpenAPI 3.1 in JSON.",
    ),
    "plugins": ("eurydice_core.cli.plugins:plugins", "List the installed plugins, or show one."),
}
"""Name -> where the command is, and the line about it, so that `--help` imports none."""
RESERVED = frozenset(COMMANDS)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the subcommand, and the environment it was said in."""

    config: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def load(self) -> Loaded:
        """Read the settings.

        Raises:
            ConfigurationError: there are none, or one line for every problem with them.
        """
        from eurydice_core.config import load_settings

        return load_settings(self.config, self.environ)


pass_invocation = click.make_pass_decorator(Invocation)


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order that a newcomer needs them, then those of plugins."""
        return [*COMMANDS, *plugin_commands(RESERVED)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            point = plugin_commands(RESERVED).get(cmd_name)
            return None if point is None else load_command(point)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; of an unknown one, suggest the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand:
            names = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(args[0], possibilities=names, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        added = [(name, summary_of(point)) for name, point in plugin_commands(RESERVED).items()]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(added)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file; else EURYDICE_CONFIG, ./eurydice.toml, /etc/eurydice/eurydice.toml.",
)
@click.version_option(__version__, prog_name="eurydice")
@click.pass_context
def eurydice(context: click.Context, config: Path | None) -> None:
    """Carry files through a one-way link between two networks."""
    from eurydice_core import log

    # What a service logs, and where, it sets up itself from its settings.
    tracing = os.environ.get("EURYDICE_TRACE_PLUGINS", "0") not in ("", "0")
    log.configure(level="INFO" if tracing else "WARNING")
    context.obj = Invocation(config, os.environ)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    os.umask(0o077)  # for what libraries create; our own files are private without it
    try:
        return exit_code(eurydice.main(arguments, prog_name="eurydice", standalone_mode=False))
    except EurydiceError as error:
        given = sys.argv[1:] if arguments is None else arguments
        for line in str(error).splitlines():
            click.echo(f"eurydice: error: {with_config(line, given)}", err=True)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        click.echo(
            f"eurydice: error: this needs the package {error.name}, which is not installed:"
            f" pip install 'eurydice-core[{EXTRAS[error.name]}]'",
            err=True,
        )
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; and so that Python does not flush it at exit:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        from eurydice_core.cli.shortage import shortage

        reason = shortage(error, sys.argv[1:] if arguments is None else arguments)
        if reason is None:
            raise
        click.echo(f"eurydice: error: {reason}", err=True)
        return 1


def with_config(line: str, arguments: Sequence[str]) -> str:
    """Repeat the `--config` that was given in the commands that a message tells to run."""
    for index, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name == "--config":
            file = value or next(iter(arguments[index + 1 :]), "")
            option = f"eurydice --config {shlex.quote(file)}"
            return option.join(ADVISED.split(line))
    return line


def exit_code(result: Any) -> int:
    """Return what `ctx.exit` was called with; commands themselves return nothing."""
    return result if isinstance(result, int) else 0
