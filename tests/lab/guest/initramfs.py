"""The guest's initramfs: what it needs before the host's file tree is there. The archive format is cpio's "newc"."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

__all__ = ["archive", "initramfs"]

# In the order in which they are loaded: each needs only what is before it.
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "fs/fuse/fuse",
    "fs/fuse/virtiofs",
    "fs/overlayfs/overlay",
)


def initramfs(init: Path, busybox: Path, modules: Path) -> bytes:
    """`init` as the first program, busybox as its shell, and of the kernel's modules those that mount the root."""
    folder = (stat.S_IFDIR | 0o755, b"")
    entries: dict[str, tuple[int, bytes]] = {"bin": folder, "dev": folder, "modules": folder}
    entries["init"] = (stat.S_IFREG | 0o755, init.read_bytes())
    entries["bin/busybox"] = (stat.S_IFREG | 0o755, busybox.read_bytes())
    entries["bin/sh"] = (stat.S_IFLNK | 0o777, b"busybox")
    for module in MODULES:
        file = modules / "kernel" / f"{module}.ko"
        entries[f"modules/{file.name}"] = (stat.S_IFREG | 0o644, file.read_bytes())
    order = "\n".join(Path(module).name for module in MODULES)
    entries["modules/order"] = (stat.S_IFREG | 0o644, order.encode())
    return archive(entries)


def archive(entries: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A newc archive of path -> (mode with type, content); folders before what is in them."""
    packed = bytearray()
    for number, (name, (mode, content)) in enumerate([*entries.items(), ("TRAILER!!!", (0, b""))], start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        packed += b"070701" + "".join(f"{field:08X}" for field in fields).encode() + path
        packed += b"\0" * (-len(packed) % 4) + content
        packed += b"\0" * (-len(packed) % 4)
    return bytes(packed)
