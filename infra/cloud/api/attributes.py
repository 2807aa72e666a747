"""What can be asked of and changed at an instance: attributes, metadata options, console, profile.

moto keeps source/dest checks and groups at the instance and not at its interface, forgets metadata options that a
change does not name, and has no console. Source: Amazon EC2 API Reference, ModifyInstanceAttribute, GetConsoleOutput.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action, decoded
from kip_conformance.infra.cloud.api.instance_types import check_type
from kip_conformance.infra.cloud.api.instances import USER_DATA_LIMIT
from kip_conformance.infra.cloud.api.lookups import groups_for, instance
from kip_conformance.infra.cloud.api.shapes.instances import instance as shape_of

__all__ = ["consoles"]

consoles: Callable[[str], bytes] | None = None
"""Reads an instance's console; set by the server, as only its Realizer knows."""

CONSOLE_LIMIT = 64 * 1024
STOPPED_ONLY = ("InstanceType", "UserData", "EbsOptimized")
SWITCHES = {
    "DisableApiTermination": "disable_api_termination",
    "DisableApiStop": "disable_api_stop",
    "EbsOptimized": "ebs_optimized",
}


def _value(given: Any) -> Any:
    return given.get("Value") if isinstance(given, Mapping) else given


@action("ModifyInstanceAttribute")
def modify(call: Call) -> Mapping[str, Any]:
    machine, params = instance(call.backend, call.text("InstanceId")), dict(call.params)
    if name := params.get("Attribute"):
        params[name[:1].upper() + name[1:]] = {"Value": params.get("Value")}
    for name in STOPPED_ONLY:
        if params.get(name) is not None and machine.state != "stopped":
            raise Refusal("IncorrectInstanceState", f"The instance '{machine.id}' is not in the 'stopped' state.")
    if (given := params.get("InstanceType")) is not None:
        check_type(_value(given))
        machine.instance_type = _value(given)
    if (given := params.get("UserData")) is not None:
        machine.user_data = _user_data(_value(given))
    for name, attribute in SWITCHES.items():
        if (given := params.get(name)) is not None:
            setattr(machine, attribute, str(_value(given)).lower() == "true")
    if (given := params.get("InstanceInitiatedShutdownBehavior")) is not None:
        machine.instance_initiated_shutdown_behavior = _value(given)
    if params.get("SourceDestCheck") is not None or params.get("Groups"):
        _modify_interface(call, machine, params)
    for mapping in params.get("BlockDeviceMappings") or []:
        device = machine.block_device_mapping.get(mapping.get("DeviceName"))
        if device is None:
            raise Refusal("InvalidInstanceAttributeValue", f"No device is mapped at {mapping.get('DeviceName')}")
        device.delete_on_termination = bool((mapping.get("Ebs") or {}).get("DeleteOnTermination"))
    return {}


def _user_data(given: Any) -> str | None:
    # Of this action's form moto has decoded it already, of Attribute and Value it has not.
    text = base64.b64encode(given).decode() if isinstance(given, bytes) else str(given or "")
    if len(decoded(text)) > USER_DATA_LIMIT:
        raise Refusal("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")
    return text or None


def _modify_interface(call: Call, machine: Any, params: Mapping[str, Any]) -> None:
    """These two belong to the interface, so the instance must have one only."""
    if len(machine.nics) != 1:
        raise Refusal("InvalidInstanceID", f"There are multiple interfaces attached to instance '{machine.id}'.")
    eni = machine.nics[0]
    if params.get("SourceDestCheck") is not None:
        eni.source_dest_check = str(_value(params["SourceDestCheck"])).lower() == "true"
    if params.get("Groups"):
        eni._group_set = groups_for(call.backend, params["Groups"], eni.subnet)


@action("DescribeInstanceAttribute")
def describe(call: Call) -> Mapping[str, Any]:
    machine, attribute = instance(call.backend, call.text("InstanceId")), call.text("Attribute")
    shape = shape_of(call.backend, machine)
    values: dict[str, tuple[str, Any]] = {
        "blockDeviceMapping": ("BlockDeviceMappings", shape["BlockDeviceMappings"]),
        "disableApiStop": ("DisableApiStop", {"Value": machine.disable_api_stop}),
        "disableApiTermination": ("DisableApiTermination", {"Value": machine.disable_api_termination}),
        "ebsOptimized": ("EbsOptimized", {"Value": machine.ebs_optimized}),
        "groupSet": ("Groups", shape["SecurityGroups"]),
        "instanceInitiatedShutdownBehavior": (
            "InstanceInitiatedShutdownBehavior", {"Value": machine.instance_initiated_shutdown_behavior},
        ),
        "instanceType": ("InstanceType", {"Value": machine.instance_type}),
        "rootDeviceName": ("RootDeviceName", {"Value": machine.root_device_name}),
        "sourceDestCheck": ("SourceDestCheck", {"Value": shape.get("SourceDestCheck", True)}),
        "userData": ("UserData", {"Value": machine.user_data} if machine.user_data else {}),
    }  # fmt: skip
    if attribute not in values:
        raise Refusal("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    member, value = values[attribute]
    return {"InstanceId": machine.id, member: value}


@action("ModifyInstanceMetadataOptions")
def modify_metadata(call: Call) -> Mapping[str, Any]:
    machine = instance(call.backend, call.text("InstanceId"))
    options = machine.metadata_options
    for name, attribute in (
        ("HttpTokens", "http_tokens"),
        ("HttpEndpoint", "http_endpoint"),
        ("InstanceMetadataTags", "instance_metadata_tags"),
    ):
        if value := call.params.get(name):
            setattr(options, attribute, value)
    if (limit := call.params.get("HttpPutResponseHopLimit")) is not None:
        if not 1 <= int(limit) <= 64:
            raise Refusal("InvalidParameterValue", f"Value ({limit}) for parameter httpPutResponseHopLimit is invalid.")
        options.http_put_response_hop_limit = int(limit)
    shape = shape_of(call.backend, machine)["MetadataOptions"]
    return {"InstanceId": machine.id, "InstanceMetadataOptions": {**shape, "State": "pending"}}


@action("GetConsoleOutput")
def console(call: Call) -> Mapping[str, Any]:
    """The last 64 KiB of what the instance has written, base64 as the API has it."""
    machine = instance(call.backend, call.text("InstanceId"))
    content = consoles(machine.id) if consoles is not None else b""
    answer: dict[str, Any] = {"InstanceId": machine.id, "Timestamp": datetime.now(UTC)}
    if content:
        answer["Output"] = base64.b64encode(content[-CONSOLE_LIMIT:]).decode()
    return answer
