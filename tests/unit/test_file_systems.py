"""A path on a network file system is recognised by the table of mounts."""

from __future__ import annotations

import pytest

from eurydice_core import file_systems
from eurydice_core.file_systems import network_file_system

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:40 / /srv rw,relatime shared:2 master:3 - nfs4 server:/export rw,vers=4.2
24 23 8:2 / /srv/local rw - xfs /dev/sdb1 rw
25 22 0:41 / /with\\040space rw - fuse.sshfs host: rw
26 22 0:42 / /hidden rw - cifs //server/share rw
27 22 8:3 / /hidden rw - btrfs /dev/sdc1 rw
28 22 0:43 / /fuse rw - fuse.mergerfs a:b rw
29 22 0:44 / /block rw - fuseblk /dev/sdd1 rw
30 22 0:45 / /wsl rw - 9p drvfs rw
31 22 0:46 / /lustre rw - lustre host:/fs rw
32 22 0:47 / /gluster rw - fuse.glusterfs host:/fs rw
33 22 0:48 / /cephfs rw - ceph host:/ rw
"""


@pytest.fixture(autouse=True)
def mounts(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(file_systems, "MOUNTS", table)
    return table


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/a.db", None),
        ("/srv/a.db", "nfs4"),
        ("/srv/local/a.db", None),
        ("/srv/locally/a.db", "nfs4"),
        ("/with space/deep/a.db", "fuse.sshfs"),
        ("/hidden/a.db", None),
        ("/fuse/a.db", None),
        ("/block/a.db", None),
        ("/wsl/a.db", "9p"),
        ("/lustre/a.db", "lustre"),
        ("/gluster/a.db", "fuse.glusterfs"),
        ("/cephfs/a.db", "ceph"),
    ],
)
def test_the_mount_above_a_path_decides(path, kind):
    assert network_file_system(file_systems.Path(path)) == kind


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to("/srv")
    assert network_file_system(tmp_path / "link" / "a.db") == "nfs4"


def test_a_system_without_the_table_is_no_network(mounts):
    mounts.unlink()
    assert network_file_system(file_systems.Path("/srv/a.db")) is None
