"""The reference provider's image: the prober's base, what of this project and of its Python packages the provider
imports, and the two programs that it runs.

Nothing is fetched: Python packages are those of the running installation, which came by the committed lock; programs
and their libraries are this machine's, Debian 12 as the base is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path, PurePosixPath

import kip_conformance.infra
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.catalogue import architecture
from kip_conformance.infra.lab.binaries.disk import disk_full_as_fault
from kip_conformance.infra.lab.images import rootfs
from kip_conformance.infra.lab.images.base import PATH, Base
from kip_conformance.infra.lab.images.oci import layer_of, write_image, write_tar
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["image_name", "write_provider_image"]

_ENTRYPOINT = ("/usr/bin/python3", "-m", "kip_conformance.infra.provider")
_PYTHON = (3, 11)
_LIBRARY = "usr/lib/python3/dist-packages"
_OURS = ("*.py", "cell/*.py", "provider/*.py", "provider/*/*.py", "probe/__init__.py", "probe/kubeconfig.py")
_DISTRIBUTIONS = (
    *("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
    *("cffi", "cryptography", "pycparser", "pyyaml", "websockets"),
)
_CALLED = ("ec2", "sts")
"""Of the cloud's services, whose descriptions are most of botocore: those that the provider and its credentials use."""
_PROGRAMS = ("nft", "conntrack")
_WORKS = (
    "import subprocess, boto3, kip_conformance.infra.provider.__main__; "
    "boto3.client('ec2', region_name='eu-central-1', aws_access_key_id='a', aws_secret_access_key='b'); "
    "[subprocess.run([one, '--version'], check=True, capture_output=True) for one in ('nft', 'conntrack')]"
)


def image_name() -> str:
    """As containerd has it; a pod may leave away the registry and the project."""
    return f"docker.io/library/kip-provider:{version('kip-conformance')}"


def write_provider_image(into: Path, progress: Progress, *, cache: Path | None = None) -> str:
    """Write the image as an OCI archive, which containerd, skopeo and podman take; returns its manifest's digest.

    Needs root, as the base does. Raises EnvironmentFault when something that belongs in it is not on this machine.
    """
    if os.geteuid() != 0:
        raise EnvironmentFault("building the provider's image needs root")
    if sys.version_info[:2] != _PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        raise EnvironmentFault(f"the provider's image has Python 3.11 and its packages come from here: this is {found}")
    base = Base.of(progress, cache=cache).layer(progress)
    progress(f"building the image {image_name()}")
    with disk_full_as_fault("building the provider's image", into.parent):
        with tempfile.TemporaryDirectory(dir=into.parent) as folder:
            scratch = Path(folder)
            root = scratch / "root"
            with tarfile.open(base.path) as tar:
                tar.extractall(root)  # our own layer
            known = set(rootfs.entries(root))
            _add(root)
            rootfs.compile_folder(root, f"/{_LIBRARY}")
            rootfs.in_chroot(root, _WORKS, "run the provider")
            added = {name: path for name, path in rootfs.entries(root).items() if name not in known}
            layers = (base, layer_of(added, scratch / "provider.tar"))
            layout = scratch / "layout"
            digest = write_image(
                layout, layers, entrypoint=_ENTRYPOINT, path=PATH, architecture=architecture(), name=image_name()
            )
            write_tar(rootfs.entries(layout), scratch / "image.tar")
            os.replace(scratch / "image.tar", into)
    return digest


def _add(root: Path) -> None:
    for name, path in (*_own_files(), *_package_files(), *_program_files()):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(path, target)
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _own_files() -> Iterator[tuple[str, Path]]:
    (folder,) = kip_conformance.infra.__path__
    for pattern in _OURS:
        for path in Path(folder).glob(pattern):
            yield f"{_LIBRARY}/kip_conformance/infra/{path.relative_to(folder)}", path.resolve()


def _package_files() -> Iterator[tuple[str, Path]]:
    for name in _DISTRIBUTIONS:
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError as error:
            raise EnvironmentFault(f"the Python package {name} is not installed here: make env") from error
        for file in files:
            if _belongs(file):
                path = Path(str(file.locate()))
                yield f"{_LIBRARY}/{file}", path
                if file.suffix == ".so":
                    yield from _libraries(path)


def _belongs(file: PurePosixPath) -> bool:
    """Neither scripts, nor what was compiled here, nor descriptions of services that are not called."""
    parts = file.parts
    if parts[0] == ".." or "__pycache__" in parts:
        return False
    if parts[:2] == ("botocore", "data") and len(parts) > 3:
        return parts[2] in _CALLED
    return True


def _program_files() -> Iterator[tuple[str, Path]]:
    """With their libraries; those of the base are left as they are."""
    for name in _PROGRAMS:
        program = shutil.which(name, path=f"{PATH}:/usr/local/sbin:/usr/local/bin")
        if program is None:
            raise EnvironmentFault(f"{name} is missing: apt-get install {'nftables' if name == 'nft' else name}")
        yield f"usr/sbin/{name}", Path(program).resolve()
        yield from _libraries(Path(program))


def _libraries(linked: Path) -> Iterator[tuple[str, Path]]:
    """Those of the machine that it is linked with; what a package brings along itself is not among them."""
    said = subprocess.run(["ldd", str(linked)], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        _, arrow, rest = line.partition("=>")
        if arrow and rest.strip().startswith(("/lib", "/usr/lib")):
            path = Path(rest.split()[0])
            yield f"usr/{str(path).removeprefix('/').removeprefix('usr/')}", path.resolve()
