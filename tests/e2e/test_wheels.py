"""The wheels alone are the product: installed without this checkout, they carry a file across."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = [
    ROOT,
    *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml")),
    *sorted(path.parent for path in (ROOT / "packaging").glob("*/pyproject.toml")),
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def run(*command, cwd):
    """Run a command without the settings of this checkout, and return what it printed."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EURYDICE_", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the programs of an environment that has our wheels, and this one's libraries."""
    place = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", place / "dist")
    run(*pip, "wheel", *options, *PROJECTS, cwd=place)
    wheels = sorted((place / "dist").glob("*.whl"))
    assert len(wheels) == len(PROJECTS)
    venv.create(place / "env")
    python = place / "env" / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = place / "env" / "lib" / version / "site-packages"
    install = (*pip, "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*install, *wheels, cwd=place)
    # A plain path: this checkout's own editable installations are not among it.
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where = run(python, "-c", "import eurydice_core; print(eurydice_core.__file__)", cwd=place)
    assert where.strip() == str(packages / "eurydice_core" / "__init__.py")
    return place / "env" / "bin"


def test_every_plugin_is_found_in_its_wheel(installed, tmp_path):
    listed = run(installed / "eurydice", "plugins", "list", cwd=tmp_path)
    for project in (ROOT / "plugins").glob("*/pyproject.toml"):
        assert project.parent.name in listed


def test_demo_carries_a_file_from_wheels_alone(installed, tmp_path):
    assert "every byte arrived" in run(
        installed / "eurydice", "demo", "--size", "1MiB", cwd=tmp_path
    )
