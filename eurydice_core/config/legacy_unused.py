"""The variables of the existing system that set nothing here, each with the reason.

Together with `legacy.LEGACY` and `legacy.COMBINED` this is every variable that versions
1.1 and 1.8 document, so that an operator's `.env` file is never ignored in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["UNUSED", "Unused", "unused_in"]

AT_ONCE: Final = "every service stops at once, so there is nothing to poll"
CONTAINER: Final = "limits and users of containers are set where the containers are defined"
DATABASE: Final = "the database server's own directories are set where it is deployed"
ENCRYPTION: Final = "files are not encrypted in the browser"
FILEBEAT: Final = "log shipping is set in the shipper; [log] file and format say what it reads"
FRONTEND: Final = "the web pages are no separate build"
HOST_NAMES: Final = "the reverse proxy decides which host names it answers"
IMAGES: Final = "no container images are pulled"
LIDI: Final = "it is an option of the lidi programs, which are started with their own options"
MINIO: Final = "the object store's own directories are set where it is deployed"


@dataclass(frozen=True, slots=True)
class Unused:
    """One variable that has no effect here."""

    name: str
    """A name, or its beginning followed by `*`."""
    reason: str
    shared: bool = False
    """Whether other programs use the same name: it is reported only beside the secret of
    the existing system, as it may not be meant for this program."""

    def matches(self, name: str) -> bool:
        """Return whether this entry describes a variable."""
        if self.name.endswith("*"):
            return name.startswith(self.name[:-1])
        return name == self.name


UNUSED: Final = (
    # The application, 1.1 and 1.8.
    Unused(
        "SECRET_KEY", "other programs use that name too; set DJANGO_SECRET_KEY instead", shared=True
    ),
    Unused("DEBUG", "answers never show internals; set [log] level = 'DEBUG'", shared=True),
    Unused("ALLOWED_HOSTS", HOST_NAMES, shared=True),
    Unused("BACKEND_HOSTNAMES", HOST_NAMES),
    Unused("FRONTEND_HOSTNAMES", HOST_NAMES),
    Unused("LOG_FORMAT", "set [log] format to 'text' or 'json'", shared=True),
    Unused("PYTHON_LOGS_DIR", "set [log] file to the path of the log file"),
    Unused("EURYDICE_VERSION", "the installed version is what 'eurydice --version' prints"),
    Unused("DJANGO_ENV", "there are no profiles of settings"),
    Unused("DJANGO_MANAGEPY_MIGRATE", "run 'eurydice migrate' before the services start"),
    Unused("GUNICORN_CONFIGURATION", "set [api] host, port and workers instead"),
    Unused("HTTP_SERVICES_BIND_HOST", "set [api] host to the address to listen on"),
    # Origin.
    Unused(
        "MULTIPART_PART_SIZE",
        "the parts of an upload to the object store follow from [upload] range_size",
    ),
    Unused("ORIGIN_CHUNK_SIZE", "uploads are cut once, by [upload] range_size"),
    Unused(
        "TRANSFERABLE_HISTORY_SEND_EVERY",
        "how transfers ended is sent once they end, and again within [sender] history_duration",
    ),
    Unused(
        "PACKET_SENDER_QUEUE_SIZE", "the sender has one packet on its way and prepares the next"
    ),
    # Destination.
    Unused("PACKET_RECEIVER_TIMEOUT", AT_ONCE),
    Unused("S3REMOVER_POLL_EVERY", AT_ONCE),
    # Both.
    Unused("DBTRIMMER_RUN_EVERY", "[cleaner] run_every is how often it removes and trims"),
    Unused("DBTRIMMER_POLL_EVERY", AT_ONCE),
    Unused("FILE_REMOVER_POLL_EVERY", AT_ONCE),
    # Encryption, 1.8.
    Unused("ENCRYPTION_ENABLED", ENCRYPTION),
    Unused("FILE_PART_MAIN_SIZE", ENCRYPTION),
    Unused("PUBKEY_PATH", ENCRYPTION),
    Unused("PRIVKEY_PATH", ENCRYPTION),
    # Lidi.
    Unused("LIDI_VERSION", LIDI),
    Unused("LIDIR_HOST", LIDI),
    Unused("LIDIR_PORT", LIDI),
    Unused("LIDIS_DOCKER_HOST", "set LIDIS_HOST to the address of lidis"),
    Unused("LIDI_UDP_MTU", LIDI),
    Unused("LIDI_ENCODING_BLOCK_SIZE", LIDI),
    Unused("LIDI_REPAIR_BLOCK_SIZE", LIDI),
    Unused("RUST_LOG", LIDI, shared=True),
    # Containers, the database server, the object store, logs.
    Unused("LOCAL_DOCKER_REGISTRY", IMAGES),
    Unused("REMOTE_DOCKER_REGISTRY", IMAGES),
    Unused("PUID", CONTAINER, shared=True),
    Unused("PGID", CONTAINER, shared=True),
    Unused("EURYDICE_IPV4_SUBNET", CONTAINER),
    Unused("CPUS_*", CONTAINER, shared=True),
    Unused("MEM_LIMIT_*", CONTAINER, shared=True),
    Unused("SHM_SIZE_DATABASE", CONTAINER),
    Unused("DB_DATA_DIR", DATABASE, shared=True),
    Unused("DB_LOGS_DIR", DATABASE, shared=True),
    Unused("MINIO_DATA_DIR", MINIO),
    Unused("MINIO_CONF_DIR", MINIO),
    Unused("ELK_VERSION", FILEBEAT),
    Unused("FILEBEAT_CONFIG_PATH", FILEBEAT),
    Unused("FILEBEAT_LOGS_DIR", FILEBEAT),
    Unused("FILEBEAT_DATA_DIR", FILEBEAT),
    Unused("ELASTICSEARCH_API_KEY", FILEBEAT),
    Unused("ELASTICSEARCH_HOSTS", FILEBEAT),
    Unused("ELASTICSEARCH_CERT_PATH", FILEBEAT),
    Unused("KIBANA_HOSTNAME", FILEBEAT),
    # The web pages.
    Unused("VITE_*", FRONTEND, shared=True),
    Unused("NGINX_SERVER_NAME", FRONTEND),
    Unused("NGINX_ROOT_DIR", FRONTEND),
)


def unused_in(given: Mapping[str, str], *, is_legacy: bool) -> Iterator[str]:
    """Yield one line for each variable that is set and has no effect.

    Args:
        given: the environment, without empty values.
        is_legacy: whether it has the secret that the existing system requires, so that
            names that other programs use too are that system's.
    """
    for name in sorted(given):
        for entry in UNUSED:
            if entry.matches(name) and (is_legacy or not entry.shared):
                yield f"{name} has no effect: {entry.reason}"
                break
