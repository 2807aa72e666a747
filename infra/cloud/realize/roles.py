"""The credentials that an instance's role gives it, as the metadata service hands them out."""

from __future__ import annotations

import hashlib
import time

from kip_conformance.infra.cloud.facts import RoleFacts

__all__ = ["temporary_credentials"]

_PERIOD = 6 * 3600
"""Seconds for which credentials are given out; they are valid for one period more (IAM roles for Amazon EC2)."""


def temporary_credentials(account: str, role: str, *, now: float | None = None) -> RoleFacts:
    """Credentials of the period that `now` (seconds since the epoch) is in: the same ones for every caller in it.

    The API accepts them as it accepts any. What is simulated is how an instance comes by them.
    """
    began = int((time.time() if now is None else now) // _PERIOD) * _PERIOD
    digest = hashlib.sha256(f"{account} {role} {began}".encode()).hexdigest()
    return RoleFacts(
        name=role,
        profile_arn=f"arn:aws:iam::{account}:instance-profile/{role}",
        profile_id=f"AIPA{digest[:16].upper()}",
        access_key_id=f"ASIA{digest[16:32].upper()}",
        secret_access_key=digest[:40],
        token=digest,
        last_updated=_text(began),
        expiration=_text(began + 2 * _PERIOD),
    )


def _text(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
