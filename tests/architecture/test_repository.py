"""The tree says what the project is: one name a plugin, layers that hold, an engine by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from eurydice_core import __version__
from eurydice_core.config.legacy import COMBINED, LEGACY
from eurydice_core.plugins import discover

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {c["name"]: c for c in PYPROJECT["tool"]["importlinter"]["contracts"]}
PLUGINS = sorted(
    path
    for path in (ROOT / "plugins").iterdir()
    if path.is_dir() and not path.name.startswith((".", "_"))
)
DISTRIBUTIONS = {f"eurydice-{path.name.replace('_', '-')}" for path in PLUGINS}
PACKAGES = {f"eurydice_{path.name}" for path in PLUGINS}
MODULES = sorted(
    path
    for top in [ROOT / "eurydice_core", *(p / f"eurydice_{p.name}" for p in PLUGINS)]
    for path in top.rglob("*.py")
)
NAMES_THAT_SAY_NOTHING = {"common", "helper", "helpers", "manager", "managers", "util", "utils"}

LAYERS = "The core has layers, and nothing calls back up"
VIOLATIONS = {
    LAYERS: ("eurydice_core/model/violation.py", "eurydice_core.cli"),
    "The two sides never import each other: they run on different machines": (
        "eurydice_core/origin/violation.py",
        "eurydice_core.destination",
    ),
    "The core never imports a plugin": ("eurydice_core/db/violation.py", "eurydice_storage_fs"),
    "Plugins never import each other": (
        "eurydice_auth_basic/violation.py",
        "eurydice_storage_fs",
    ),
    "Plugins see only the public plugin API of the core": (
        "eurydice_auth_basic/violation.py",
        "eurydice_core.db",
    ),
    "The engine runs without a web framework": ("eurydice_core/origin/violation.py", "fastapi"),
    "The testing kits use only what a plugin may use": (
        "eurydice_core/testing/violation.py",
        "eurydice_core.origin",
    ),
}
"""Contract -> a module that would violate it, and what it would import."""

ENGINE_ALONE = """
import pkgutil, sys
from importlib import import_module

BLOCKED = {"fastapi", "starlette", "granian", "prometheus_client", "psycopg", "click", "rich"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import eurydice_core

EDGES = ("eurydice_core.api", "eurydice_core.cli", "eurydice_core.__main__")
SCRIPTS = "eurydice_core.db.migrations"  # alembic runs these, nobody imports them

count = 0
for found in pkgutil.walk_packages(eurydice_core.__path__, "eurydice_core.",):
    if not found.name.startswith((*EDGES, SCRIPTS)):
        import_module(found.name)
        count += 1
print(count)
"""


@pytest.fixture(params=PLUGINS, ids=lambda path: path.name)
def plugin(request):
    return request.param


@pytest.fixture
def project(plugin):
    return tomllib.loads((plugin / "pyproject.toml").read_text())


def test_directory_distribution_package_and_entry_point_carry_one_name(plugin, project):
    package = f"eurydice_{plugin.name}"
    assert project["project"]["name"] == f"eurydice-{plugin.name.replace('_', '-')}"
    assert project["project"]["entry-points"] == {"eurydice": {plugin.name: package}}
    assert (plugin / package / "__init__.py").is_file()
    assert project["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"] == [package]


def test_a_plugin_is_a_small_project_of_the_same_four_things(plugin):
    assert (plugin / "README.md").read_text().strip()
    assert list((plugin / "tests").glob("test_*.py"))
    assert not list((plugin / "tests").rglob("__init__.py"))


def test_a_plugin_goes_with_the_core_of_its_own_version(plugin, project):
    core = PYPROJECT["project"]
    assert project["project"]["version"] == core["version"]
    assert project["project"]["requires-python"] == core["requires-python"]
    assert project["project"]["license"] == core["license"]
    assert any(d.startswith("eurydice-core") for d in project["project"]["dependencies"])
    assert set(project["tool"]) == {"hatch"}, "tools are configured at the root only"


def test_the_version_in_the_package_is_that_of_the_project():
    assert __version__ == PYPROJECT["project"]["version"]


def test_every_list_of_plugins_at_the_root_is_that_of_the_directory():
    tool = PYPROJECT["tool"]
    assert set(PYPROJECT["dependency-groups"]["plugins"]) == DISTRIBUTIONS
    assert set(tool["uv"]["sources"]) == DISTRIBUTIONS | {"eurydice-core", "eurydice"}
    assert set(tool["mypy"]["packages"]) == PACKAGES | {"eurydice_core"}
    assert set(tool["importlinter"]["root_packages"]) == PACKAGES | {"eurydice_core"}


@pytest.mark.parametrize(
    ("contract", "key"),
    [
        ("The core never imports a plugin", "forbidden_modules"),
        ("Plugins never import each other", "modules"),
        ("Plugins see only the public plugin API of the core", "source_modules"),
    ],
)
def test_a_contract_about_plugins_is_about_all_of_them(contract, key):
    assert set(CONTRACTS[contract][key]) == PACKAGES


def test_every_legacy_variable_of_a_plugin_is_a_key_that_the_plugin_has():
    installed = {plugin.name: plugin.plugin for plugin in discover().installed}
    known = [(entry.path, entry.plugin) for entry in LEGACY if entry.plugin]
    for path, name in known + [(path, plugin) for _, path, plugin in COMBINED if plugin]:
        assert path[-1] in installed[name].settings.model_fields, f"{name} has no key {path[-1]}"


def test_meta_distribution_names_all_of_this_version():
    project = tomllib.loads((ROOT / "packaging" / "eurydice" / "pyproject.toml").read_text())
    core = PYPROJECT["project"]
    runtime = sorted({*core["optional-dependencies"]} - {"testing"})
    version = core["version"]
    assert project["project"]["version"] == version
    assert set(project["project"]["dependencies"]) == {
        f"eurydice-core[{','.join(runtime)}]=={version}",
        *(f"{name}=={version}" for name in DISTRIBUTIONS),
    }


def test_every_package_says_that_it_is_typed():
    packages = [ROOT / "eurydice_core", *(p / f"eurydice_{p.name}" for p in PLUGINS)]
    assert [str(package) for package in packages if not (package / "py.typed").is_file()] == []


def test_no_module_has_a_name_that_says_nothing():
    said = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if NAMES_THAT_SAY_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)
    ]
    assert said == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy what import-linter looks at, so that it can be violated."""
    place = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.copytree(ROOT / "eurydice_core", place / "eurydice_core", ignore=ignored)
    for plugin in PLUGINS:
        package = f"eurydice_{plugin.name}"
        shutil.copytree(plugin / package, place / package, ignore=ignored)
    return place


def lint(place):
    """Return the verdict on each contract."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    verdicts = dict(line.rsplit(" ", 1) for line in lines if line.endswith((" KEPT", " BROKEN")))
    assert set(verdicts) == set(CONTRACTS), done.stdout + done.stderr
    return verdicts, done.stdout


def test_every_contract_is_kept(copy):
    verdicts, output = lint(copy)
    assert "BROKEN" not in verdicts.values(), output


def test_every_contract_has_a_violation_to_try():
    assert set(VIOLATIONS) == set(CONTRACTS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_contract_that_is_violated_is_seen_to_break(copy, contract):
    module, imported = VIOLATIONS[contract]
    path = copy / module
    path.write_text(f"import {imported}\n")
    try:
        verdicts, output = lint(copy)
    finally:
        path.unlink()
    assert verdicts[contract] == "BROKEN"
    name = module.removesuffix(".py").replace("/", ".")
    assert name in output


def test_the_engine_imports_without_a_web_framework_or_a_command_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ENGINE_ALONE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [("fastapi", "api", "schema origin"), ("httpx", "testing", "demo")],
)
def test_missing_extra_is_one_line_that_names_it(tmp_path, missing, extra, arguments):
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from eurydice_core.cli import main;"
        f" sys.exit(main({arguments.split()!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"pip install 'eurydice-core[{extra}]'" in done.stderr
