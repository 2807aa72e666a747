"""Which mount points a machine's own root has to cover."""

from __future__ import annotations

from kip_conformance.infra.lab.own_root import mount_points

MOUNTS = """\
30 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
31 30 0:5 / /proc rw - proc proc rw
40 30 8:2 / /home/with\\040space rw - ext4 /dev/sda2 rw
39 30 8:2 / /home rw shared:1 - ext4 /dev/sda2 rw
41 30 8:3 / /home rw - ext4 /dev/sda3 rw
"""


def test_parents_come_first_and_each_place_once():
    assert mount_points(MOUNTS.splitlines()) == ["/", "/home", "/proc", "/home/with space"]
