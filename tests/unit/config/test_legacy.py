"""An `.env` file of the existing system means the same here."""

from __future__ import annotations

import pytest

from eurydice_core.config import load_settings
from eurydice_core.errors import ConfigurationError

MIB = 2**20
LEGACY = {
    "EURYDICE_API": "origin",
    "DJANGO_SECRET_KEY": "d" * 50,
    "USER_ASSOCIATION_TOKEN_SECRET_KEY": "a" * 40,
    "DB_HOST": "db",
    "DB_PORT": "5433",
    "DB_NAME": "eurydice",
    "DB_USER": "some body",
    "DB_PASSWORD": "p@ss/w:rd",
}


def load(**more):
    return load_settings(None, LEGACY | more)


def test_the_old_environment_alone_is_a_configuration():
    loaded = load()
    settings = loaded.settings
    assert settings.side == "origin"
    assert settings.secret_key.get_secret_value() == "d" * 50
    assert settings.link.secret.get_secret_value() == "a" * 40
    assert settings.database.url.get_secret_value() == (
        "postgresql+psycopg://some%20body:p%40ss%2Fw%3Ard@db:5433/eurydice"
    )
    assert settings.database.masked_url == ("postgresql+psycopg://some%20body:***@db:5433/eurydice")
    assert loaded.origins["link.secret"] == "environment USER_ASSOCIATION_TOKEN_SECRET_KEY"


def test_minio_is_chosen_and_configured():
    loaded = load(
        MINIO_ENABLED="true",
        MINIO_ENDPOINT="minio:9000",
        MINIO_SECURE="false",
        MINIO_ACCESS_KEY="me",
        MINIO_SECRET_KEY="mine",
        MINIO_BUCKET_NAME="bucket",
        MINIO_EXPIRATION_DAYS="8",
        TRANSFERABLE_STORAGE_DIR="/data",
    )
    assert loaded.settings.storage.plugin == "storage_minio"
    assert loaded.settings.storage.options == {
        "endpoint_url": "http://minio:9000",
        "access_key": "me",
        "secret_key": "mine",
        "bucket": "bucket",
        "expiration_days": "8",
        "create_bucket": True,
    }


def test_a_minio_endpoint_alone_chooses_minio_as_it_did():
    storage = load(MINIO_ENDPOINT="s3.example.org", MINIO_SECURE="True").settings.storage
    assert storage.plugin == "storage_minio"
    assert storage.options == {
        "endpoint_url": "https://s3.example.org",
        "bucket": "eurydice",
        "create_bucket": True,
    }


def test_without_minio_files_are_kept_where_they_were():
    loaded = load(
        MINIO_ENABLED="false", MINIO_ENDPOINT="minio:9000", TRANSFERABLE_STORAGE_DIR="/home/data"
    )
    assert loaded.settings.storage.plugin == "storage_fs"
    assert loaded.settings.storage.options == {"root": "/home/data"}


def test_keys_of_a_plugin_count_for_the_one_that_the_new_names_choose():
    loaded = load(
        EURYDICE_STORAGE__PLUGIN="storage_fs",
        MINIO_ENABLED="true",
        MINIO_ENDPOINT="minio:9000",
        TRANSFERABLE_STORAGE_DIR="/data",
    )
    assert loaded.settings.storage.plugin == "storage_fs"
    assert loaded.settings.storage.options == {"root": "/data"}


@pytest.mark.parametrize(
    ("size", "taken"), [("500MB", 30 * MIB), ("1MiB", 5 * MIB), ("10MiB", 10 * MIB)]
)
def test_a_range_size_is_brought_into_our_limits(size, taken):
    assert load(TRANSFERABLE_RANGE_SIZE=size).settings.upload.range_size == taken


def test_a_range_size_that_is_none_is_refused_under_its_old_name():
    with pytest.raises(ConfigurationError, match="range_size in TRANSFERABLE_RANGE_SIZE: 'big'"):
        load(TRANSFERABLE_RANGE_SIZE="big")


@pytest.mark.parametrize(
    ("switch", "plugins"),
    [("true", ("auth_remoteuser",)), ("False", ("auth_basic",)), ("", ("auth_basic",))],
)
def test_one_way_to_authenticate_or_the_other(switch, plugins):
    loaded = load(
        REMOTE_USER_HEADER_AUTHENTICATION_ENABLED=switch, REMOTE_USER_HEADER="HTTP_X_USER"
    )
    assert loaded.settings.auth.plugins == plugins
    given = {"header": "HTTP_X_USER"} if "auth_remoteuser" in plugins else {}
    assert loaded.settings.auth.options_of("auth_remoteuser") == given


@pytest.mark.parametrize(
    ("filler", "plugin"),
    [
        ("UserRotatingTransferableRangeFiller", "scheduler_rotating"),
        ("FIFOTransferableRangeFiller", "scheduler_fifo"),
    ],
)
def test_a_range_filler_is_a_scheduler(filler, plugin):
    assert load(SENDER_RANGE_FILLER_CLASS=filler).settings.scheduler.plugin == plugin


def test_lidi_is_the_transport_of_an_environment_that_names_it():
    transport = load(LIDIS_HOST="lidis", LIDIS_PORT="33010").settings.transport
    assert transport.plugin == "transport_lidi"
    assert transport.options == {"lidis_host": "lidis", "lidis_port": "33010"}
    transport = load(
        PACKET_RECEIVER_HOST="0.0.0.0", PACKET_RECEIVER_PORT="65432", RECEIVER_BUFFER_MAX_ITEMS="6"
    ).settings.transport
    assert transport.plugin == "transport_lidi"
    assert transport.options == {
        "packet_receiver_host": "0.0.0.0",
        "packet_receiver_port": "65432",
        "receiver_buffer_max_items": "6",
    }


def test_the_rest_is_found_under_its_new_name():
    settings = load(
        EURYDICE_TRANSFERABLE_MAX_SIZE="54975581388800",
        USER_ASSOCIATION_TOKEN_EXPIRES_AFTER="15min",
        HEARTBEAT_SEND_EVERY="90s",
        SENDER_POLL_DATABASE_EVERY="0.1s",
        MAX_TRANSFERABLES_PER_PACKET="800",
        EXPECT_PACKET_EVERY="10min",
        TRANSFERABLE_HISTORY_DURATION="6h",
        RECEIVER_BUFFER_MAX_ITEMS="6",
        METRICS_SLIDING_WINDOW="30min",
        S3REMOVER_RUN_EVERY="2min",
        S3REMOVER_EXPIRE_TRANSFERABLES_AFTER="8days",
        DBTRIMMER_TRIM_TRANSFERABLES_AFTER="9days",
        PAGE_SIZE="10",
        MAX_PAGE_SIZE="20",
        EURYDICE_CONTACT="me@example.org",
        UI_BADGE_CONTENT="Test",
        UI_BADGE_COLOR="red",
        LOG_LEVEL="debug",
        LOG_TO_FILE="true",
        EURYDICE_CONTACT_FR="moi",
        EURYDICE_IPV4_SUBNET="172.18.0.0/24",
        DBTRIMMER_POLL_EVERY="200ms",
    ).settings
    assert settings.upload.max_size == 50 * 2**40
    assert settings.association.expires_after == 900
    assert settings.sender.heartbeat_every == 90
    assert settings.sender.poll_every == 0.1
    assert settings.sender.max_ranges_per_packet == 800
    assert settings.receiver.expect_packet_every == 600
    assert settings.sender.history_duration == 6 * 3600
    assert settings.receiver.buffer_packets == 6
    assert settings.api.metrics_window == 1800
    assert settings.cleaner.run_every == 120
    assert settings.cleaner.expire_after == 8 * 86400
    assert settings.cleaner.trim_after == 9 * 86400
    assert (settings.api.page_size, settings.api.max_page_size) == (10, 20)
    assert (settings.api.contact, settings.api.badge_content) == ("me@example.org", "Test")
    assert settings.api.badge_color == "red"
    assert settings.log.level == "DEBUG"
    assert str(settings.log.file) == "/var/log/app/log.json"


def test_an_old_name_wins_over_the_file_and_loses_to_the_new_name(write):
    path = write('[api]\ncontact = "file"\npage_size = 10\n')
    environ = {"EURYDICE_CONTACT": "old", "PAGE_SIZE": "20", "EURYDICE_API__PAGE_SIZE": "30"}
    loaded = load_settings(path, environ)
    assert loaded.settings.api.contact == "old"
    assert loaded.settings.api.page_size == 30
    assert loaded.origins["api.page_size"] == "environment EURYDICE_API__PAGE_SIZE"


def test_what_compose_substitutes_for_nothing_counts_as_not_set():
    settings = load(LOG_LEVEL="", MINIO_ENDPOINT="", LIDIS_HOST="", PAGE_SIZE="").settings
    assert settings.storage.plugin == "storage_fs"
    assert settings.transport.plugin == "transport_udp"
    assert settings.api.page_size == 50
