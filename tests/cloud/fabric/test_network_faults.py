"""Every fact can fail: each defect of the network is noticed by the facts about it, and by none after it is mended."""

from __future__ import annotations

import pytest
from kip_conformance.infra.fabric.reconcile import Fabric

from .facts import FACTS
from .network_faults import FAULTS, NetworkFault
from .packets import Packets


def differing(packets: Packets, *, within: float) -> dict[str, str]:
    """The facts that come out otherwise, with what was seen."""
    seen = packets.probe(*(fact.probe for fact in FACTS), within=within)
    return {fact.name: said for fact, said in zip(FACTS, seen, strict=True) if said != fact.expected}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_defect_is_noticed_by_its_facts(fault: NetworkFault, fabric: Fabric, packets: Packets) -> None:
    with fault.planted(fabric):
        noticed = differing(packets, within=fault.within)
    assert set(fault.noticed_by) <= set(noticed), f"{fault.sentence}: {noticed}"


def test_after_all_of_them_every_fact_holds(packets: Packets) -> None:
    assert differing(packets, within=2.5) == {}


def test_defects_have_names_of_their_own_and_name_facts() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 25
    assert {name for fault in FAULTS for name in fault.noticed_by} <= {fact.name for fact in FACTS}
