"""Images on a cell: pulled by skopeo from the management address, kept unpacked under the digest of their manifest.

A store is a folder with DIGEST/{config.json,size,rootfs} (the digest without "sha256:") and names/NAME -> DIGEST, where
NAME is the reference with its slashes as `%`. The cell's own is on its disk; another one, read-only, may come with the
machine image and hold what every cell needs, unpacked already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell.commands import last_line, own_program, run
from kip_conformance.infra.cell.credentials import auth_file, matching
from kip_conformance.infra.cell.ecr import EcrTokens
from kip_conformance.infra.cell.paths import IMAGES, RUN
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.references import Reference, parse_reference

__all__ = ["Image", "Images", "Pulled", "bake"]

_PULL_SECONDS = 600.0
_REACH_SECONDS = 10.0
"""For a connection to a registry. skopeo alone takes a minute to say that there is no way there."""


@dataclass(frozen=True, slots=True)
class Image:
    """`config` is the OCI image configuration's `config` object; `size` the bytes of the layers as transferred."""

    digest: str
    root: Path
    config: Mapping[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull gave, and the seconds that it took."""

    image: Image
    seconds: float


class Images:
    """`stores` are searched in order; the first is the one that pulls write to."""

    def __init__(self, *stores: str, registry_ca: str = "", certificates: str = f"{RUN}/registry") -> None:
        self.stores = [Path(one) for one in (stores or (IMAGES,)) if one]
        self.certificates = ""
        if registry_ca:
            self.certificates = certificates
            os.makedirs(self.certificates, exist_ok=True)
            Path(self.certificates, "ca.crt").write_text(registry_ca)
        self.ecr = EcrTokens(f"{self.certificates}/ca.crt" if self.certificates else "")
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def find(self, reference: str) -> Image | None:
        """The image that is here under this reference. Raises CellProblem for what is no reference."""
        wanted = parse_reference(reference)
        for store in self.stores:
            digest = wanted.digest.removeprefix("sha256:")
            if not digest:
                try:
                    digest = os.readlink(store / "names" / _file_name(wanted))
                except OSError:
                    continue
            if (store / digest / "config.json").exists():
                return _load(store / digest)
        return None

    def pull(self, reference: str, secrets: Sequence[Mapping[str, Any]] = ()) -> Pulled:
        """Fetch and unpack. Raises CellProblem with what the registry or the way to it said."""
        wanted = parse_reference(reference)
        began = time.monotonic()
        with self._guard:
            lock = self._locks.setdefault(str(wanted), threading.Lock())
        with lock:
            image = self._pull(wanted, secrets)
        return Pulled(image, time.monotonic() - began)

    def _pull(self, wanted: Reference, secrets: Sequence[Mapping[str, Any]]) -> Image:
        store = self.stores[0]
        (store / "names").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pull-", dir=store) as scratch:
            folder = Path(scratch)
            _reach(wanted)
            self._fetch(wanted, secrets, folder)
            folder = folder / "image"
            manifest = (folder / "manifest.json").read_bytes()
            digest = hashlib.sha256(manifest).hexdigest()
            known = next((one / digest for one in self.stores if (one / digest / "config.json").exists()), None)
            place = known or _unpack_all(json.loads(manifest), folder, store / digest)
        _alias(place, store / digest)
        if wanted.digest:
            # A manifest list has a digest of its own: the image is found under what was asked for as well.
            _alias(place, store / wanted.digest.removeprefix("sha256:"))
        else:
            _name(digest, store / "names" / _file_name(wanted))
        return _load(place)

    def _fetch(self, wanted: Reference, secrets: Sequence[Mapping[str, Any]], folder: Path) -> None:
        logins = matching(secrets, wanted)
        of_role = None if logins else self.ecr.login(wanted.host)
        logins += [of_role] if of_role else []
        problem: CellProblem | None = None
        for login in [*logins, None]:
            if login is None and problem is not None and logins:
                break  # wrong credentials are not made right by none at all, and the first refusal says more
            try:
                self._copy(wanted, login, folder)
                return
            except CellProblem as error:
                problem = problem or error
        if problem is not None:
            raise problem

    def _copy(self, wanted: Reference, login: Mapping[str, str] | None, folder: Path) -> None:
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet", "--retry-times", "0"]
        if self.certificates:
            argv += ["--src-cert-dir", self.certificates]
        auth, image = folder / "auth.json", folder / "image"
        shutil.rmtree(image, ignore_errors=True)  # skopeo wants an empty one, whatever was tried before
        if login is not None:
            with open(os.open(auth, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(auth_file(wanted, login))
            argv += ["--src-authfile", str(auth)]
        else:
            argv += ["--src-no-creds"]
        try:
            done = subprocess.run(
                [*argv, f"docker://{wanted}", f"dir:{image}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PULL_SECONDS,
                check=False,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "TMPDIR": str(folder), "HOME": str(folder)},
            )
        except subprocess.TimeoutExpired as error:
            raise CellProblem(f'failed to pull image "{wanted}": no end after {_PULL_SECONDS:.0f} s') from error
        except OSError as error:
            raise CellProblem(f"skopeo cannot be run: {error.strerror}; is it on the machine image?") from error
        finally:
            auth.unlink(missing_ok=True)
        if done.returncode != 0:
            raise CellProblem(f'failed to pull and unpack image "{wanted}": {_reason(done.stderr)}')


def bake(store: str, authority: str, references: Sequence[str]) -> int:
    """Put images into a store for a machine image; returns 1 with one line on stderr when one cannot be had."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            images = Images(store, registry_ca=Path(authority).read_text(), certificates=scratch)
            for reference in references:
                images.pull(reference)
    except (CellProblem, OSError) as problem:
        print(f"bake: {problem}", file=sys.stderr)
        return 1
    return 0


def _reach(wanted: Reference) -> None:
    name, _, port = wanted.host.partition(":")
    name = "registry-1.docker.io" if name == "docker.io" else name
    try:
        socket.create_connection((name, int(port or 443)), timeout=_REACH_SECONDS).close()
    except OSError as error:
        why = f"{name}:{port or 443} could not be reached: {error.strerror or error}"
        raise CellProblem(f'failed to pull image "{wanted}": {why}') from error


def _unpack_all(manifest: Mapping[str, Any], folder: Path, place: Path) -> Path:
    making = Path(tempfile.mkdtemp(prefix="new-", dir=place.parent))
    try:
        root = making / "rootfs"
        root.mkdir(mode=0o755)
        layers = [str(folder / layer["digest"].partition(":")[2]) for layer in manifest["layers"]]
        run([*own_program(), "unpack", str(root), *layers], seconds=_PULL_SECONDS)
        config = json.loads((folder / manifest["config"]["digest"].partition(":")[2]).read_text())
        (making / "size").write_text(str(sum(int(layer.get("size", 0)) for layer in manifest["layers"])))
        (making / "config.json").write_text(json.dumps(config.get("config") or {}))
        making.chmod(0o755)
        os.rename(making, place)
    except OSError as error:
        if not (place / "config.json").exists():  # else another pull of the same image was faster
            raise CellProblem(f"the image cannot be kept at {place}: {error.strerror}") from error
    except KeyError as error:
        raise CellProblem(f"the image's manifest has no {error}: it is of a kind that is not run here") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return place


def _load(place: Path) -> Image:
    config = json.loads((place / "config.json").read_text())
    digest = os.path.basename(os.path.realpath(place))
    return Image(f"sha256:{digest}", place / "rootfs", config, int((place / "size").read_text()))


def _name(digest: str, name: Path) -> None:
    passing = name.with_name(f"{name.name}.{threading.get_ident()}")
    passing.symlink_to(digest)
    os.replace(passing, name)


def _alias(place: Path, other: Path) -> None:
    with contextlib.suppress(FileExistsError):
        other.symlink_to(place)


def _file_name(wanted: Reference) -> str:
    return str(wanted).replace("/", "%")


def _reason(said: bytes) -> str:
    """skopeo's message without its log dressing."""
    line = last_line(said)
    found = re.search(r'msg="(.*)"$', line)
    return found[1].replace('\\"', '"') if found else line
