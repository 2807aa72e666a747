"""What a server of the cloud's API is told when it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from kip_conformance.infra.errors import UsageError

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Folder of the state, and the ranges that only this simulated cloud has.

    `public_pool` is where public addresses come from and `s3_range` what the prefix list of S3 holds; both are of the
    documentation ranges (RFC 5737), so that nothing real is ever meant.
    """

    folder: Path
    region: str = "eu-central-1"
    account: str = "123456789012"
    public_pool: str = "203.0.113.0/24"
    s3_range: str = "192.0.2.0/26"

    def check(self) -> None:
        """Raises UsageError when a value cannot be used."""
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[1-9]", self.region):
            raise UsageError(f"{self.region} is not how a region is called: one is eu-central-1")
        for name, value in (("public pool", self.public_pool), ("range of S3", self.s3_range)):
            try:
                IPv4Network(value)
            except ValueError as error:
                raise UsageError(f"the {name} {value} is no IPv4 range: {error}") from error
