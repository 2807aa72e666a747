"""RunInstances. moto launches the least number, ignores most of what is asked for interfaces and has no tokens.

All checks come before anything is made; then each instance is moto's object around interfaces of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cloud.api.addresses import free_count
from kip_conformance.infra.cloud.api.call import Call, Refusal, action, decoded
from kip_conformance.infra.cloud.api.instance_types import check_type, limits_of
from kip_conformance.infra.cloud.api.interfaces import (
    attach,
    check_address_limit,
    chosen_addresses,
    is_in_use,
    make_interface,
)
from kip_conformance.infra.cloud.api.lookups import all_instances, all_subnets, groups_for, interface, subnet
from kip_conformance.infra.cloud.api.public_addresses import give_public
from kip_conformance.infra.cloud.api.shapes.instances import reservation
from kip_conformance.infra.cloud.api.tokens import once
from moto.ec2.models.instances import Instance, InstanceState, Reservation
from moto.ec2.utils import filter_iam_instance_profiles, random_reservation_id

__all__ = ["USER_DATA_LIMIT"]

USER_DATA_LIMIT = 16384
MOST_INSTANCES = 1000
EXCLUSIVE = ("SubnetId", "SecurityGroupIds", "PrivateIpAddress")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a checked request comes to; `nics` are specifications by device index, each with its subnet's id."""

    count: int
    of_subnet: Any
    nics: dict[int, dict[str, Any]]
    profile: Any


@action("RunInstances")
def run(call: Call) -> Mapping[str, Any]:
    if template := call.params.get("LaunchTemplate"):
        # "Any parameters that you specify in RunInstances override the same parameters in the launch template."
        call.params = {**_template(call, template), **call.params}
        # A template has its user data as an object of moto's around the text.
        call.params["UserData"] = str(call.params.get("UserData") or "")
    if not call.params.get("ImageId"):
        raise Refusal("MissingParameter", "The request must contain the parameter ImageId")
    reservation_id = once(call, lambda: _launch(call))
    return reservation(call.backend, call.backend.reservations[reservation_id])


def _template(call: Call, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a launch template's version, the default one if none is named."""
    if not wanted.get("LaunchTemplateId") and not wanted.get("LaunchTemplateName"):
        raise Refusal("MissingParameter", "Either a launch template ID or a launch template name must be specified.")
    try:
        return dict(call.backend._get_template_from_args(wanted).data)
    except IndexError as error:
        raise Refusal("InvalidLaunchTemplateId.NotFound", "The specified launch template does not exist.") from error


def _launch(call: Call) -> str:
    plan = _plan(call)
    made = Reservation(random_reservation_id(), owner_id=call.account)
    call.backend.reservations[made.id] = made
    for index in range(plan.count):
        machine = _make(call, plan, index)
        made.instances.append(machine)
        _add_root_volume(call, machine)
        if plan.profile is not None:
            call.backend.associate_iam_instance_profile(machine.id, iam_instance_profile_arn=plan.profile.arn)
            machine.iam_instance_profile = {"Arn": plan.profile.arn, "Id": plan.profile.id}
    call.work.start.extend(one.id for one in made.instances)
    return str(made.id)


def _add_root_volume(call: Call, machine: Any) -> None:
    """A root volume, of the size that the first mapping asks for; GiB."""
    mappings = call.params.get("BlockDeviceMappings") or [{}]
    asked = mappings[0].get("Ebs") or {}
    machine.add_block_device(
        int(asked.get("VolumeSize") or 8), mappings[0].get("DeviceName") or machine.root_device_name,
        None, False, asked.get("DeleteOnTermination") is not False, None, volume_type=asked.get("VolumeType") or "gp3",
    )  # fmt: skip


def _plan(call: Call) -> Plan:
    params = call.params
    least, most = int(params["MinCount"]), int(params["MaxCount"])
    if not 0 < least <= most:
        raise Refusal("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    living = sum(one.state != "terminated" for one in all_instances(call.backend))
    if living + least > MOST_INSTANCES:
        raise Refusal(
            "InstanceLimitExceeded", f"You have requested more instances than your limit of {MOST_INSTANCES}."
        )
    most = min(most, MOST_INSTANCES - living)
    image_id = call.params["ImageId"]
    if image_id not in call.backend.amis:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    check_type(params.get("InstanceType", "m1.small"))
    if (key := params.get("KeyName")) and key not in call.backend.key_pairs:
        raise Refusal("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    if len(decoded(params.get("UserData") or "")) > USER_DATA_LIMIT:
        raise Refusal("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")
    of_subnet, nics = _interfaces(call)
    zone = (params.get("Placement") or {}).get("AvailabilityZone")
    if zone and zone != of_subnet.availability_zone:
        raise Refusal(
            "InvalidParameterValue",
            f"The specified zone {zone} is not the zone {of_subnet.availability_zone} of subnet {of_subnet.id}",
        )
    if most > 1 and any(_is_explicit(spec) for spec in nics.values()):
        raise Refusal(
            "InvalidParameterCombination",
            "Addresses and interfaces of their own may be specified for one instance only.",
        )
    return Plan(_fitting(call, nics, least, most), of_subnet, nics, _profile(call))


def _addresses_wanted(spec: Mapping[str, Any]) -> int:
    """How many addresses an interface is to have."""
    listed = len(spec.get("PrivateIpAddresses") or [])
    return max(listed, 1) + int(spec.get("SecondaryPrivateIpAddressCount") or 0)


def _is_explicit(spec: Mapping[str, Any]) -> bool:
    return any(spec.get(name) for name in ("PrivateIpAddress", "PrivateIpAddresses", "NetworkInterfaceId"))


def _interfaces(call: Call) -> tuple[Any, dict[int, dict[str, Any]]]:
    """The instance's subnet and the specification of each interface by device index."""
    params = call.params
    specs = [dict(spec) for spec in params.get("NetworkInterfaces") or []]
    if not specs:
        of_subnet = _subnet(call, params.get("SubnetId"))
        groups = list(params.get("SecurityGroupIds") or [])
        groups += [_named_group(call, name, of_subnet) for name in params.get("SecurityGroups") or []]
        spec = {"SubnetId": of_subnet.id, "Groups": groups, "PrivateIpAddress": params.get("PrivateIpAddress")}
        return of_subnet, {0: {**spec, "Description": ""}}
    if clash := [name for name in EXCLUSIVE if params.get(name)]:
        raise Refusal(
            "InvalidParameterCombination",
            f"Network interfaces and an instance-level {clash[0]} may not be specified on the same request",
        )
    nics = {int(spec.get("DeviceIndex") or 0): spec for spec in specs}
    if len(nics) < len(specs):
        raise Refusal("InvalidParameterValue", "Each network interface requires a unique device index.")
    if 0 not in nics:
        raise Refusal("InvalidParameterValue", "A network interface with device index 0 is required.")
    instance_type = params.get("InstanceType", "m1.small")
    if len(nics) > limits_of(instance_type).interfaces:
        raise Refusal("AttachmentLimitExceeded", f"Interface count {len(nics)} exceeds the limit for {instance_type}")
    if len(nics) > 1 and any(spec.get("AssociatePublicIpAddress") for spec in specs):
        raise Refusal(
            "InvalidParameterCombination",
            "The associatePublicIPAddress parameter cannot be specified when launching with several interfaces.",
        )
    for spec in nics.values():
        if interface_id := spec.get("NetworkInterfaceId"):
            spec["SubnetId"] = interface(call.backend, interface_id).subnet.id
        else:
            spec["SubnetId"] = _subnet(call, spec.get("SubnetId")).id
        check_address_limit(instance_type, _addresses_wanted(spec))
    of_subnet = subnet(call.backend, nics[0]["SubnetId"])
    for spec in nics.values():
        if subnet(call.backend, spec["SubnetId"]).availability_zone != of_subnet.availability_zone:
            raise Refusal("InvalidParameterCombination", "All network interfaces must be in one availability zone.")
    return of_subnet, nics


def _subnet(call: Call, subnet_id: str | None) -> Any:
    """The subnet asked for, or the default one, of the zone asked for if any."""
    if subnet_id:
        return subnet(call.backend, subnet_id)
    zone = (call.params.get("Placement") or {}).get("AvailabilityZone")
    for one in sorted(all_subnets(call.backend), key=lambda found: str(found.availability_zone)):
        if one.default_for_az and zone in (None, one.availability_zone):
            return one
    raise Refusal("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")


def _named_group(call: Call, name: str, of_subnet: Any) -> str:
    """The id of a group of the default VPC by its name."""
    for one in call.backend.groups[of_subnet.vpc_id].values():
        if one.name == name:
            return str(one.id)
    raise Refusal("InvalidGroup.NotFound", f"The security group '{name}' does not exist")


def _fitting(call: Call, nics: Mapping[int, Mapping[str, Any]], least: int, most: int) -> int:
    """How many instances the free addresses allow.

    "Amazon EC2 API Reference, RunInstances": the largest possible number between MinCount and MaxCount. Raises Refusal
    (InsufficientFreeAddressesInSubnet).
    """
    needed: dict[str, int] = {}
    for spec in nics.values():
        if not spec.get("NetworkInterfaceId"):
            needed[spec["SubnetId"]] = needed.get(spec["SubnetId"], 0) + _addresses_wanted(spec)
    for subnet_id, each in needed.items():
        most = min(most, free_count(call.backend, subnet(call.backend, subnet_id)) // each)
    if most < least:
        raise Refusal(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{next(iter(needed))}' to satisfy the requested number of "
            "instances.",
        )
    return most


def _profile(call: Call) -> Any:
    """The instance profile asked for, or None."""
    if not (wanted := call.params.get("IamInstanceProfile")):
        return None
    try:
        return filter_iam_instance_profiles(
            call.account,
            "aws",
            iam_instance_profile_arn=wanted.get("Arn"),
            iam_instance_profile_name=wanted.get("Name"),
        )
    except Exception as error:
        name = wanted.get("Name") or wanted.get("Arn")
        raise Refusal(
            "InvalidParameterValue", f"Value ({name}) for parameter iamInstanceProfile is invalid."
        ) from error


def _make(call: Call, plan: Plan, index: int) -> Any:
    params, backend = call.params, call.backend
    primary = _made_or_found(call, plan.nics[0])
    machine = Instance(
        backend, params["ImageId"], params.get("UserData"), [],
        nics=[{"NetworkInterfaceId": primary.id, "DeviceIndex": 0}],
        instance_type=params.get("InstanceType", "m1.small"), region_name=call.region,
        placement=plan.of_subnet.availability_zone, key_name=params.get("KeyName"), ami_launch_index=index,
        client_token=params.get("ClientToken"), ebs_optimized=bool(params.get("EbsOptimized")),
        disable_api_termination=bool(params.get("DisableApiTermination")),
        disable_api_stop=bool(params.get("DisableApiStop")), metadata_options=params.get("MetadataOptions") or {},
        instance_initiated_shutdown_behavior=params.get("InstanceInitiatedShutdownBehavior"),
        monitoring_state="enabled" if (params.get("Monitoring") or {}).get("Enabled") else "disabled",
    )  # fmt: skip
    machine._subnet_id = plan.of_subnet.id
    machine._state = InstanceState("pending", 0)
    machine.kip_boots = 1
    for device_index, spec in sorted(plan.nics.items()):
        eni = machine.nics[0] if device_index == 0 else _made_or_found(call, spec)
        if device_index:
            attach(machine, eni, device_index, delete_on_termination=False)
        _settle(call, plan, eni, spec)
    if tags := call.tags("instance"):
        backend.create_tags([machine.id], tags)
    return machine


def _made_or_found(call: Call, spec: Mapping[str, Any]) -> Any:
    """The interface of a specification; one that exists already must be free."""
    if interface_id := spec.get("NetworkInterfaceId"):
        eni = interface(call.backend, interface_id)
        if is_in_use(eni):
            raise Refusal("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
        return eni
    of_subnet = subnet(call.backend, spec["SubnetId"])
    return make_interface(
        call.backend, of_subnet, chosen_addresses(call.backend, of_subnet, spec),
        groups_for(call.backend, spec.get("Groups") or [], of_subnet),
        description=spec.get("Description") or "", tags=call.tags("network-interface"),
    )  # fmt: skip


def _settle(call: Call, plan: Plan, eni: Any, spec: Mapping[str, Any]) -> None:
    """What the launch says of an interface beyond addresses: its end, and a public address."""
    # What the launch itself made goes with the instance unless it is said otherwise; what was there before stays.
    eni.delete_on_termination = not spec.get("NetworkInterfaceId") and spec.get("DeleteOnTermination") is not False
    wants_public = spec.get("AssociatePublicIpAddress")
    if wants_public is None:
        wants_public = len(plan.nics) == 1 and not spec.get("NetworkInterfaceId") and eni.subnet.map_public_ip_on_launch
    eni.public_ip_auto_assign = bool(wants_public)
    if wants_public:
        give_public(call.backend, call.settings, eni)
