"""An `.env` file of the existing system means the same here."""

from __future__ import annotations

import pytest

from eurydice_core.config import load_settings
from eurydice_core.config.legacy import COMBINED
from eurydice_core.config.legacy import LEGACY as MAPPED
from eurydice_core.config.legacy_unused import UNUSED
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
    assert (settings.api.contact, settings.api.badge_content) == ("moi", "Test")
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


NAMES = """
DB_NAME DB_USER DB_PASSWORD DB_HOST DB_PORT USER_ASSOCIATION_TOKEN_SECRET_KEY SECRET_KEY DEBUG
ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS MINIO_ENABLED MINIO_ENDPOINT MINIO_ACCESS_KEY MINIO_SECRET_KEY
MINIO_SECURE MINIO_BUCKET_NAME TRANSFERABLE_STORAGE_DIR TRANSFERABLE_MAX_SIZE
USER_ASSOCIATION_TOKEN_EXPIRES_AFTER METRICS_SLIDING_WINDOW
REMOTE_USER_HEADER_AUTHENTICATION_ENABLED REMOTE_USER_HEADER SECURE_COOKIES SAMESITE_COOKIES
SESSION_COOKIE_AGE PAGE_SIZE MAX_PAGE_SIZE THROTTLE_RATE LOG_FORMAT LOG_LEVEL LOG_TO_FILE
EURYDICE_VERSION EURYDICE_API EURYDICE_CONTACT EURYDICE_CONTACT_FR UI_BADGE_CONTENT UI_BADGE_COLOR
DJANGO_ENV DJANGO_MANAGEPY_MIGRATE GUNICORN_CONFIGURATION TRANSFERABLE_RANGE_SIZE
MULTIPART_PART_SIZE TRANSFERABLE_HISTORY_DURATION TRANSFERABLE_HISTORY_SEND_EVERY
PACKET_SENDER_QUEUE_SIZE MAX_TRANSFERABLES_PER_PACKET HEARTBEAT_SEND_EVERY
SENDER_POLL_DATABASE_EVERY SENDER_RANGE_FILLER_CLASS LIDIS_HOST LIDIS_PORT
DBTRIMMER_TRIM_TRANSFERABLES_AFTER DBTRIMMER_RUN_EVERY DBTRIMMER_POLL_EVERY MINIO_EXPIRATION_DAYS
PACKET_RECEIVER_HOST PACKET_RECEIVER_PORT PACKET_RECEIVER_TIMEOUT EXPECT_PACKET_EVERY
RECEIVER_BUFFER_MAX_ITEMS S3REMOVER_EXPIRE_TRANSFERABLES_AFTER S3REMOVER_RUN_EVERY
S3REMOVER_POLL_EVERY FILE_REMOVER_EXPIRE_TRANSFERABLES_AFTER FILE_REMOVER_RUN_EVERY
FILE_REMOVER_POLL_EVERY ORIGIN_CHUNK_SIZE FILE_PART_MAIN_SIZE ENCRYPTION_ENABLED PUBKEY_PATH
PRIVKEY_PATH VITE_API_URL VITE_TOKEN_WORD_COUNT NGINX_SERVER_NAME NGINX_ROOT_DIR LIDI_VERSION
LOCAL_DOCKER_REGISTRY REMOTE_DOCKER_REGISTRY PUID PGID EURYDICE_IPV4_SUBNET BACKEND_HOSTNAMES
FRONTEND_HOSTNAMES KIBANA_HOSTNAME LIDIR_HOST LIDIR_PORT LIDI_UDP_MTU LIDI_ENCODING_BLOCK_SIZE
LIDI_REPAIR_BLOCK_SIZE LIDIS_DOCKER_HOST MINIO_DATA_DIR MINIO_CONF_DIR DB_DATA_DIR PYTHON_LOGS_DIR
RUST_LOG DB_LOGS_DIR ELK_VERSION FILEBEAT_CONFIG_PATH FILEBEAT_LOGS_DIR FILEBEAT_DATA_DIR
ELASTICSEARCH_API_KEY ELASTICSEARCH_HOSTS ELASTICSEARCH_CERT_PATH EURYDICE_TRANSFERABLE_MAX_SIZE
DJANGO_SECRET_KEY CPUS_BACKEND CPUS_DATABASE MEM_LIMIT_RECEIVER MEM_LIMIT_DATABASE
SHM_SIZE_DATABASE HTTP_SERVICES_BIND_HOST
"""
DOCUMENTED = NAMES.split()


def mapped():
    combined = {name for names, _, _ in COMBINED for name in names.split(", ")}
    return {entry.name for entry in MAPPED} | combined


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_variable_is_mapped_or_has_a_reason(name):
    unused = [entry.reason for entry in UNUSED if entry.matches(name)]
    assert len(unused) == (name not in mapped())


@pytest.mark.parametrize("name", sorted(set(DOCUMENTED) - mapped()))
def test_variable_without_effect_is_noted_once(name):
    (note,) = load(**{name: "1"}).notes
    assert note.startswith(f"{name} has no effect: ")


def test_variable_that_is_not_set_is_not_noted():
    assert load(DBTRIMMER_POLL_EVERY="").notes == []  # as compose leaves it


def test_shared_name_alone_is_not_noted(write):
    path = write()
    assert load_settings(path, {"DEBUG": "1", "SECRET_KEY": "x", "CPUS_API": "2"}).notes == []
    assert load_settings(path, {"DBTRIMMER_POLL_EVERY": "200ms"}).notes


def test_variables_of_version_1_8_are_settings():
    more = {"FILE_REMOVER_RUN_EVERY": "10min", "FILE_REMOVER_EXPIRE_TRANSFERABLES_AFTER": "3days"}
    more |= {"EURYDICE_CONTACT_FR": "l'équipe", "EURYDICE_CONTACT": "the team"}
    origin, destination = (load(**more | {"EURYDICE_API": s}) for s in ("origin", "destination"))
    for loaded in (origin, destination):
        assert loaded.settings.cleaner.run_every == 600
        assert loaded.settings.api.contact == "l'équipe"
        assert loaded.notes == [
            "EURYDICE_CONTACT has no effect: EURYDICE_CONTACT_FR sets [api] contact"
        ]
    assert origin.settings.cleaner.upload_timeout == 3 * 86400
    assert origin.settings.cleaner.expire_after == 7 * 86400
    assert destination.settings.cleaner.expire_after == 3 * 86400
    assert destination.settings.cleaner.upload_timeout == 3600


def test_side_of_the_file_decides_what_a_variable_means(write):
    path = write()
    loaded = load_settings(path, {"FILE_REMOVER_EXPIRE_TRANSFERABLES_AFTER": "3days"})
    assert loaded.settings.side == "origin"
    assert loaded.settings.cleaner.upload_timeout == 3 * 86400
