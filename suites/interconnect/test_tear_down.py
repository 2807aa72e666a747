"""What a cluster leaves behind when it is taken down."""

from __future__ import annotations

import pytest


@pytest.mark.requirement("TDN-01")
@pytest.mark.needs("root")
def test_tear_down_leaves_nothing(torn_down):
    """Of a cluster that was taken down no process, namespace, interface, route, rule, tunnel, group or file is left."""
    left = torn_down()
    assert not left, f"a cluster that was taken down is still there: {'; '.join(left)}"
