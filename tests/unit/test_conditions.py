"""What a pod's status says: whether what was seen of it can be concluded from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from kip_conformance.infra.workloads.conditions import unrest

SINCE = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)


def pod(*, state: str = "running", ended: str = "") -> dict:
    last = {"terminated": {"finishedAt": ended}} if ended else {}
    status = {"name": "prober", "state": {state: {"reason": "CrashLoopBackOff"}}, "lastState": last}
    return {"metadata": {"uid": "u1"}, "status": {"podIP": "10.0.0.1", "containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (pod(), ""),
        (pod(ended="2026-01-05T09:59:59Z"), ""),
        (pod(ended="2026-01-05T10:00:01Z"), "ended and was started again at 2026-01-05T10:00:01Z"),
        (pod(state="waiting"), "does not run: container prober is waiting: CrashLoopBackOff"),
        (None, "was deleted"),
    ],
    ids=["steady", "long-ago", "just-now", "waiting", "gone"],
)
def test_a_pod_that_did_not_run_all_the_time_says_why(seen, said):
    assert unrest(seen, "u1", since=SINCE) == said


def test_a_pod_of_the_same_name_is_another_one():
    assert unrest(pod(), "u2", since=SINCE) == "was replaced"
