"""What a server of the cloud's API is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
