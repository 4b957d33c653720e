from __future__ import annotations

import pytest
from pydantic import ValidationError

from eurydice_core.config import Settings

MIB = 2**20
LEAST = {
    "side": "origin",
    "secret_key": "k" * 32,
    "database": {"url": "sqlite:////tmp/origin.db"},
    "link": {"secret": "s" * 32},
}


def test_an_embedder_builds_settings_from_a_dict_and_nothing_else(monkeypatch):
    monkeypatch.setenv("EURYDICE_API__PORT", "1")
    monkeypatch.setenv("API", '{"port": 2}')
    settings = Settings.model_validate(LEAST)
    assert settings.api.port == 8080
    assert settings.storage.plugin == "storage_fs"
    assert settings.auth.plugins == ("auth_basic",)
    assert settings.upload.range_size == 8 * MIB


def test_settings_never_change():
    settings = Settings.model_validate(LEAST)
    with pytest.raises(ValidationError, match="frozen"):
        settings.api.port = 1
    with pytest.raises(ValidationError, match="frozen"):
        settings.side = "destination"


def test_other_keys_of_a_choice_become_the_options_of_its_plugin():
    settings = Settings.model_validate(LEAST | {"storage": {"root": "/srv"}})
    assert settings.storage.plugin == "storage_fs"
    assert settings.storage.options == {"root": "/srv"}


def test_tables_below_a_list_become_the_options_of_each_plugin():
    auth = {"plugins": ["a", "b"], "b": {"realm": "x"}}
    settings = Settings.model_validate(LEAST | {"auth": auth})
    assert settings.auth.plugins == ("a", "b")
    assert settings.auth.options_of("b") == {"realm": "x"}
    assert settings.auth.options_of("a") == {}


def test_a_stray_key_in_a_list_of_plugins_is_refused():
    with pytest.raises(ValidationError, match="plugin"):
        Settings.model_validate(LEAST | {"auth": {"plugin": "auth_basic"}})


def test_a_plugin_cannot_be_listed_twice():
    with pytest.raises(ValidationError, match="names a plugin twice"):
        Settings.model_validate(LEAST | {"web": {"plugins": ["a", "a"]}})


@pytest.mark.parametrize("size", ["5MiB", "30MiB"])
def test_range_size_may_be_at_its_bounds(size):
    settings = Settings.model_validate(LEAST | {"upload": {"range_size": size}})
    assert settings.upload.range_size in (5 * MIB, 30 * MIB)


@pytest.mark.parametrize("size", ["4.9MiB", "31MiB", "0", "-1", "big"])
def test_range_size_must_be_within_its_bounds(size):
    with pytest.raises(ValidationError):
        Settings.model_validate(LEAST | {"upload": {"range_size": size}})


def test_a_range_must_fit_into_a_packet():
    tables = {"upload": {"range_size": "10MiB"}, "sender": {"packet_size": "9MiB"}}
    with pytest.raises(ValidationError, match=r"at most .sender. packet_size"):
        Settings.model_validate(LEAST | tables)


def test_secrets_show_neither_in_a_repr_nor_in_an_error():
    password = "hunter2-" * 5
    given = LEAST | {
        "secret_key": password,
        "database": {"url": f"postgresql+psycopg://u:{password}@h/d"},
        "link": {"secret": password},
        "storage": {"access": password},
        "auth": {"auth_basic": {"pepper": password}},
    }
    assert "hunter2" not in repr(Settings.model_validate(given))
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given | {"secret_key": "hunter2", "link": {"secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("api", "message"),
    [
        ({"trusted_proxies": ["10.0.0.1"]}, "trusted_proxies needs proxy_secret"),
        ({"proxy_secret": "short"}, "at least 32"),
        ({"proxy_secret": "é" * 32}, "printable ASCII"),
        ({"proxy_secret": "s" * 32 + " "}, "begin or end with a space"),
        ({"proxy_secret_header": "X Secret"}, "proxy_secret_header"),
        ({"proxy_secret_header": "X_Secret"}, "proxy_secret_header"),
        ({"socket": "api.sock"}, "absolute path"),
        ({"socket": "/" + "s" * 107}, "at most 107 bytes"),
        ({"socket_group": "www-data"}, "socket_group needs socket"),
    ],
)
def test_proxy_that_could_not_prove_itself_is_refused(api, message):
    with pytest.raises(ValidationError, match=message) as caught:
        Settings.model_validate(LEAST | {"api": api})
    assert "s" * 32 not in str(caught.value) or "socket" in api


def test_proxy_proves_itself_by_a_socket_or_a_secret():
    def has_proxy(**api):
        return Settings.model_validate(LEAST | {"api": api}).api.has_proxy

    assert not has_proxy()
    assert not has_proxy(proxy_secret="s" * 32)
    assert has_proxy(socket="/run/api.sock")
    assert has_proxy(trusted_proxies=["10.0.0.1"], proxy_secret="s" * 32)
