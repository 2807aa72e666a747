"""Tags of resources. moto tags what does not exist, and finds by the beginning of a name.

Source: Amazon EC2 API Reference, CreateTags, DescribeTags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.errors import KINDS, unknown
from kip_conformance.infra.cloud.api.filters import matching, page
from kip_conformance.infra.cloud.api.lookups import all_groups, all_instances, all_subnets
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE

__all__: list[str] = []

TYPES = {"nat": "natgateway", "eipalloc": "elastic-ip", "igw": "internet-gateway", "vpce": "vpc-endpoint"}


def _ids(backend: Any) -> Iterator[str]:
    """The ids of all that can have tags."""
    for one in (*all_instances(backend), *all_subnets(backend), *all_groups(backend)):
        yield one.id
    for collection in (
        backend.vpcs, backend.enis, backend.route_tables, backend.internet_gateways, backend.nat_gateways,
        backend.vpc_pcxs, backend.vpn_gateways, backend.customer_gateways, backend.vpn_connections,
        backend.vpc_end_points, backend.dhcp_options_sets, backend.managed_prefix_lists, backend.volumes,
        backend.snapshots, backend.amis, backend.network_acls, backend.launch_templates,
    ):  # fmt: skip
        yield from collection
    for address in backend.addresses:
        yield address.allocation_id
    for pair in backend.key_pairs.values():
        yield pair.id


def _check(call: Call) -> list[str]:
    wanted = list(call.params.get("Resources") or [])
    known = set(_ids(call.backend))
    for one in wanted:
        prefix = one.rpartition("-")[0]
        if one in known:
            continue
        if prefix in KINDS:
            raise unknown(prefix, one)
        raise Refusal("InvalidID", f"The ID '{one}' is not valid")
    return wanted


@action("CreateTags")
def create(call: Call) -> Mapping[str, Any]:
    wanted = _check(call)
    given = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags") or []}
    if reserved := [key for key in given if key.lower().startswith("aws:")]:
        raise Refusal(
            "InvalidParameterValue",
            f"Value ( {reserved[0]} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for "
            "internal use",
        )
    call.backend.create_tags(wanted, given)
    return {}


@action("DeleteTags")
def delete(call: Call) -> Mapping[str, Any]:
    given = call.params.get("Tags")
    for one in _check(call):
        has = call.backend.tags.get(one) or {}
        if given is None:
            has.clear()
        for tag in given or []:
            # Without a value the tag goes whatever it is; with one, an empty one included, only when it is the same.
            if tag.get("Value") in (None, has.get(tag["Key"])):
                has.pop(tag["Key"], None)
    return {}


@action("DescribeTags")
def describe(call: Call) -> Mapping[str, Any]:
    shapes = [
        {"Key": key, "ResourceId": resource_id, "ResourceType": _type(resource_id), "Value": value}
        for resource_id, tags in call.backend.tags.items()
        for key, value in tags.items()
    ]
    filters = [dict(entry) for entry in call.params.get("Filters") or []]
    for entry in filters:
        name = str(entry.get("Name"))
        if name.startswith("tag:"):
            shapes = [one for one in shapes if one["Key"] == name.removeprefix("tag:")]
            entry["Name"] = "value"
    paths = {"key": "Key", "resource-id": "ResourceId", "resource-type": "ResourceType", "value": "Value"}
    found, token = page(matching(shapes, filters, paths), call.params)
    return {"Tags": found, "NextToken": token}


def _type(resource_id: str) -> str:
    prefix = resource_id.rpartition("-")[0]
    return TYPES.get(prefix) or str(EC2_PREFIX_TO_RESOURCE.get(prefix, ""))
