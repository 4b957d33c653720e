"""`eurydice plugins`."""

from __future__ import annotations

import json

import pytest


def listed(eurydice):
    code, out, _ = eurydice("plugins", "list", "--json")
    assert code == 0
    return {plugin["name"]: plugin for plugin in json.loads(out)}


def test_the_list_says_what_is_chosen_by_default(eurydice):
    plugins = listed(eurydice)
    assert plugins["storage_fs"]["kind"] == "storage"
    assert plugins["storage_fs"]["distribution"] == "eurydice-storage-fs"
    assert plugins["storage_fs"]["file"].endswith("__init__.py")
    assert plugins["storage_fs"]["chosen"]
    assert plugins["transport_udp"]["chosen"]
    assert not plugins["transport_lidi"]["chosen"]


def test_the_list_says_what_the_configuration_chooses(eurydice, monkeypatch):
    eurydice("init", "origin")
    monkeypatch.setenv("EURYDICE_TRANSPORT__PLUGIN", "transport_lidi")
    plugins = listed(eurydice)
    assert plugins["transport_lidi"]["chosen"]
    assert not plugins["transport_udp"]["chosen"]


def test_the_list_for_people_marks_what_is_chosen(eurydice):
    code, out, _ = eurydice("plugins", "list")
    assert code == 0
    lines = out.splitlines()
    assert any(line.startswith("* storage_fs ") for line in lines)
    assert any(line.startswith("  transport_lidi ") for line in lines)
    assert lines[-1] == "* chosen by default, as there is no configuration"


@pytest.fixture
def broken(tmp_path, monkeypatch):
    info = tmp_path / "site" / "broken-0.3.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.3.0\n")
    (info / "entry_points.txt").write_text("[eurydice]\nstorage_broken = no_such_module_s3fs\n")
    monkeypatch.syspath_prepend(str(info.parent))


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_listed_with_its_cause(eurydice):
    code, out, err = eurydice("plugins", "list")
    assert code == 0
    assert "BROKEN: No module named 'no_such_module_s3fs'" in out
    assert "storage_broken (broken 0.3.0) cannot be loaded" in err
    assert listed(eurydice)["storage_broken"]["error"] == "No module named 'no_such_module_s3fs'"


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_cannot_be_shown(eurydice):
    code, _, err = eurydice("plugins", "show", "storage_broken")
    assert code == 1
    assert (
        "eurydice: error: plugin storage_broken (broken 0.3.0) cannot be loaded:"
        " No module named 'no_such_module_s3fs'" in err
    )


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_that_is_chosen_fails_the_check(eurydice, monkeypatch):
    eurydice("init", "origin")
    assert eurydice("config", "check")[0] == 0
    monkeypatch.setenv("EURYDICE_STORAGE__PLUGIN", "storage_broken")
    code, _, err = eurydice("config", "check")
    assert code == 1
    assert "eurydice: error: plugin storage_broken (broken 0.3.0) cannot be loaded" in err


def test_a_plugin_shows_its_keys(eurydice):
    code, out, _ = eurydice("plugins", "show", "storage_fs")
    assert code == 0
    assert "Keys of [storage]:" in out
    assert "  root: path, required\n" in out
    _, out, _ = eurydice("plugins", "show", "storage_fs", "--json")
    (root,) = [key for key in json.loads(out)["settings"] if key["name"] == "root"]
    assert root["required"]
    assert root["type"] == "path"
    assert root["description"]


def test_every_key_of_every_plugin_is_described(eurydice):
    for name, plugin in listed(eurydice).items():
        assert plugin["error"] is None, name
        _, out, _ = eurydice("plugins", "show", name, "--json")
        keys = json.loads(out)["settings"]
        assert [key["name"] for key in keys if not key["description"]] == [], name


def test_a_plugin_that_is_not_installed_is_answered_with_those_that_are(eurydice):
    code, _, err = eurydice("plugins", "show", "storage_ftp")
    assert code == 1
    assert "no plugin called 'storage_ftp'; installed: admin, auth_basic, " in err
