"""How a Service shares connections out among its endpoints, in every proxy mode."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.services import PortPlan

_CONNECTIONS_PER_ENDPOINT = 60  # so many that an even choice stays within the bounds but once in 10^9 runs
_LEAST, _MOST = 1 / 3, 3.0


@pytest.mark.requirement("SVC-15")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_every_endpoint_is_chosen_and_none_is_preferred(services, probe, pods, features, protocol):
    """Every endpoint is chosen; where the target declares an even choice, none gets far from an equal share."""
    (web,) = services.make(pods, PortPlan(8443, pods[0].ports[0], protocol))
    answered = every_pair(pods, [web.target], is_open())
    eventually(lambda: probe.all(pods, [web.target], protocol), answered, within=web.budget)

    shares = probe.shares(pods, web.target, attempts=_CONNECTIONS_PER_ENDPOINT * len(pods))
    assert not shares.unanswered, f"connections that no endpoint answered: {shares.unanswered}"
    assert not shares.never_chosen(), "; ".join(shares.never_chosen())
    uneven = shares.uneven(least=_LEAST, most=_MOST) if "even-choice" in features else ()
    assert not uneven, f"some endpoint got less than a third or more than three times its share: {'; '.join(uneven)}"
