"""Image references: what `image` in a pod's container means (the distribution project's grammar of references)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["Reference", "parse_reference"]

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Reference:
    """`host` may carry a port. Without a tag and a digest the tag is `latest`; with a digest the tag says nothing."""

    host: str
    repository: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        """Host and repository, the key of credentials and of an image's id."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Raises CellProblem for what is no reference."""
    rest, _, digest = text.partition("@")
    first, slash, others = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, others
    else:
        host, path = "docker.io", rest if slash else f"library/{rest}"
    repository, colon, tag = path.partition(":")
    is_good = _HOST.fullmatch(host) and _NAME.fullmatch(repository) and (not colon or _TAG.fullmatch(tag))
    if not is_good or ("@" in text and not _DIGEST.fullmatch(digest)):
        raise CellProblem(f'couldn\'t parse image name "{text}": invalid reference format')
    return Reference(host, repository, tag or "latest", digest)
