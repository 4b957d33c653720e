"""`eurydice config` and `eurydice init`, which makes what the other checks."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from eurydice_core import installation
from eurydice_core.config import load_settings


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("side", ["origin", "destination"])
def test_what_init_writes_is_private_and_passes_the_check(eurydice, tmp_path, side):
    place = tmp_path / "new" / side
    code, out, err = eurydice("init", side, "--dir", place)
    assert code == 0
    assert ("two sides will not understand each other" in err) == (side == "destination")
    config = place / "eurydice.toml"
    assert str(config) in out
    assert mode(config) == 0o600
    code, out, err = eurydice("--config", config, "config", "check")
    assert (code, err) == (0, "")
    assert out.startswith(f"OK: {config} ({side}: storage_fs, auth_basic, ")
    settings = load_settings(config, {}).settings
    assert settings.state_dir == place / "state"
    assert settings.storage.options == {"root": str(place / "data")}
    assert settings.database.masked_url == f"sqlite:///{place}/{side}.db"


def test_the_other_side_is_made_with_the_secret_that_the_first_wrote(eurydice, tmp_path):
    _, out, _ = eurydice("init", "origin", "--dir", tmp_path / "a")
    shared = tmp_path / "a" / "link-secret.txt"
    assert mode(shared) == 0o600
    assert f"eurydice init destination --link-secret-file {shared.name}" in out
    code, out, _ = eurydice(
        "init", "destination", "--dir", tmp_path / "b", "--link-secret-file", shared
    )
    assert code == 0
    assert not (tmp_path / "b" / "link-secret.txt").exists()
    a, b = (load_settings(tmp_path / side / "eurydice.toml", {}).settings for side in "ab")
    assert a.link.secret == b.link.secret
    assert a.secret_key != b.secret_key
    assert a.link.secret.get_secret_value() not in out


@pytest.mark.parametrize("group", [(), ("--socket-group", "eurydice-proxy")])
def test_init_writes_a_unix_socket(eurydice, tmp_path, group):
    code, _, err = eurydice("init", "origin", "--socket", "/run/eurydice/api.sock", *group)
    assert (code, err) == (0, "")
    assert eurydice("config", "check")[0] == 0
    settings = load_settings(tmp_path / "eurydice.toml", {}).settings
    assert settings.api.socket == Path("/run/eurydice/api.sock")
    assert settings.api.socket_group == (group[1] if group else None)


def test_init_needs_a_socket_for_its_group(eurydice):
    code, _, err = eurydice("init", "origin", "--socket-group", "eurydice-proxy")
    assert code == 2
    assert "--socket-group needs --socket" in err


def test_init_uses_this_directory_and_its_file_is_found_there(eurydice, tmp_path):
    eurydice("init", "origin")
    code, out, _ = eurydice("config", "check")
    assert code == 0
    assert f"OK: {tmp_path}/eurydice.toml" in out


def test_a_path_with_odd_characters_survives(eurydice, tmp_path):
    place = tmp_path / 'a "quoted" \\ ünïcode'
    assert eurydice("init", "origin", "--dir", place)[0] == 0
    settings = load_settings(place / "eurydice.toml", {}).settings
    assert settings.storage.options["root"] == str(place / "data")


def test_init_replaces_nothing_unless_forced(eurydice, tmp_path):
    eurydice("init", "origin")
    config, shared = tmp_path / "eurydice.toml", tmp_path / "link-secret.txt"
    before = config.read_text()
    code, _, err = eurydice("init", "origin")
    assert code == 1
    assert "use --force" in err
    code, _, err = eurydice("init", "origin", "--force")
    assert code == 1
    assert f"--link-secret-file {shared}" in err
    assert config.read_text() == before
    assert eurydice("init", "origin", "--force", "--link-secret-file", shared)[0] == 0
    assert config.read_text() != before
    assert mode(config) == 0o600


@pytest.mark.parametrize("content", ["", "short", "x" * 31, "x" * 40 + '"', "x" * 40 + "\ny"])
def test_init_refuses_a_secret_that_is_none_of_ours(eurydice, tmp_path, content):
    file = tmp_path / "secret"
    file.write_text(content)
    code, _, err = eurydice("init", "destination", "--link-secret-file", file)
    assert code == 1
    assert err.startswith(f"eurydice: error: --link-secret-file: {file} does not hold a secret")
    assert not (tmp_path / "eurydice.toml").exists()


def test_init_names_a_secret_file_that_is_not_there(eurydice, tmp_path):
    code, _, err = eurydice("init", "destination", "--link-secret-file", tmp_path / "none")
    assert code == 1
    assert "cannot read" in err


def test_init_names_a_directory_that_cannot_be_made(eurydice, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = eurydice("init", "origin", "--dir", tmp_path / "file" / "below")
    assert code == 1
    assert err == f"eurydice: error: cannot make {tmp_path / 'file' / 'below'}: Not a directory\n"


def test_check_without_a_configuration_points_at_init(eurydice):
    code, out, err = eurydice("config", "check")
    assert (code, out) == (1, "")
    assert "eurydice init origin" in err


def test_check_reports_every_problem_of_the_plugins_on_a_line_of_its_own(
    eurydice, tmp_path, monkeypatch
):
    eurydice("init", "origin")
    monkeypatch.setenv("EURYDICE_STORAGE__ROOTT", "x")
    monkeypatch.setenv("EURYDICE_TRANSPORT__PORT", "many")
    monkeypatch.setenv("EURYDICE_AUTH__PLUGINS", "auth_basik")
    code, out, err = eurydice("config", "check")
    assert (code, out) == (1, "")
    lines = [line for line in err.splitlines() if line.startswith("eurydice: error: ")]
    assert len(lines) == 3
    assert "[storage] roott in EURYDICE_STORAGE__ROOTT: unknown key for storage_fs" in err
    assert "did you mean 'root'?" in err
    assert "no authenticator plugin called 'auth_basik'" in err
    assert "did you mean 'auth_basic'?" in err
    assert "[transport] port in EURYDICE_TRANSPORT__PORT: " in err


def test_show_says_what_is_in_force_and_from_where_and_no_secret(eurydice, tmp_path, monkeypatch):
    eurydice("init", "origin")
    monkeypatch.setenv("EURYDICE_DATABASE__URL", "postgresql+psycopg://u:hunter2@h/d")
    monkeypatch.setenv("EURYDICE_UPLOAD__RANGE_SIZE", "5MiB")
    code, out, err = eurydice("config", "show")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "postgresql+psycopg://u:***@h/d" in rows["database.url"]
    assert rows["database.url"].endswith("environment EURYDICE_DATABASE__URL")
    assert rows["upload.range_size"].split()[1] == "5MiB"
    assert rows["storage.root"].endswith(f"file {tmp_path}/eurydice.toml")
    assert rows["transport.port"].endswith("default")
    settings = load_settings(tmp_path / "eurydice.toml", {}).settings
    for secret in (settings.secret_key, settings.link.secret):
        assert secret.get_secret_value() not in out
    assert "hunter2" not in out


def test_show_speaks_json(eurydice):
    eurydice("init", "origin")
    _, out, _ = eurydice("config", "show", "--json")
    facts = json.loads(out)
    assert facts["api.port"]["value"] == "8080"
    assert facts["log.level"] == {"value": '"INFO"', "origin": "default"}
    assert facts["link.secret"]["value"] == "***"


def test_the_environment_of_the_existing_system_passes_the_check(eurydice, monkeypatch):
    for name, value in {
        "EURYDICE_API": "destination",
        "DJANGO_SECRET_KEY": "d" * 50,
        "USER_ASSOCIATION_TOKEN_SECRET_KEY": "a" * 50,
        "DB_HOST": "db",
        "DB_PASSWORD": "hunter2",
        "MINIO_ENDPOINT": "minio:9000",
        "MINIO_ACCESS_KEY": "minio",
        "MINIO_SECRET_KEY": "hunter2",
        "MINIO_EXPIRATION_DAYS": "8",
        "REMOTE_USER_HEADER_AUTHENTICATION_ENABLED": "true",
        "REMOTE_USER_HEADER": "HTTP_X_REMOTE_USER",
        "SENDER_RANGE_FILLER_CLASS": "FIFOTransferableRangeFiller",
        "PACKET_RECEIVER_HOST": "0.0.0.0",
        "PACKET_RECEIVER_PORT": "65432",
        "RECEIVER_BUFFER_MAX_ITEMS": "4",
        "TRANSFERABLE_RANGE_SIZE": "500MB",
    }.items():
        monkeypatch.setenv(name, value)
    code, _, err = eurydice("config", "check")
    assert code != 0
    assert "auth_remoteuser believes a reverse proxy" in err
    monkeypatch.setenv("EURYDICE_API__TRUSTED_PROXIES", "172.16.0.0/12")
    code, _, err = eurydice("config", "check")
    assert code != 0
    assert "[api] trusted_proxies needs proxy_secret" in err or "set proxy_secret" in err.lower()
    monkeypatch.setenv("EURYDICE_API__PROXY_SECRET", "hunter2" * 5)
    code, out, err = eurydice("config", "check")
    assert (code, err) == (0, "")
    assert out == (
        "OK: the environment (destination:"
        " storage_minio, auth_remoteuser, scheduler_fifo, transport_lidi)\n"
    )
    _, out, _ = eurydice("config", "show")
    assert "hunter2" not in out
    assert "environment MINIO_SECRET_KEY" in out


@pytest.mark.parametrize("side", ["origin", "destination"])
def test_what_init_leaves_commented_out_is_right_too(eurydice, tmp_path, side):
    eurydice("init", side)
    config = tmp_path / "eurydice.toml"
    text = config.read_text()
    config.write_text(re.sub(r"^# (?!url)(\w+ = )", r"\1", text, flags=re.MULTILINE))
    assert config.read_text() != text
    code, _, err = eurydice("config", "check")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("found", "warns"), [(0o600, False), (0o640, True), (0o644, True)], ids=oct
)
def test_check_warns_of_an_open_database(eurydice, tmp_path, found, warns):
    eurydice("init", "origin")
    database = tmp_path / "origin.db"
    database.touch()
    database.chmod(found)
    code, _, err = eurydice("config", "check")
    assert code == 0
    expected = f"eurydice: warning: {database} is open to other users of this machine"
    assert err.startswith(expected) == warns
    assert len(err.splitlines()) == warns


def test_check_warns_of_everything_open_once(eurydice, tmp_path):
    eurydice("init", "origin")
    config, log = tmp_path / "eurydice.toml", tmp_path / "log"
    config.write_text(config.read_text() + f'\n[log]\nfile = "{log}"\n')
    places = [tmp_path / name for name in ("state", "state/spool", "data", "origin.db-wal", "log")]
    for path in places[:3]:
        path.mkdir()
    for path in places[3:]:
        path.touch()
    for path in (*places, config):
        path.chmod(0o755 if path.is_dir() else 0o644)
    code, _, err = eurydice("config", "check")
    assert code == 0
    named = [line.split(" is open ")[0] for line in err.splitlines()]
    assert sorted(named) == sorted(f"eurydice: warning: {path}" for path in (*places, config))


def test_a_config_lent_to_the_service_by_its_group_is_fine(eurydice, tmp_path):
    eurydice("init", "origin")
    (tmp_path / "eurydice.toml").chmod(0o640)
    assert eurydice("config", "check")[2] == ""


def test_check_names_a_group_that_does_not_exist(eurydice, tmp_path):
    eurydice("init", "origin")
    config = tmp_path / "eurydice.toml"
    config.write_text(config.read_text() + '\n[log]\nfile = "log"\ngroup = "no-such-group"\n')
    code, _, err = eurydice("config", "check")
    assert code == 1
    assert "error: [log] group: there is no group 'no-such-group' on this machine" in err


def test_variable_without_effect_is_a_warning_of_the_check(eurydice, tmp_path, monkeypatch):
    eurydice("init", "origin")
    monkeypatch.setenv("DBTRIMMER_POLL_EVERY", "200ms")
    code, _, err = eurydice("config", "check")
    assert code == 0
    assert err == (
        "eurydice: warning: DBTRIMMER_POLL_EVERY has no effect: every service stops at once,"
        " so there is nothing to poll\n"
    )


@pytest.mark.parametrize("command", [("config", "check"), ("migrate",), ("run",), ("user", "list")])
def test_sqlite_on_a_network_file_system_is_refused(eurydice, tmp_path, monkeypatch, command):
    eurydice("init", "origin")
    monkeypatch.setattr(installation, "network_file_system", lambda path: "nfs4")
    code, _, err = eurydice(*command)
    assert code == 1
    path = tmp_path / "origin.db"
    assert f"eurydice: error: state_dir: {tmp_path / 'state'} is on a network file system" in err
    assert (
        f"eurydice: error: [database] url: {path} is on a network file system (nfs4), whose locks"
        " cannot be relied on: choose a local disk, or PostgreSQL;" in err
    )


def test_a_network_file_system_may_be_allowed(eurydice, tmp_path, monkeypatch):
    eurydice("init", "origin")
    config = tmp_path / "eurydice.toml"
    config.write_text(f"allow_network_file_system = true\n{config.read_text()}")
    monkeypatch.setattr(installation, "network_file_system", lambda path: "nfs4")
    assert eurydice("config", "check")[0] == 0
    assert eurydice("migrate")[0] == 0
