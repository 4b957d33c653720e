"""Choosing by name, and a plugin's own keys."""

from __future__ import annotations

from types import ModuleType

import pytest
from pydantic import Field, SecretStr

from eurydice_core.errors import ConfigurationError, PluginError, StorageUnavailable
from eurydice_core.hookspecs import PluginSettings, SchedulerPlugin, hookimpl
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.model.quantities import Size
from eurydice_core.plugins import InstalledPlugin, Kind, Plugins, discover


class Keys(PluginSettings):
    root: str = Field(description="Where.")
    room: Size = Field(default=1, ge=1, description="How much.")
    names: tuple[str, ...] = Field(default=(), description="Who.")
    more: list[str] | None = Field(default=None, description="Who else.")
    token: SecretStr | None = Field(default=None, description="A secret.")


class Idle(Scheduler):
    def __init__(self, settings, context):
        self.settings = settings
        self.context = context

    def select(self, pending, budget):
        return iter(())


def offering(name, create=Idle):
    plugin = SchedulerPlugin(name=name, summary="Idle.", settings=Keys, create=create)

    @hookimpl
    def eurydice_scheduler():
        return plugin

    module = ModuleType(name)
    module.eurydice_scheduler = eurydice_scheduler
    return module


@pytest.fixture
def plugins():
    installed = discover()
    installed.register(offering("scheduler_idle"), "scheduler_idle")
    return installed


def test_an_unknown_name_lists_what_is_installed():
    installed = [
        InstalledPlugin(name=name, kind=kind)
        for name, kind in [
            ("storage_minio", Kind.STORAGE),
            ("auth_basic", Kind.AUTHENTICATOR),
            ("storage_fs", Kind.STORAGE),
        ]
    ]
    plugins = Plugins(installed, register=lambda _module, _name: None)
    with pytest.raises(PluginError) as caught:
        plugins.choose(Kind.STORAGE, "ftp")
    assert str(caught.value) == (
        "no storage plugin called 'ftp'; installed: storage_fs, storage_minio"
    )
    with pytest.raises(PluginError, match="did you mean 'storage_fs'"):
        plugins.choose(Kind.STORAGE, "storage_fss")
    with pytest.raises(PluginError, match="auth_basic is of kind authenticator"):
        plugins.choose(Kind.STORAGE, "auth_basic")
    with pytest.raises(PluginError, match="installed: none"):
        plugins.choose(Kind.WEB, "web_ui")


def test_a_plugin_is_built_from_its_own_keys(plugins, context):
    options = {"root": "/srv", "room": "2KiB"}
    made = plugins.create(Kind.SCHEDULER, "scheduler_idle", options, context)
    assert isinstance(made, Idle)
    assert (made.settings.root, made.settings.room) == ("/srv", 2048)
    assert made.context is context


def test_every_wrong_key_is_one_line(plugins, context):
    options = {"roott": "/srv", "room": "much", "zzz": 1}
    with pytest.raises(ConfigurationError) as caught:
        plugins.create_scheduler("scheduler_idle", options, context)
    assert str(caught.value).splitlines() == [
        "[scheduler] root is missing, which scheduler_idle needs: set it to a text in quotes,"
        " in the file or as EURYDICE_SCHEDULER__ROOT",
        "[scheduler] room: 'much' is not a size: write a number with a unit, such as 32MiB",
        "[scheduler] roott: unknown key for scheduler_idle; did you mean 'root'?",
        "[scheduler] zzz: unknown key for scheduler_idle",
    ]


def test_keys_of_a_listed_plugin_are_named_with_their_table():
    assert Kind.AUTHENTICATOR.table("auth_basic") == "auth.auth_basic"
    assert Kind.EVENT.table("audit") == "events.audit"
    assert Kind.STORAGE.table("storage_fs") == "storage"


def test_a_refused_value_that_may_be_a_secret_is_not_repeated(plugins):
    with pytest.raises(ConfigurationError) as caught:
        plugins.settings(Kind.SCHEDULER, "scheduler_idle", {"root": "/", "token": ["hunter2"]})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["names", "more"])
def test_a_list_may_be_written_with_commas_as_the_environment_does(plugins, key):
    options = {"root": "/", key: "a, b,"}
    settings = plugins.settings(Kind.SCHEDULER, "scheduler_idle", options)
    assert list(getattr(settings, key)) == ["a", "b"]


def test_a_secret_may_rest_in_a_file(plugins, tmp_path):
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    options = {"root": "/", "token_file": str(file)}
    settings = plugins.settings(Kind.SCHEDULER, "scheduler_idle", options)
    assert settings.token.get_secret_value() == "hunter2"


def test_only_a_secret_may_rest_in_a_file(plugins, tmp_path):
    with pytest.raises(ConfigurationError, match="unknown key"):
        plugins.settings(Kind.SCHEDULER, "scheduler_idle", {"root_file": "/etc/passwd"})


def test_a_secret_file_that_cannot_be_read_is_named(plugins, tmp_path):
    options = {"root": "/", "token_file": str(tmp_path / "none")}
    with pytest.raises(ConfigurationError, match=r"token_file: cannot read .*none: No such file"):
        plugins.settings(Kind.SCHEDULER, "scheduler_idle", options)


def test_a_secret_cannot_be_given_twice(plugins, tmp_path):
    options = {"root": "/", "token": "x", "token_file": str(tmp_path)}
    with pytest.raises(ConfigurationError, match="given as well"):
        plugins.settings(Kind.SCHEDULER, "scheduler_idle", options)


def test_a_plugin_that_fails_to_start_names_itself(plugins, context):
    def explode(settings, context):
        raise KeyError("x")

    def refuse(settings, context):
        raise StorageUnavailable("the store does not answer")

    plugins.register(offering("scheduler_bad", explode), "scheduler_bad")
    plugins.register(offering("scheduler_no", refuse), "scheduler_no")
    plugins.register(offering("scheduler_str", lambda *_: "text"), "scheduler_str")
    with pytest.raises(PluginError, match="scheduler_bad cannot be created: KeyError: 'x'"):
        plugins.create_scheduler("scheduler_bad", {"root": "/"}, context)
    with pytest.raises(StorageUnavailable, match="does not answer"):
        plugins.create_scheduler("scheduler_no", {"root": "/"}, context)
    with pytest.raises(PluginError, match="created a str, which is no scheduler"):
        plugins.create_scheduler("scheduler_str", {"root": "/"}, context)


@pytest.mark.parametrize(
    ("create", "kind"),
    [
        (Plugins.create_storage, "storage"),
        (Plugins.create_authenticator, "authenticator"),
        (Plugins.create_scheduler, "scheduler"),
        (Plugins.create_transport, "transport"),
        (Plugins.create_web, "web"),
        (Plugins.create_listener, "event"),
    ],
)
def test_each_kind_is_created_from_its_own_plugins(plugins, context, create, kind):
    with pytest.raises(PluginError, match=f"no {kind} plugin called 'nothing'"):
        create(plugins, "nothing", {}, context)
