"""The management channel between a provider and its cells."""

from __future__ import annotations

import pytest
from kip_conformance.infra.workloads.agent_port import REFUSED, foreign_identity


@pytest.mark.requirement("MGT-02")
def test_the_agent_refuses_clients_without_the_providers_certificate(cells, cell_pods, one_pod_a_machine, knock, api):
    """The agent's port ends the handshake of a client without a certificate, and of one with a foreign one."""
    client = one_pod_a_machine[0]
    identities = {"no certificate": "", "a foreign certificate": foreign_identity()}
    said = {
        f"{pod.name}, {what}": knock(client, cells.at(pod.address).management, identity)
        for pod in cell_pods
        for what, identity in identities.items()
    }
    assert said == dict.fromkeys(said, REFUSED)
    # The provider's own way is the proof that the port answers at all.
    silent = [pod.name for pod in cell_pods if api.run(pod, ["/bin/true"]).exit_code != 0]
    assert not silent, f"no exec by the provider itself: {', '.join(silent)}"
