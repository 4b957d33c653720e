"""Which file system a path is on, and whether that is one of a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["network_file_system"]

MOUNTS: Final = Path("/proc/self/mountinfo")
"""proc_pid_mountinfo(5): mount point is field 5, the type follows a field that is `-`."""
NETWORK: Final = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
    ]
)
NETWORK_FUSE: Final = frozenset(
    [
        "afp",
        "beegfs",
        "ceph",
        "ceph-fuse",
        "curlftpfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "geesefs",
        "glusterfs",
        "goofys",
        "grpcfuse",
        "juicefs",
        "mfs",
        "nfs",
        "osxfs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "smbnetfs",
        "sshfs",
        "vmhgfs-fuse",
        "weed",
    ]
)
"""Network file systems in user space: the part of the type after `fuse.`."""
ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def network_file_system(path: Path) -> str | None:
    """Return the type of the network file system that a path is, or would be, on; else None.

    On systems without /proc this is not known, and None.
    """
    try:
        place = path.resolve()
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except (OSError, RuntimeError):
        return None
    longest, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        point = Path(ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # A later line hides an earlier one of the same mount point.
        if len(point.parts) >= longest and place.is_relative_to(point):
            longest, kind = len(point.parts), fields[fields.index("-", 6) + 1]
    is_fuse = kind.startswith("fuse.")
    known = NETWORK_FUSE if is_fuse else NETWORK
    return kind if kind.removeprefix("fuse.") in known else None
