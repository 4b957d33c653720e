"""What is found on a machine, also when it is broken."""

from __future__ import annotations

import importlib
from types import ModuleType, SimpleNamespace

import pytest
from loguru import logger

from eurydice_core.errors import PluginError
from eurydice_core.plugins import Kind, discover


def the(plugins, name):
    (found,) = [plugin for plugin in plugins.installed if plugin.name == name]
    return found


def test_an_installed_plugin_is_found_with_all_that_is_known_of_it(install, scheduler_source):
    file = install("scheduler_none", scheduler_source(name="scheduler_none"))
    plugin = the(discover(), "scheduler_none")
    assert (plugin.kind, plugin.version, plugin.error) == (Kind.SCHEDULER, "0.3.0", None)
    assert plugin.distribution == "eurydice-scheduler-none"
    assert plugin.file == str(file)
    assert plugin.summary == "Sends nothing."


def test_a_plugin_that_cannot_be_imported_names_itself_only_when_it_is_chosen(install):
    install("storage_minio2", "import no_such_module_s3fs")
    plugins = discover()
    assert the(plugins, "storage_minio2").error == "No module named 'no_such_module_s3fs'"
    with pytest.raises(PluginError) as caught:
        plugins.choose(Kind.STORAGE, "storage_minio2")
    assert str(caught.value) == (
        "plugin storage_minio2 (eurydice-storage-minio2 0.3.0) cannot be loaded:"
        " No module named 'no_such_module_s3fs'"
    )


def test_a_broken_plugin_is_warned_of(install):
    install("web_broken", "raise RuntimeError('no\\nluck')")
    lines = []
    sink = logger.add(lines.append, format="{level} {message}")
    try:
        discover()
    finally:
        logger.remove(sink)
    wanted = "plugin web_broken (eurydice-web-broken 0.3.0) cannot be loaded: RuntimeError: no luck"
    assert f"WARNING {wanted}\n" in lines


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("this is no python", "SyntaxError: "),
        ("x = 1", "must have one hook of Eurydice marked with @hookimpl, has none"),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storge(): pass\n",
            "unknown hook 'eurydice_storge'; did you mean 'eurydice_storage'?",
        ),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storage(): pass\n"
            "@hookimpl\ndef eurydice_web(): pass\n",
            "has eurydice_storage and eurydice_web",
        ),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storage(): return None\n",
            "eurydice_storage must return a StoragePlugin, returned NoneType",
        ),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storage(): return 'storage'\n",
            "eurydice_storage must return a StoragePlugin, returned str",
        ),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storage(): return 1 / 0\n",
            "eurydice_storage raised ZeroDivisionError: division by zero",
        ),
        (
            "from eurydice_core.hookspecs import hookimpl\n"
            "@hookimpl\ndef eurydice_storage(wrong): pass\n",
            "wrong",
        ),
        (
            "from eurydice_core.hookspecs import StoragePlugin, hookimpl\n"
            "@hookimpl\ndef eurydice_storage():\n"
            "    return StoragePlugin(name='odd_plugin', summary='', settings=dict, create=dict)\n",
            "its settings must be a pydantic model",
        ),
    ],
)
def test_a_plugin_that_is_not_what_it_should_be_is_broken(install, source, reason):
    install("odd_plugin", source)
    plugins = discover()
    assert reason in the(plugins, "odd_plugin").error
    assert the(plugins, "odd_plugin").plugin is None
    with pytest.raises(PluginError, match="odd_plugin"):
        plugins.choose(Kind.STORAGE, "odd_plugin")


def test_a_broken_plugin_does_not_stop_the_others(install, scheduler_source):
    install("a_broken", "@")
    install(
        "b_misspelt", "from eurydice_core.hookspecs import hookimpl\n@hookimpl\ndef hook(): 1\n"
    )
    install("scheduler_none", scheduler_source(name="scheduler_none"))
    assert discover().choose(Kind.SCHEDULER, "scheduler_none").name == "scheduler_none"


def test_a_plugin_must_call_itself_as_its_entry_point(install, scheduler_source):
    install("scheduler_none", scheduler_source(name="scheduler_other"))
    error = the(discover(), "scheduler_none").error
    assert error == "calls itself 'scheduler_other', but its entry point is 'scheduler_none'"


def test_a_name_that_two_distributions_claim_is_refused_with_both_named(install, scheduler_source):
    install("scheduler_none", scheduler_source(name="scheduler_none"), distribution="first")
    install("scheduler_none", scheduler_source(name="scheduler_none"), distribution="second")
    plugins = discover()
    assert len([p for p in plugins.installed if p.name == "scheduler_none"]) == 2
    with pytest.raises(PluginError) as caught:
        plugins.choose(Kind.SCHEDULER, "scheduler_none")
    assert "first 0.3.0" in str(caught.value)
    assert "second 0.3.0" in str(caught.value)
    assert "both offer this name" in str(caught.value)


def test_hook_calls_are_traced_on_demand(install, scheduler_source, monkeypatch):
    install("scheduler_none", scheduler_source(name="scheduler_none"))
    lines = []
    sink = logger.add(lines.append, format="{message}", level="INFO")
    try:
        discover()
        assert not any("called in" in line for line in lines)
        monkeypatch.setenv("EURYDICE_TRACE_PLUGINS", "1")
        discover()
    finally:
        logger.remove(sink)
    assert "hook eurydice_scheduler called in scheduler_none\n" in lines


def test_every_discovery_is_fresh(install, scheduler_source):
    install("scheduler_none", scheduler_source(name="scheduler_none"))
    first = discover()
    first.register(module(scheduler_source, "scheduler_mine"), "scheduler_mine")
    assert "scheduler_mine" not in [plugin.name for plugin in discover().installed]


def module(scheduler_source, name):
    made = ModuleType(name)
    exec(scheduler_source(name=name), vars(made))
    return made


def test_an_embedder_registers_a_plugin_that_is_not_installed(scheduler_source, context):
    plugins = discover()
    plugins.register(module(scheduler_source, "scheduler_mine"), "scheduler_mine")
    scheduler = plugins.create_scheduler("scheduler_mine", {}, context)
    assert list(scheduler.select(None, 1)) == []


def test_registering_a_taken_name_is_refused(install, scheduler_source):
    file = install("scheduler_none", scheduler_source(name="scheduler_none"))
    plugins = discover()
    again = importlib.import_module(file.stem)
    with pytest.raises(PluginError, match="the name is taken"):
        plugins.register(again, "scheduler_none")


def test_registering_what_is_no_plugin_is_refused_and_leaves_nothing(scheduler_source):
    plugins = discover()
    with pytest.raises(PluginError, match="plugin scheduler_mine cannot be registered: must have"):
        plugins.register(ModuleType("empty"), "scheduler_mine")
    with pytest.raises(PluginError, match="must be a module"):
        plugins.register(SimpleNamespace(), "scheduler_mine")
    plugins.register(module(scheduler_source, "scheduler_mine"), "scheduler_mine")
