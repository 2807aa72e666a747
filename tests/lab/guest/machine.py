"""A virtual machine of this machine's own file tree, with a kernel of Debian's and cgroup v2: run one command in it.

QEMU without KVM, so that it runs wherever a lab runs, about twenty times slower than the machine itself. Nothing is
installed: the packages are unpacked into the cache. The guest has no network device, sees the host's files read-only
under a layer of memory, and ends with this process, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.packages import unpacked, unpacked_binary
from kip_conformance.infra.targets.protocol import Progress

from .initramfs import initramfs

__all__ = ["GuestRun", "Machine", "provide"]

_HERE = Path(__file__).parent
_EMULATOR = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")
_KERNEL = "linux-image-cloud-amd64"
_TRIPLET = "x86_64-linux-gnu"
_LIBRARIES = (f"usr/lib/{_TRIPLET}", f"lib/{_TRIPLET}", f"usr/lib/{_TRIPLET}/pulseaudio")
_BOOT_SECONDS = 120  # 4 to 14 here, the second on a machine with ten times too much to do
_MEMORY = "3584M"
# Old enough that the emulator is quick at it; random numbers at once, or every program waits for them.
_PROCESSOR = "Nehalem-v1,+aes,+pclmulqdq,+rdrand"
# A busy host makes an emulated machine late; none of the kernel's alarms about that says anything.
_BOOT = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check tsc=reliable nowatchdog random.trust_cpu=on"


@dataclass(frozen=True, slots=True)
class GuestRun:
    """What came out. `code` is the command's, None when the guest did not get that far; both times are in seconds."""

    code: int | None
    console: str
    out: Path
    seconds: float
    processor: float


@dataclass(frozen=True, slots=True)
class Machine:
    """The unpacked packages that make a guest: kernel image, modules, emulator with its libraries, busybox."""

    kernel: Path
    modules: Path
    packages: Sequence[Path]
    busybox: Path

    def run(self, command: str, out: Path, *, within: float, limit: float) -> GuestRun:
        """Boot, run a shell script as root, power off. It may write in `out`, under the same path, and nowhere else.

        Raises EnvironmentFault when the emulator itself does not start. The guest is ended after `limit` seconds of
        this machine's processor, which do not depend on what else the machine does, and after `within` seconds anyway.
        """
        with tempfile.TemporaryDirectory(prefix="kip-guest-") as temporary:
            folder = Path(temporary)
            (folder / "out").mkdir()
            self._fill(folder, command.replace("@OUT@", str(folder / "out")))
            began = time.monotonic()
            with (folder / "console").open("wb") as console, self._shared(folder, console):
                used = self._boot(folder, console, within, limit)
            seconds = time.monotonic() - began
            shutil.copytree(folder / "out", out, dirs_exist_ok=True)
            said = (folder / "console").read_text(errors="replace")
        code = out / "exit"
        return GuestRun(int(code.read_text()) if code.exists() else None, said, out, seconds, used)

    def _fill(self, folder: Path, command: str) -> None:
        (folder / "command").write_text(command)
        shutil.copy(_HERE / "enter", folder / "enter")
        shutil.copy(self.busybox, folder / "busybox")
        # The package brings no index of its modules: it is made where the package is installed.
        indexed = folder / "lib" / "modules" / self.modules.name
        shutil.copytree(self.modules, indexed)
        subprocess.run(["depmod", "-b", folder, self.modules.name], check=True)
        (folder / "modules").symlink_to(indexed)
        (folder / "initramfs").write_bytes(initramfs(_HERE / "init", self.busybox, self.modules))

    @contextlib.contextmanager
    def _shared(self, folder: Path, log: object) -> Iterator[None]:
        program = self._find("usr/lib/qemu/virtiofsd")
        argv = ["unshare", "--mount", _HERE / "share", folder, folder / "tree.sock", program]
        with self._started(argv, log) as server:
            _wait_for(folder / "tree.sock", server)
            yield

    def _boot(self, folder: Path, console: object, within: float, limit: float) -> float:
        """Returns the processor time that it took, in seconds."""
        used = 0.0
        argv = [
            self._find("usr/bin/qemu-system-x86_64"),
            *(word for folder in self._firmware() for word in ("-L", folder)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
            # Time in the guest is counted in what it executes, an instruction a nanosecond: however little of the host
            # it gets, its programs never seem late to each other, and no timeout in it is a false one.
            *("-machine", "q35", "-accel", "tcg", "-icount", "shift=0", "-rtc", "clock=vm", "-cpu", _PROCESSOR),
            *("-m", _MEMORY, "-object", f"memory-backend-memfd,id=memory,size={_MEMORY},share=on"),
            *("-numa", "node,memdev=memory"),
            *("-kernel", self.kernel, "-initrd", folder / "initramfs", "-append", f"{_BOOT} kip.folder={folder}"),
            *("-chardev", f"socket,id=tree,path={folder / 'tree.sock'}"),
            *("-device", "vhost-user-fs-pci,chardev=tree,tag=host"),
        ]
        with self._started(["nice", *argv], console) as emulator:
            began = time.monotonic()
            while emulator.poll() is None and (late := time.monotonic() - began) < within:
                used = _processor_seconds(emulator.pid, used)
                if used > limit:
                    break
                said = (folder / "console").read_text(errors="replace")
                if min(late, used) > _BOOT_SECONDS and "guest: up" not in said:
                    raise EnvironmentFault(f"the guest was not up after {_BOOT_SECONDS} s: {said[-500:].strip()}")
                time.sleep(0.2)
        if emulator.returncode > 0:
            said = (folder / "console").read_text(errors="replace")
            raise EnvironmentFault(f"the emulator ended with {emulator.returncode}: {said[-500:].strip()}")
        return used

    def _firmware(self) -> list[Path]:
        folders = [package / "usr/share" / name for package in self.packages for name in ("qemu", "seabios")]
        return [folder for folder in folders if folder.is_dir()]

    @contextlib.contextmanager
    def _started(self, argv: Sequence[str | Path], output: object) -> Iterator[subprocess.Popen[bytes]]:
        """A program of the packages, killed at the end of the block and when this process dies."""
        libraries = [package / folder for package in self.packages for folder in _LIBRARIES]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "LD_LIBRARY_PATH": ":".join(str(path) for path in libraries if path.is_dir()),
                "QEMU_MODULE_DIR": str(self._find(f"usr/lib/{_TRIPLET}/qemu/accel-tcg-x86_64.so").parent),
            },
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _find(self, path: str) -> Path:
        for package in self.packages:
            if (package / path).exists():
                return package / path
        raise EnvironmentFault(f"none of the packages {', '.join(_EMULATOR)} has {path}: is this Debian 12?")


def provide(progress: Progress) -> Machine:
    """Everything a guest is made of, fetched when the cache has it not. Raises EnvironmentFault."""
    if os.uname().machine != "x86_64":
        raise EnvironmentFault(f"the guest's kernel is for x86_64, this machine is {os.uname().machine}")
    image = _said("apt-cache", "depends", _KERNEL, pattern=r"Depends: (linux-image-\S+)")[0]
    kernel = unpacked([image], progress)[image]
    missing = _said("apt-get", "--simulate", "--no-install-recommends", "install", *_EMULATOR, pattern=r"^Inst (\S+)")
    packages = unpacked(list(dict.fromkeys([*_EMULATOR, *missing])), progress)
    (modules,) = (kernel / "lib" / "modules").iterdir()
    (vmlinuz,) = (kernel / "boot").glob("vmlinuz-*")
    return Machine(vmlinuz, modules, tuple(packages.values()), unpacked_binary("busybox-static", "busybox", progress))


def _said(*argv: str, pattern: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    found = re.findall(pattern, done.stdout, re.MULTILINE)
    if done.returncode != 0 or (not found and argv[0] == "apt-cache"):
        raise EnvironmentFault(f"`{' '.join(argv)}` failed: {done.stderr.strip() or 'no such package'}")
    return found


def _processor_seconds(pid: int, before: float) -> float:
    """What a process has used so far, in seconds (proc(5): stat); `before` when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return before
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for(socket: Path, server: subprocess.Popen[bytes], *, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise EnvironmentFault(f"the guest's file server does not serve {socket}")
        time.sleep(0.02)
