"""Fill a registry's storage folder: a docker-registry on a loopback port for as long as skopeo copies images into it.

Nothing of it is left running, and it serves this machine only. A lab later serves the folder with its own registry.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.disk import disk_full

__all__ = ["populate"]

_START_SECONDS = 20.0
_COPY_SECONDS = 120.0
_LISTENING = re.compile(rb"listening on (?:127\.0\.0\.1|\[::1\]):(\d+)")


def populate(storage: Path, layouts: Mapping[str, Path], *, registry: Path, scratch: Path) -> None:
    """Copy each one-image OCI layout, repository name → folder, into the registry storage folder `storage`.

    `registry` is the docker-registry program. Digests are kept as they are, or the copy fails. Raises EnvironmentFault.
    """
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        raise EnvironmentFault("skopeo is missing: apt-get install skopeo")
    with _serving(storage, registry, scratch) as port:
        for name, layout in layouts.items():
            argv = [skopeo, "--insecure-policy", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
            argv += ["--dest-no-creds", f"oci:{layout}:latest", f"docker://127.0.0.1:{port}/{name}:latest"]
            try:
                # Our own loopback port must be reached directly, whatever proxy the machine uses for the world.
                environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
                done = subprocess.run(
                    argv,
                    check=False,
                    env={**environment, "TMPDIR": str(scratch)},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_COPY_SECONDS,
                )
            except subprocess.TimeoutExpired as error:
                raise EnvironmentFault(f"skopeo did not copy the image {name} in {_COPY_SECONDS:.0f} s") from error
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace").strip()
                if "no space left on device" in said:
                    raise disk_full(f"storing the image {name}", storage)
                raise EnvironmentFault(f"skopeo cannot copy the image {name} into the local registry: {said[-300:]}")


@contextmanager
def _serving(storage: Path, registry: Path, scratch: Path) -> Iterator[int]:
    config = scratch / "registry.json"  # JSON is YAML
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "info", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(storage)}},
                "http": {"addr": "127.0.0.1:0", "secret": "only for the length of this copy"},
            }
        )
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    log = scratch / "registry.log"
    setpriv = shutil.which("setpriv")  # a run that is killed must not leave a registry behind
    prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*prefix, registry, "serve", config],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        ) as process,
    ):
        try:
            yield _port(process, log)
        finally:
            process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the kernel chose, as the registry logs it once it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_bytes()):
            return int(found.group(1))
        time.sleep(0.01)
    said = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise EnvironmentFault(f"docker-registry did not start on 127.0.0.1: {' '.join(said)[-300:] or 'no message'}")
