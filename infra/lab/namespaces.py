"""What only the supervisor does, inside its own process: making network namespaces and booting machines.

A machine is a network, mount, PID and UTS namespace. Its first process only reaps; when that dies, the kernel ends
everything on the machine. Single-threaded by design: setns and unshare act on the calling thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from kip_conformance.infra.lab import kernel, own_root

__all__ = ["NETNS_FOLDER", "add_network_namespace", "boot_machine"]

NETNS_FOLDER = Path("/run/netns")


def add_network_namespace(name: str, sysctls: Mapping[str, str]) -> None:
    """Create the named network namespace (visible to `ip -n` within this mount namespace) with loopback up.

    `sysctls` are paths below /proc/sys/net with their values: a new namespace inherits IPv4 settings from the host,
    so that everything that matters is set. Raises OSError.
    """
    handle = NETNS_FOLDER / name
    handle.touch(exist_ok=False)
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            kernel.mount("/proc/self/ns/net", handle, None, kernel.MS_BIND)
            _loopback_up()
            for path, value in sysctls.items():
                Path("/proc/sys/net", path).write_text(value)
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


def _loopback_up() -> None:
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, get_flags, request))[1]
        fcntl.ioctl(control, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def boot_machine(
    name: str, netns: str, disk: Path, lab: Path, files: Mapping[str, str], *, has_own_root: bool = False
) -> int:
    """Start a machine on an existing network namespace and return its first process's id.

    `disk` becomes its /var/lib and /var/log, `lab` stays visible at its own path, and `files` (path -> text) replace
    files of the host, /etc/hosts for one. With `has_own_root` all else that it writes stays on `disk` as well; without,
    it shares the host's files. Raises OSError with what failed inside.
    """
    receive, send = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            os.close(receive)
            os.setsid()
            network = os.open(NETNS_FOLDER / netns, os.O_RDONLY | os.O_CLOEXEC)
            kernel.setns(network, kernel.CLONE_NEWNET)
            kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWUTS)
            child = os.fork()
            if child:
                os.write(send, f"{child}\n".encode())
                os._exit(0)
            _prepare(name, disk, lab, files, has_own_root)
            os.write(send, b"ready")
            _close_all_but_standard()
            _reap_for_ever()
        except BaseException as error:
            os.write(send, f"failed: {error}".encode())
        finally:
            os._exit(1)
    os.close(send)
    os.waitpid(middle, 0)
    said = b""
    with open(receive, "rb", buffering=0) as pipe:
        while part := pipe.read(4096):
            said += part
            if said.endswith(b"ready") or b"failed: " in said:
                break
    first, _, rest = said.partition(b"\n")
    if rest != b"ready":
        raise OSError(f"machine {name} did not boot: {said.decode(errors='replace')}")
    return int(first)


def _prepare(name: str, disk: Path, lab: Path, files: Mapping[str, str], has_own_root: bool) -> None:
    """Make this process's mount and UTS namespaces those of a machine."""
    socket.sethostname(name)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    if has_own_root:
        own_root.enter(disk, lab)
    kernel.mount("proc", "/proc", "proc")
    # A sysfs of this network namespace, so that /sys/class/net is the machine's; the cgroup mounts move along.
    library, logs = disk / "lib", disk / "log"
    groups = disk / "cgroup"
    for folder in (library, logs, groups, library / "kubelet", library / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    kernel.mount("/sys/fs/cgroup", groups, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("sysfs", "/sys", "sysfs")
    kernel.mount(groups, "/sys/fs/cgroup", None, kernel.MS_BIND | kernel.MS_REC)
    kernel.umount(groups)
    resolved = {os.path.realpath(path): text for path, text in files.items()}
    # With the names of the lab's network namespaces below it: a machine must not keep the others' alive.
    kernel.umount("/run")
    kernel.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for runtime in ("netns", "lock", "containerd"):
        Path("/run", runtime).mkdir(parents=True)
    inside = library / lab.relative_to("/var/lib") if lab.is_relative_to("/var/lib") else None
    if inside is not None:
        inside.mkdir(parents=True, exist_ok=True)
        kernel.mount(lab, inside, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount(library, "/var/lib", None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount(logs, "/var/log", None, kernel.MS_BIND)
    kernel.mount("/var/lib/kubelet", "/var/lib/kubelet", None, kernel.MS_BIND)
    kernel.mount(None, "/var/lib/kubelet", None, kernel.MS_SHARED)
    for index, (path, text) in enumerate(resolved.items()):
        replacement = Path(f"/run/.file-{index}")
        replacement.write_text(text)
        if path.startswith("/run/") and not os.path.exists(path):  # a link into the /run that was just replaced
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        if os.path.exists(path):
            kernel.mount(replacement, path, None, kernel.MS_BIND)


def _close_all_but_standard() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, 4096)


def _reap_for_ever() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
