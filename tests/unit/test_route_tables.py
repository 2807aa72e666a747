"""Which table a subnet is under for a while, and that all is as before afterwards. The cloud is a double."""

from __future__ import annotations

import itertools

import pytest
from kip_conformance.infra.workloads.cells import SubnetView
from kip_conformance.infra.workloads.route_tables import RouteTables

SUBNET = SubnetView("subnet-1", "10.0.0.0/24", "a", False, "vpc-1")


class Cloud:
    """`held` are associations by id: the table, and the subnet, or "main"."""

    def __init__(self, own):
        self.held = {"a-0": ("rtb-main", "main"), "a-other": ("rtb-public", "subnet-2")}
        self.held |= {"a-own": (own, SUBNET.id)} if own else {}
        self.numbers = itertools.count(1)

    @property
    def arrangement(self):
        of = {who: table for table, who in self.held.values()}
        return of["main"], of.get(SUBNET.id, "")

    def describe_route_tables(self, Filters):
        assert Filters == [{"Name": "vpc-id", "Values": ["vpc-1"]}]
        return {
            "RouteTables": [
                {
                    "RouteTableId": table,
                    "Routes": [],
                    "Associations": [
                        {
                            "RouteTableAssociationId": identifier,
                            **({"Main": True} if who == "main" else {"Main": False, "SubnetId": who}),
                        }
                        for identifier, (held, who) in self.held.items()
                        if held == table
                    ],
                }
                for table in ("rtb-public", "rtb-private", "rtb-main")
            ]
        }

    def replace_route_table_association(self, AssociationId, RouteTableId):
        _, who = self.held.pop(AssociationId)
        self.held[f"a-{next(self.numbers)}"] = (RouteTableId, who)

    def associate_route_table(self, RouteTableId, SubnetId):
        assert SubnetId not in [who for _, who in self.held.values()]
        self.held[f"a-{next(self.numbers)}"] = (RouteTableId, SubnetId)

    def disassociate_route_table(self, AssociationId):
        assert self.held.pop(AssociationId)[1] != "main"


@pytest.mark.parametrize("before", ["rtb-public", ""])
@pytest.mark.parametrize("own", ["rtb-private", "rtb-public", ""])
@pytest.mark.parametrize("main", ["rtb-private", "rtb-main"])
def test_tables_are_in_force_for_a_while(before, own, main):
    cloud = Cloud(before)
    with RouteTables(cloud).arranged(SUBNET, own=own, main=main):
        assert cloud.arrangement == (main, own)
    assert cloud.arrangement == ("rtb-main", before)
    assert ("rtb-public", "subnet-2") in cloud.held.values()


def test_tables_come_back_after_an_error():
    cloud = Cloud("rtb-public")
    with pytest.raises(ZeroDivisionError), RouteTables(cloud).arranged(SUBNET, main="rtb-public"):
        raise ZeroDivisionError
    assert cloud.arrangement == ("rtb-main", "rtb-public")


def test_tables_come_back_when_one_is_refused():
    class Half(Cloud):
        def disassociate_route_table(self, AssociationId):
            raise ZeroDivisionError

    cloud = Half("rtb-public")
    with pytest.raises(ZeroDivisionError), RouteTables(cloud).arranged(SUBNET, main="rtb-private"):
        pass
    assert cloud.arrangement == ("rtb-main", "rtb-public")


def test_the_table_in_force_is_the_subnets_own_or_else_the_main_one():
    assert RouteTables(Cloud("rtb-private")).of(SUBNET) == "rtb-private"
    assert RouteTables(Cloud("")).of(SUBNET) == "rtb-main"
