"""What a machine runs at its start: who am I, where are names resolved, and the user data.

Sources are the metadata service (version 2 only) and the DHCP lease, which is a file here: no DHCP is spoken in the
lab. Secondary addresses are not configured, an agent of the user's does that. One file of standard-library Python, so
that it can be shipped; PyYAML is used for cloud-config where it is installed.

User data runs once in an instance's life (Amazon EC2 User Guide, Run commands when you launch an EC2 instance with
user data input): a `#!` script, or `#cloud-config` with write_files and runcmd as cloud-init's module reference has
them. Everything else is refused, or ignored, with a line on the console. A failure is such a line too, and the machine
goes on. What user data leaves running lives until the machine stops.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import grp
import gzip
import json
import os
import pwd
import shlex
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

METADATA = "169.254.169.254"
LEASE = Path("/var/lib/dhcp/lease.json")
STATE = Path("/var/lib/cloud")
_NEW_LINE = b"\x1e"
"""Tells the console's writer to end a line that user data left without an end."""
_CONSOLE_LIMIT, _CONSOLE_KEPT = 512 << 10, 128 << 10
"""Bytes at which the console's file is cut, and how much of its end is kept; the API shows 64 KiB."""
_LONGEST_LINE = 4096
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BootProblem(Exception):
    """Something that does not work; the text is one line for the console."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Always 0: a machine whose user data fails is a machine that runs."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description="Boot this machine from its metadata service.")
    parser.add_argument("--console", type=Path, required=True, help="file that the console's output is appended to")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds to wait for the metadata service")
    options = parser.parse_args(arguments)
    os.chdir("/")
    os.umask(0o022)
    console = start_console(options.console, started)

    def say(line: str) -> None:
        os.write(console, _NEW_LINE + f"boot: {line}\n".encode(errors="replace"))

    try:
        outcome = boot(say, console, options.patience)
    except BootProblem as problem:
        outcome = str(problem)
    except Exception as error:  # whatever it is, the machine runs and the console says so
        outcome = f"boot failed: {type(error).__name__}: {error}"
    say(f"finished after {time.monotonic() - started:.2f} s: {outcome}")
    return 0


def boot(say: Callable[[str], None], console: int, patience: float) -> str:
    """Everything in its order; returns how it ended in words. Raises BootProblem."""
    use_lease(say)
    metadata = Metadata.reach(patience)
    instance = metadata.require("meta-data/instance-id").decode()
    hostname = metadata.require("meta-data/local-hostname").decode().partition(".")[0]
    socket.sethostname(hostname)
    say(f"instance {instance}, hostname {hostname}")
    data = metadata.get("user-data")
    if not data:
        return "no user data"
    folder = STATE / "instances" / instance
    mark = folder / "user-data-ran"
    if mark.exists():
        return "user data ran at the first boot"
    (folder / "scripts").mkdir(parents=True, exist_ok=True)
    mark.touch()
    return run_user_data(data, folder / "scripts", say, console)


# -- the console


def start_console(path: Path, started: float) -> int:
    """Fork the console's writer; returns the pipe to it.

    It stamps each line with the seconds since `started`, and lives until the last program that writes there has
    ended: what user data leaves in the background keeps its output.
    """
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.close(write)
            write_console(read, path, started)
        finally:
            os._exit(0)
    os.close(read)
    return write


def write_console(source: int, path: Path, started: float) -> None:
    """Lines from the pipe into the file, until the pipe ends. The file never grows beyond its limit."""
    with open(path, "ab", buffering=0) as file:
        rest = b""
        while part := os.read(source, 65536):
            *lines, rest = _lines(rest + part)
            stamp = f"[{time.monotonic() - started:12.6f}] ".encode()
            file.write(b"".join(stamp + line + b"\n" for line in lines))
            if file.tell() > _CONSOLE_LIMIT:
                kept = path.read_bytes()[-_CONSOLE_KEPT:]
                file.truncate(0)
                file.write(kept.partition(b"\n")[2])
        if rest:
            file.write(f"[{time.monotonic() - started:12.6f}] ".encode() + rest + b"\n")


def _lines(data: bytes) -> list[bytes]:
    """Lines of `data`, the last without its end. A mark ends a line unless one has just begun."""
    lines: list[bytes] = []
    pieces = data.split(_NEW_LINE)
    for index, piece in enumerate(pieces):
        found = piece.split(b"\n")
        if index < len(pieces) - 1 and not found[-1]:
            found.pop()
        lines += found
    last = lines.pop() if lines else b""
    while len(last) > _LONGEST_LINE:
        lines.append(last[:_LONGEST_LINE])
        last = last[_LONGEST_LINE:]
    return [*lines, last]


# -- who am I


class Metadata:
    """A session with the metadata service."""

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def reach(cls, patience: float) -> Metadata:
        """Wait until the service gives a token. Raises BootProblem after `patience` seconds, or when it is off."""
        deadline = time.monotonic() + patience
        while True:
            try:
                status, said = request("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300")
                if status == 200:
                    return cls(said.decode("ascii"))
                why = f"it answered {status}"
                if status == 403:
                    raise BootProblem("the metadata service is off")
            except (OSError, ValueError) as error:
                why = str(error)
            if time.monotonic() > deadline:
                raise BootProblem(f"no metadata service within {patience:g} s: {why}")
            time.sleep(0.05)

    def get(self, path: str) -> bytes | None:
        """None when there is no such thing. Raises BootProblem."""
        try:
            status, said = request("GET", f"/latest/{path}", f"X-aws-ec2-metadata-token: {self.token}")
        except (OSError, ValueError) as error:
            raise BootProblem(f"metadata {path}: {error}") from error
        if status == 404:
            return None
        if status != 200:
            raise BootProblem(f"metadata {path}: the service answered {status}")
        return said

    def require(self, path: str) -> bytes:
        found = self.get(path)
        if found is None:
            raise BootProblem(f"metadata {path}: there is none")
        return found


def request(method: str, path: str, header: str) -> tuple[int, bytes]:
    """One request on a connection of its own; returns status and body. Raises OSError, and ValueError for no HTTP.

    By hand: importing http.client takes as long as all else that a boot does.
    """
    lines = (f"{method} {path} HTTP/1.1", f"Host: {METADATA}", header, "Content-Length: 0", "Connection: close", "", "")
    with socket.create_connection((METADATA, 80), timeout=2) as connection:
        connection.sendall("\r\n".join(lines).encode("ascii"))
        said = b""
        while part := connection.recv(65536):
            said += part
    head, end, body = said.partition(b"\r\n\r\n")
    first, *headers = head.decode("latin-1").split("\r\n")
    lengths = [line.partition(":")[2] for line in headers if line.lower().startswith("content-length:")]
    if not end or not first.startswith("HTTP/1.") or not lengths or int(lengths[0]) != len(body):
        raise ValueError("the answer is not whole")
    return int(first.split(" ")[1]), body


def use_lease(say: Callable[[str], None]) -> None:
    """Write resolv.conf from what DHCP would have said."""
    try:
        lease = json.loads(LEASE.read_text())
    except FileNotFoundError:
        say(f"no lease at {LEASE}: /etc/resolv.conf stays as it is")
        return
    except ValueError as error:
        say(f"{LEASE}: {error}: /etc/resolv.conf stays as it is")
        return
    lines = [f"nameserver {server}\n" for server in lease["name_servers"]]
    if lease.get("domain_name"):
        lines.insert(0, f"search {lease['domain_name']}\n")
    path = Path(os.path.realpath("/etc/resolv.conf"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    say(f"address {lease['address']}/{lease['prefix_length']}, name servers {' '.join(lease['name_servers'])}")


# -- user data


_REFUSED = (
    (b"\x1f\x8b", "compressed"),
    (b"content-type:", "MIME"),
    (b"mime-version:", "MIME"),
    (b"## template:", "a template"),
    (b"#include", "a list of URLs"),
    (b"#cloud-boothook", "a boothook"),
    (b"#part-handler", "a part handler"),
    (b"#upstart-job", "an upstart job"),
    (b"#cloud-config-archive", "an archive"),
    (b"#cloud-config-jsonp", "a JSON patch"),
)


def run_user_data(data: bytes, folder: Path, say: Callable[[str], None], console: int) -> str:
    """Run one instance's user data; returns how it ended. Raises BootProblem when it is of no kind that is run."""
    kind = kind_of(data)
    if kind == "script":
        return f"user data {run_script(data, folder / 'user-data', console)}"
    problems: list[str] = []

    def complain(line: str) -> None:
        problems.append(line)
        say(line)

    config = parse_cloud_config(data)
    for key in sorted(map(str, config.keys() - {"write_files", "runcmd"})):
        say(f"cloud-config: {key} is ignored: only write_files and runcmd are run here")
    write_files(config.get("write_files"), complain)
    commands = commands_of(config.get("runcmd"), complain)
    ended = "had no commands"
    if commands:
        ended = run_script("\n".join(["#!/bin/sh", *commands, ""]).encode(), folder / "runcmd", console)
    return f"user data {ended}" + (f", with {len(problems)} problems" if problems else "")


def kind_of(data: bytes) -> str:
    """`script` or `cloud-config`. Raises BootProblem for everything else."""
    start = data[:64].lower()
    for first, name in _REFUSED:
        if start.startswith(first):
            raise BootProblem(f"user data was not run: it is {name}, and only #! and #cloud-config are run here")
    if data.startswith(b"#!"):
        return "script"
    if start.startswith(b"#cloud-config"):
        return "cloud-config"
    with contextlib.suppress(ValueError):
        inner = _base64(data)
        if inner.startswith((b"#!", b"#cloud-config", b"\x1f\x8b")):
            raise BootProblem("user data was not run: it is base64 in base64; the API decodes it once")
    raise BootProblem("user data was not run: its first line begins neither with #! nor with #cloud-config")


def run_script(text: bytes, path: Path, console: int) -> str:
    """Run a script with its output on the console; returns how it ended."""
    path.write_bytes(text)
    path.chmod(0o700)
    environment = {"PATH": _PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(
            [path], stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, cwd="/", check=False
        )
    except OSError as error:
        first = text.partition(b"\n")[0].decode(errors="replace")
        return f"failed: {first!r} cannot be run: {error.strerror}"
    if done.returncode < 0:
        return f"failed: killed by signal {-done.returncode}"
    return f"failed with exit code {done.returncode}" if done.returncode else "ended with exit code 0"


def parse_cloud_config(data: bytes) -> Mapping[Any, Any]:
    """The mapping that a cloud-config is. Raises BootProblem."""
    try:
        import yaml
    except ImportError as error:
        raise BootProblem("user data was not run: cloud-config needs PyYAML, which this machine lacks") from error
    try:
        config = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        why = " ".join(str(error).split())
        raise BootProblem(f"user data was not run: cloud-config is not YAML: {why}") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise BootProblem(f"user data was not run: cloud-config is a {type(config).__name__}, not a mapping")
    return config


def write_files(entries: Any, complain: Callable[[str], None]) -> None:
    """cloud-init's module write_files: path, content, encoding, permissions, owner, append."""
    if entries is None:
        return
    if not isinstance(entries, list):
        complain(f"write_files: a list is needed, this is a {type(entries).__name__}")
        return
    for number, entry in enumerate(entries, 1):
        try:
            _write_file(entry, complain)
        except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
            where = entry.get("path", f"entry {number}") if isinstance(entry, dict) else f"entry {number}"
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            complain(f"write_files: {where}: {why}")


def _write_file(entry: Any, complain: Callable[[str], None]) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise ValueError("a mapping with a path is needed")
    path = Path(os.path.abspath(entry["path"]))
    for key in sorted(map(str, entry.keys() - {"path", "content", "encoding", "permissions", "owner", "append"})):
        complain(f"write_files: {path}: {key} is ignored")
    content = decoded(entry.get("content") or "", str(entry.get("encoding") or "text/plain"))
    mode = _mode(entry.get("permissions"))
    user, group = _owner(str(entry.get("owner") or "root:root"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its mode is that from the first byte on: what is written may be a secret.
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if entry.get("append") else os.O_TRUNC)
    with open(os.open(path, flags, mode & 0o700), "wb") as file:
        os.fchown(file.fileno(), user, group)
        os.fchmod(file.fileno(), mode)
        file.write(content)


def decoded(content: Any, encoding: str) -> bytes:
    """The bytes of a file. Raises ValueError for an encoding that does not exist or that the content is not in."""
    data = content if isinstance(content, bytes) else str(content).encode()
    name = encoding.lower()
    if name in ("text/plain", "none", ""):
        return data
    if name in ("b64", "base64"):
        return _base64(data)
    if name in ("gz", "gzip"):
        return gzip.decompress(data)
    if name in ("gz+b64", "gz+base64", "gzip+b64", "gzip+base64"):
        return gzip.decompress(_base64(data))
    raise ValueError(f"encoding {encoding}: there are text/plain, b64, gzip and gz+b64")


def _base64(data: bytes) -> bytes:
    return base64.b64decode(b"".join(data.split()), validate=True)


def _mode(text: Any) -> int:
    """An octal text like '0644', or a number, which YAML has read as octal already."""
    if text is None:
        return 0o644
    mode = text if isinstance(text, int) else int(str(text), 8)
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"permissions {text}: no file mode")
    return mode


def _owner(text: str) -> tuple[int, int]:
    """Numbers for `user:group` or `user`. Raises KeyError when the machine does not know one."""
    user, _, group = text.partition(":")
    try:
        found = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        return found, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid if group else -1
    except KeyError as error:
        raise ValueError(f"owner {text}: this machine knows no such user or group") from error


def commands_of(entries: Any, complain: Callable[[str], None]) -> list[str]:
    """cloud-init's module runcmd: a text is a line of shell, a list a command with its arguments, all in one script."""
    if entries is None:
        return []
    if not isinstance(entries, list):
        complain(f"runcmd: a list is needed, this is a {type(entries).__name__}: nothing of it is run")
        return []
    lines: list[str] = []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, str):
            lines.append(entry)
        elif isinstance(entry, list):
            lines.append(shlex.join(str(part) for part in entry))
        elif entry is not None:
            complain(f"runcmd: entry {number} is neither a text nor a list: nothing of it is run")
            return []
    return lines


if __name__ == "__main__":
    sys.exit(main())
