"""From a file and an environment to settings, or to lines that say what is wrong."""

from __future__ import annotations

import pytest

from eurydice_core.config import find_settings, load_settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.model.states import Side

WHOLE = {
    "EURYDICE_SIDE": "destination",
    "EURYDICE_SECRET_KEY": "k" * 32,
    "EURYDICE_DATABASE__URL": "sqlite:////tmp/destination.db",
    "EURYDICE_LINK__SECRET": "s" * 32,
}


def problems(path, environ):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environ)
    return str(caught.value).splitlines()


def test_without_any_configuration_init_is_pointed_at():
    (line,) = problems(None, {"PATH": "/bin", "LOG_LEVEL": "debug"})
    assert "eurydice init origin" in line
    assert find_settings(None, {"LOG_LEVEL": "debug"}) is None


def test_the_environment_alone_is_enough():
    loaded = load_settings(None, WHOLE)
    assert loaded.settings.side is Side.DESTINATION
    assert loaded.file is None
    assert loaded.origins["link.secret"] == "environment EURYDICE_LINK__SECRET"


def test_the_file_named_wins_over_the_variable_and_that_over_the_usual_places(write):
    usual = write('[api]\ncontact = "usual"', name="eurydice.toml")
    variable = write('[api]\ncontact = "variable"', name="variable.toml")
    option = write('[api]\ncontact = "option"', name="option.toml")
    environ = {"EURYDICE_CONFIG": str(variable)}
    assert load_settings(option, environ).settings.api.contact == "option"
    assert load_settings(None, environ).settings.api.contact == "variable"
    loaded = load_settings(None, {})
    assert loaded.settings.api.contact == "usual"
    assert loaded.file == usual


def test_a_named_file_must_be_there(tmp_path):
    (line,) = problems(tmp_path / "none.toml", WHOLE)
    assert (
        line == f"cannot read the configuration {tmp_path / 'none.toml'}: No such file or directory"
    )
    (line,) = problems(None, {"EURYDICE_CONFIG": str(tmp_path)})
    assert line == f"cannot read the configuration {tmp_path}: Is a directory"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('side = "origin"\n[api]\nport 8080\n', ":3:6: "),
        ("side = [1,\n2", ":2:2: "),
        ("[api]\n[api]\n", ":2:5: "),
    ],
)
def test_bad_toml_is_one_line_with_its_place(write, text, place):
    path = write(text, least="")
    (line,) = problems(path, {})
    assert line.startswith(f"{path}{place}")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "eurydice.toml"
    path.write_bytes(b'side = "\xff"')
    assert problems(path, {}) == [f"{path}: not UTF-8 text at byte 8"]


def test_the_environment_wins_over_the_file_key_by_key(write):
    path = write('[storage]\nplugin = "storage_minio"\nbucket = "b"\nroot = "/file"\n')
    environ = {"EURYDICE_STORAGE__ROOT": "/environment", "EURYDICE_API__PORT": "81"}
    loaded = load_settings(path, environ)
    assert loaded.settings.storage.plugin == "storage_minio"
    assert loaded.settings.storage.options == {"bucket": "b", "root": "/environment"}
    assert loaded.settings.api.port == 81
    assert loaded.origins["storage.bucket"] == f"file {path}"
    assert loaded.origins["storage.root"] == "environment EURYDICE_STORAGE__ROOT"
    assert loaded.origins["api.host"] == "default"


def test_an_empty_variable_counts_as_not_set(write):
    environ = {"EURYDICE_API__PORT": "", "EURYDICE_STORAGE__PLUGIN": ""}
    loaded = load_settings(write(), environ)
    assert loaded.settings.api.port == 8080
    assert loaded.settings.storage.plugin == "storage_fs"


@pytest.mark.parametrize(
    "text", ["auth_remoteuser, auth_basic", '["auth_remoteuser","auth_basic"]']
)
def test_a_list_in_the_environment_has_commas_or_is_json(write, text):
    loaded = load_settings(write(), {"EURYDICE_AUTH__PLUGINS": text})
    assert loaded.settings.auth.plugins == ("auth_remoteuser", "auth_basic")


def test_networks_are_read_from_the_environment(write):
    environ = {
        "EURYDICE_API__TRUSTED_PROXIES": "10.0.0.0/8,::1",
        "EURYDICE_API__PROXY_SECRET": "p" * 32,
    }
    loaded = load_settings(write(), environ)
    assert [str(network) for network in loaded.settings.api.trusted_proxies] == [
        "10.0.0.0/8",
        "::1/128",
    ]
    (line,) = problems(write(), {"EURYDICE_API__TRUSTED_PROXIES": "10.0.0.0/8,here"})
    assert line.startswith("[api] trusted_proxies in EURYDICE_API__TRUSTED_PROXIES: ")
    (line,) = problems(write(), {"EURYDICE_API__TRUSTED_PROXIES": "[10"})
    assert line.startswith("[api] trusted_proxies in EURYDICE_API__TRUSTED_PROXIES: ")


def test_keys_of_listed_plugins_come_from_the_environment_too(write):
    loaded = load_settings(write(), {"EURYDICE_AUTH__AUTH_BASIC__REALM": "x"})
    assert loaded.settings.auth.options_of("auth_basic") == {"realm": "x"}


def test_a_plugin_gets_json_from_the_environment_as_what_it_means(write):
    environ = {"EURYDICE_STORAGE__A": '["x", "y"]', "EURYDICE_STORAGE__B": "[not json"}
    loaded = load_settings(write(), environ)
    assert loaded.settings.storage.options == {"a": ["x", "y"], "b": "[not json"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EURYDICE_STORRAGE__ROOT", "EURYDICE_STORAGE__ROOT"),
        ("EURYDICE_LOG_LEVEL", "EURYDICE_LOG__LEVEL"),
        ("EURYDICE_UPLOAD__RANGESIZE", "EURYDICE_UPLOAD__RANGE_SIZE"),
        ("EURYDICE_SIDES", "EURYDICE_SIDE"),
        ("EURYDICE_TRANSPORT_HOST", "EURYDICE_TRANSPORT__HOST"),
        ("EURYDICE_STORAGE", "EURYDICE_STORAGE__PLUGIN"),
        ("EURYDICE_API_PORT", "EURYDICE_API__PORT"),
        ("EURYDICE_SECRET_KEI", "EURYDICE_SECRET_KEY"),
        ("EURYDICE_QQQ__QQQQQQ", None),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(write, name, meant):
    (line,) = problems(write(), {name: "x"})
    assert line.startswith(f"unknown setting {name}")
    if meant:
        assert line.endswith(f"; did you mean {meant}?")


def test_variables_that_are_no_settings_are_left_alone(write):
    environ = dict.fromkeys(
        ["EURYDICE_TRACE_PLUGINS", "EURYDICE_VERSION", "EURYDICE_IPV4_SUBNET"], "1"
    )
    assert load_settings(write(), environ).settings.side is Side.ORIGIN


def test_an_unknown_key_or_table_in_the_file_is_refused_with_the_nearest_name(write):
    path = write("[upload]\nrange_siez = 1\n[storrage]\nroot = 1\n[sender]\nzzz = 1\n")
    assert problems(path, {}) == [
        f"[upload] range_siez in {path}: unknown key; did you mean 'range_size'?",
        f"[sender] zzz in {path}: unknown key",
        f"storrage in {path}: unknown key; did you mean 'storage'?",
    ]


def test_a_table_of_a_plugin_that_is_not_listed_is_refused(write):
    path = write('[auth.auth_basc]\nrealm = "x"\n')
    (line,) = problems(path, {})
    assert line.startswith(f"[auth] in {path}: has a table for 'auth_basc'")


def test_a_bound_is_named_in_the_unit_of_the_setting(write):
    path = write('[upload]\nrange_size = "1MiB"\n[cleaner]\nrun_every = "0s"\n')
    environ = {"EURYDICE_API__PORT": "65536", "EURYDICE_SENDER__PACKET_SIZE": "65MiB"}
    assert problems(path, environ) == [
        "[api] port in EURYDICE_API__PORT: must be at most 65535, is 65536",
        f"[upload] range_size in {path}: must be at least 5MiB, is 1MiB",
        "[sender] packet_size in EURYDICE_SENDER__PACKET_SIZE: must be at most 64MiB, is 65MiB",
        f"[cleaner] run_every in {path}: must be more than 0, is 0",
    ]


def test_what_is_missing_is_named_with_both_ways_to_set_it(write):
    path = write(least='side = "origin"\n')
    assert problems(path, {}) == [
        "secret_key is missing: set it in the file, or as EURYDICE_SECRET_KEY",
        "[database] url is missing: set it in the file, or as EURYDICE_DATABASE__URL",
        "[link] secret is missing: set it in the file, or as EURYDICE_LINK__SECRET",
    ]


def test_problems_of_every_source_are_reported_together(write):
    lines = problems(write("[api]\nport = 'x'\n"), {"EURYDICE__X": "1", "EURYDICE_LOG__LEVEL": "x"})
    assert len(lines) == 3


@pytest.mark.parametrize("text", ['database = "x"', "link = 3", "auth = []", 'storage = "fs"'])
def test_a_value_where_a_table_should_be_is_refused(write, text):
    name = text.split(" ")[0]
    path = write(least=f"{text}\n")
    assert any(line.startswith(f"[{name}] in {path}: ") for line in problems(path, {}))


def test_a_secret_may_rest_in_a_file(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("f" * 40 + "\n")
    path = write(f'secret_file = "{secret}"\n', least=least_without("secret ="))
    loaded = load_settings(path, {})
    assert loaded.settings.link.secret.get_secret_value() == "f" * 40
    assert loaded.origins["link.secret"] == f"file {secret}"


def test_a_secret_file_in_the_environment_wins_over_the_file(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("f" * 40)
    loaded = load_settings(write(), {"EURYDICE_LINK__SECRET_FILE": str(secret)})
    assert loaded.settings.link.secret.get_secret_value() == "f" * 40


def test_a_secret_file_that_cannot_be_read_is_one_line(write, tmp_path):
    lines = problems(write(), {"EURYDICE_SECRET_KEY_FILE": str(tmp_path / "none")})
    assert lines == [
        "secret_key_file (environment EURYDICE_SECRET_KEY_FILE): cannot read"
        f" {tmp_path / 'none'}: No such file or directory"
    ]


def test_a_secret_given_twice_in_one_place_is_refused(write, tmp_path):
    lines = problems(write('secret_file = "x"\n'), {})
    assert lines == ["link.secret is given twice, as itself and as secret_file: leave one out"]


def test_only_secrets_may_rest_in_files(write):
    (line,) = problems(write(), {"EURYDICE_API__CONTACT_FILE": "/etc/passwd"})
    assert line.startswith("unknown setting EURYDICE_API__CONTACT_FILE")


def test_a_refused_secret_is_not_repeated(write):
    environ = {"EURYDICE_LINK__SECRET": "hunter2", "EURYDICE_SECRET_KEY": "hunter2"}
    lines = problems(write(), environ)
    assert len(lines) == 2
    assert all("must have at least 32 characters, has 7" in line for line in lines)
    assert not any("hunter2" in line for line in lines)


def least_without(key):
    from_file = """side = "origin"
secret_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
[database]
url = "sqlite:////tmp/origin.db"
[link]
"""
    assert key not in from_file
    return from_file
