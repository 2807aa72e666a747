"""Credentials of roles: the same for a while, then others, never ones that have expired."""

from __future__ import annotations

from kip_conformance.infra.cloud.realize.roles import temporary_credentials


def test_credentials_stay_for_a_period_and_outlive_it():
    first = temporary_credentials("123456789012", "nodes", now=1_800_000_000)
    soon = temporary_credentials("123456789012", "nodes", now=1_800_000_000 + 60)
    later = temporary_credentials("123456789012", "nodes", now=1_800_000_000 + 7 * 3600)

    assert first == soon
    assert later.access_key_id != first.access_key_id
    assert first.last_updated <= "2027-01-15T08:00:00Z" < first.expiration
    assert temporary_credentials("123456789012", "others", now=1_800_000_000) != first
