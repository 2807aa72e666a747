"""The process that works in the namespaces: a list of steps comes in on stdin, and is done in order.

One process for a whole reconciliation, because a fork for each namespace costs more than the work in it: nft rules go
through libnftables inside this process, `ip` runs once for each namespace, and sysctls, namespaces and offloads are
plain system calls. It runs beside the lab's supervisor, in whose mount namespace /run/netns is.

A step is a JSON list [kind, namespace, argument]:

    make      sysctls             a namespace, if it is not there yet
    discard   null                a namespace, if it is there
    ip        lines               `ip -batch`; the first line that fails ends all
    ip-try    lines               the same; what is not there any more need not be removed
    nft       text                one transaction
    offload   devices             segmentation offload off: captures and MTU checks must see what a wire would carry

Prints nothing when all is done; else one JSON object: where, what and why. Standard library and libnftables only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kip_conformance.infra.lab import kernel, namespaces

__all__ = ["main"]

# What `ip` says of something that is to be removed and is gone already.
_GONE = re.compile(
    r"RTNETLINK answers: (No such process|No such file or directory|Cannot assign requested address|No such device)"
    r"|Cannot find device .*|Cannot open network namespace .*: No such file or directory"
    r"|Error: argument .* is wrong: Cannot find .*|Error: FIB table does not exist\.|Command failed -:\d+|^$"
)
_SIOCETHTOOL = 0x8946
# ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO
_SEGMENTATION = (0x1F, 0x24, 0x2C)
_AT_ONCE = 4


class Refused(Exception):
    """A step that could not be done."""


class _Nft:
    """libnftables, the library that `nft` itself is made of."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise Refused(f"libnftables is missing: {error}; install the package nftables") from error
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_get_error_buffer"):
            getattr(self._library, name).argtypes = [ctypes.c_void_p]
        self._library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

    def run(self, text: str) -> None:
        """In the network namespace of the moment: a context is bound to the one that it was made in.

        Contexts are not freed: each time one is closed behind a removal the kernel waits some ten milliseconds for
        its readers. At the end of the process it waits once for all.
        """
        context = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_error(context)
        self._library.nft_ctx_buffer_output(context)
        if self._library.nft_run_cmd_from_buffer(context, text.encode()) != 0:
            raise Refused(self._library.nft_ctx_get_error_buffer(context).decode(errors="replace").strip())


class Crew:
    """Does steps, in order; `ip` for several namespaces goes on side by side."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._nft: _Nft | None = None

    def work(self, steps: Sequence[Sequence[Any]]) -> dict[str, str] | None:
        """Returns nothing, or the first step that was refused: where, what, why."""
        waiting: list[Sequence[Any]] = []
        for step in (*steps, None):
            if waiting and (step is None or not _can_join(waiting, step)):
                if refused := self._ip(waiting):
                    return refused
                waiting = []
            if step is None:
                break
            kind, where, argument = step
            if kind in ("ip", "ip-try"):
                waiting.append(step)
                continue
            try:
                self._do(kind, where, argument)
            except (OSError, Refused) as error:
                return {"where": where, "what": f"{kind} {argument}", "why": str(error)}
        return None

    def _do(self, kind: str, where: str, argument: Any) -> None:
        match kind:
            case "make":
                self._make(where, argument)
            case "discard":
                _discard(where)
            case "nft":
                self._nft = self._nft or _Nft()
                with self._within(where):
                    self._nft.run(argument)
            case "offload":
                with self._within(where):
                    for device in argument:
                        _no_segmentation(device)
            case _:
                raise Refused(f"unknown step {kind}")

    def _ip(self, steps: Sequence[Sequence[Any]]) -> dict[str, str] | None:
        running = []
        for kind, where, lines in steps:
            argv = ["ip", *(["-n", where] if where else []), *(["-force"] if kind == "ip-try" else []), "-batch", "-"]
            text = os.memfd_create("batch")
            os.write(text, "".join(f"{line}\n" for line in lines).encode())
            os.lseek(text, 0, os.SEEK_SET)
            process = subprocess.Popen(argv, stdin=text, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            os.close(text)
            running.append((process, kind, where, lines))
        refused: dict[str, str] | None = None
        for process, kind, where, lines in running:
            said = process.communicate()[1].decode(errors="replace")
            wrong = [line for line in said.splitlines() if kind == "ip" or not _GONE.match(line)]
            if process.returncode != 0 and wrong and refused is None:
                command = f"ip -n {where} -batch" if where else "ip -batch"
                refused = {"where": where or "links", "what": f"{command}:\n" + "\n".join(lines), "why": wrong[0]}
                if failed := re.search(r"Command failed -:(\d+)", said):
                    refused["why"] += f" (line {failed[1]}: {lines[int(failed[1]) - 1]})"
        return refused

    @contextlib.contextmanager
    def _within(self, where: str) -> Iterator[None]:
        handle = os.open(namespaces.NETNS_FOLDER / where, os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.setns(handle, kernel.CLONE_NEWNET)
        finally:
            os.close(handle)
        try:
            yield
        finally:
            kernel.setns(self._home, kernel.CLONE_NEWNET)

    def _make(self, where: str, sysctls: dict[str, str]) -> None:
        handle = namespaces.NETNS_FOLDER / where
        if handle.exists():
            try:
                with self._within(where):
                    _set(sysctls)
                return
            except OSError:
                _discard(where)  # a file that never became a namespace
        namespaces.add_network_namespace(where, {})
        with self._within(where):
            _set(sysctls)


def _can_join(waiting: Sequence[Sequence[Any]], step: Sequence[Any]) -> bool:
    """Whether a step may go on beside those: the same kind, another namespace, and no pairs of devices ("")."""
    taken = {where for _, where, _ in waiting}
    return len(waiting) < _AT_ONCE and step[0] == waiting[0][0] and step[1] not in taken and "" not in taken


def _set(sysctls: dict[str, str]) -> None:
    for path, value in sysctls.items():
        try:
            Path("/proc/sys/net", path.removeprefix("-")).write_text(value)
        except OSError:
            if not path.startswith("-"):
                raise


def _discard(where: str) -> None:
    handle = namespaces.NETNS_FOLDER / where
    with contextlib.suppress(OSError):
        kernel.umount(handle)
    handle.unlink(missing_ok=True)


def _no_segmentation(device: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _SEGMENTATION:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(control, _SIOCETHTOOL, request)
            except OSError as error:
                raise Refused(f"{device}: segmentation offload stays on: {error.strerror}") from error


def main() -> int:
    refused = Crew().work(json.load(sys.stdin))
    if refused:
        print(json.dumps(refused))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
