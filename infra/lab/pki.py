"""The lab's certificate authority: every certificate and kubeconfig of one lab, made afresh, never reused."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.certificates import Certificate, new_authority, private_key

__all__ = ["Authority", "write_kubeconfig"]

_LIFETIME = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose files live in one folder: ca.crt, ca.key, and NAME.crt with NAME.key for each certificate."""

    folder: Path
    own: Certificate

    @classmethod
    def create(cls, folder: Path, name: str) -> Authority:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        made = cls(folder, new_authority(name, lifetime=_LIFETIME))
        made._write("ca", made.own)
        return made

    @classmethod
    def of(cls, folder: Path, name: str) -> Authority:
        """The authority that the folder has; a new one of that name where it has none."""
        if not (folder / "ca.key").exists():
            return cls.create(folder, name)
        return cls(folder, Certificate.of_pem((folder / "ca.crt").read_text(), (folder / "ca.key").read_text()))

    def issue(self, file: str, common_name: str, *, groups: Sequence[str] = (), names: Sequence[str] = ()) -> None:
        """Write FILE.crt and FILE.key, good for client and server. `names` are DNS names or IP addresses."""
        made = self.own.issue(
            common_name, lifetime=_LIFETIME, groups=groups, names=names, is_server=True, is_client=True
        )
        self._write(file, made)

    def issue_key(self, file: str) -> None:
        """A bare key pair (FILE.key): the API server signs ServiceAccount tokens with one."""
        self._write_key(file, private_key())

    def _write(self, file: str, made: Certificate) -> None:
        (self.folder / f"{file}.crt").write_text(made.pem)
        self._write_key(file, made.key_pem)

    def _write_key(self, file: str, key: str) -> None:
        path = self.folder / f"{file}.key"
        path.touch(mode=0o600)
        path.write_text(key)


def write_kubeconfig(path: Path, server: str, ca: Path, certificate: Path, key: Path, *, embed: bool = False) -> None:
    """Write a kubeconfig (JSON, which is YAML). With `embed` it holds the certificates themselves, for taking away."""
    import base64

    def part(name: str, file: Path) -> dict[str, str]:
        if embed:
            return {f"{name}-data": base64.b64encode(file.read_bytes()).decode()}
        return {name: str(file)}

    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": server, **part("certificate-authority", ca)}}],
            "users": [{"name": "lab", "user": {**part("client-certificate", certificate), **part("client-key", key)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "current-context": "lab",
        },
        indent=1,
    )
    path.touch(mode=0o600)
    path.write_text(text)
