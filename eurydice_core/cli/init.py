"""`eurydice init`: the configuration of a new side, with secrets of its own."""

from __future__ import annotations

import secrets
import shlex
import shutil
import sys
from pathlib import Path

import click

from eurydice_core.errors import ConfigurationError
from eurydice_core.model.states import Side
from eurydice_core.private_files import PRIVATE

__all__ = ["init"]

CONFIG_NAME = "eurydice.toml"
SECRET_NAME = "link-secret.txt"  # noqa: S105 (a file's name)
SECRET_BYTES = 32

TEMPLATE = """\
# The {side} side of Eurydice. Keep this file to yourself: it holds secrets.
# Every setting, with its default, is in docs/reference/configuration.md; what a plugin
# takes is shown by `eurydice plugins show NAME`. Check with `eurydice config check`.

side = "{side}"
state_dir = {state_dir}
secret_key = "{secret_key}"  # this side's own

[database]
# Each side has its own. For several processes or machines, use PostgreSQL:
# url = "postgresql+psycopg://eurydice:password@localhost/eurydice"
url = {database_url}

[link]
secret = "{link_secret}"  # the same on both sides

[storage]
plugin = "storage_fs"  # or storage_minio, for any S3
root = {root}

[auth]
plugins = ["auth_basic"]  # asked in order; behind a proxy that knows its users: auth_remoteuser

[transport]
plugin = "transport_udp"  # or transport_lidi, for a diode driven by lidi
{transport}
[api]
{api}
[web]
# plugins = ["admin"]  # pages for staff at /admin/; `eurydice user add NAME --staff` makes one
{services}"""

API = """\
# A reverse proxy with TLS in front connects best by a Unix socket: `eurydice init --socket PATH`,
# docs/how-to/deploy.md. Over TCP it is believed by trusted_proxies and proxy_secret together.
host = "127.0.0.1"
port = 8080
"""
API_SOCKET = """\
socket = {socket}  # what may open it is the reverse proxy, and believed
{group}"""
API_GROUP = """\
socket_group = {group}  # the proxy's; the service's user must be a member
"""
API_NO_GROUP = """\
# socket_group = "eurydice-proxy"  # a group that may open it; without one, only the own user
"""

ORIGIN_TRANSPORT = """\
# host = "127.0.0.1"  # address of the destination's side of the link, where packets are sent
# port = 7400
# rate = 1000  # Mbit/s
"""
DESTINATION_TRANSPORT = """\
# bind = "0.0.0.0"  # address that listens for packets: that of the link's interface
# port = 7400
"""
ORIGIN_SERVICES = """
[scheduler]
plugin = "scheduler_rotating"  # fair between users; or scheduler_fifo, oldest first

[sender]
# retain_after_send = "24h"  # so long, what got lost on the link can be sent again
"""
DESTINATION_SERVICES = """
[cleaner]
# expire_after = "7days"  # how long received files are kept
"""


@click.command()
@click.argument("side", type=click.Choice([side.value for side in Side]))
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Directory for the configuration and everything it names; the current one by default.",
)
@click.option(
    "--link-secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the secret that `eurydice init` of the other side wrote.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Unix socket for the API to listen on, for a reverse proxy of this machine.",
)
@click.option("--socket-group", help="Group that may open the socket: the proxy's.")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
def init(
    side: str,
    directory: Path,
    link_secret_file: Path | None,
    socket: Path | None,
    socket_group: str | None,
    force: bool,
) -> None:
    """Write the configuration of a new side, origin or destination."""
    if socket_group is not None and socket is None:
        raise click.UsageError("--socket-group needs --socket, the path of the socket")
    place = directory.absolute()
    config = place / CONFIG_NAME
    if config.exists() and not force:
        raise ConfigurationError(f"{config} is there already: use --force to replace it")
    shared = place / SECRET_NAME
    if link_secret_file is None and shared.exists():
        raise ConfigurationError(
            f"{shared} is there already: to use that secret, add --link-secret-file {shared}"
        )
    secret = read_secret(link_secret_file) if link_secret_file else new_secret()
    make(place)
    if link_secret_file is None:
        write_private(shared, f"{secret}\n")
    write_private(config, content(side, place, secret, api_keys(socket, socket_group)))
    click.echo(f"wrote {config}")
    announce(side, config, None if link_secret_file else shared)


def make(place: Path) -> None:
    """Make a directory and those above it.

    Raises:
        ConfigurationError: it cannot be made.
    """
    try:
        PRIVATE.make_directory(place)
    except OSError as error:
        raise ConfigurationError(f"cannot make {place}: {error.strerror}") from error


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_urlsafe(SECRET_BYTES)


def read_secret(path: Path) -> str:
    """Return the secret that both sides share.

    Raises:
        ConfigurationError: the file cannot be read, or holds no secret of ours.
    """
    try:
        secret = path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise ConfigurationError(f"--link-secret-file: cannot read {path}: {reason}") from error
    if len(secret) < SECRET_BYTES or not secret.isprintable() or set(secret) & set('"\\'):
        raise ConfigurationError(
            f"--link-secret-file: {path} does not hold a secret of one line,"
            f" at least {SECRET_BYTES} characters and no quotes or backslashes"
        )
    return secret


def api_keys(socket: Path | None, group: str | None) -> str:
    """Return the lines of `[api]`."""
    if socket is None:
        return API
    shared = API_NO_GROUP if group is None else API_GROUP.format(group=toml(group))
    return API_SOCKET.format(socket=toml(socket.absolute()), group=shared)


def content(side: str, place: Path, link_secret: str, api: str = API) -> str:
    """Return the text of the configuration."""
    origin = side == Side.ORIGIN
    return TEMPLATE.format(
        side=side,
        state_dir=toml(place / "state"),
        secret_key=new_secret(),
        database_url=toml(sqlite_url(place / f"{side}.db")),
        link_secret=link_secret,
        api=api,
        root=toml(place / "data"),
        transport=ORIGIN_TRANSPORT if origin else DESTINATION_TRANSPORT,
        services=ORIGIN_SERVICES if origin else DESTINATION_SERVICES,
    )


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite database; in one, these characters would mean something."""
    escaped = str(path).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{escaped}"


def toml(value: object) -> str:
    """Return a text as TOML has it, whatever is in it."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first moment on.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        path.unlink(missing_ok=True)
        with PRIVATE.open_file(path, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error


def command_line(config: Path, command: str) -> str:
    """Return a command as a shell takes it, with the program that runs now if PATH has it not."""
    own = Path(sys.argv[0]).absolute()
    is_elsewhere = own.name == "eurydice" and shutil.which("eurydice") is None
    program = str(own) if is_elsewhere else "eurydice"
    return f"{shlex.quote(program)} --config {shlex.quote(str(config))} {command}"


def announce(side: str, config: Path, shared: Path | None) -> None:
    """Say what to do next."""
    if shared is not None:
        other = Side.DESTINATION if side == Side.ORIGIN else Side.ORIGIN
        click.echo(f"wrote {shared}: carry it to the other machine, and there run")
        click.echo(f"  eurydice init {other} --link-secret-file {shared.name}")
        click.echo("then delete it: both configurations hold the secret")
        if side == Side.DESTINATION:
            click.echo(
                "eurydice: warning: this made a new link secret; if the origin has one already, the"
                " two sides will not understand each other: take that one, with --force and"
                " --link-secret-file",
                err=True,
            )
    click.echo("next, on this machine:")
    for command in ("config check", "migrate", "user add NAME", "run"):
        click.echo(f"  {command_line(config, command)}")
