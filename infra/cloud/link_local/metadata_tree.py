"""The instance metadata tree of one instance, made from its facts (Amazon EC2 User Guide, Instance metadata
categories), and how a path is looked up in it. What is not simulated is left out, so that it answers 404: block
devices beyond the root, events, spot and auto scaling, metrics, and the signatures of the identity document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.cloud.facts import InstanceFacts, InterfaceFacts, RoleFacts, private_name, public_name

__all__ = ["VERSIONS", "Folder", "find", "tree"]

VERSIONS = ("1.0", "2014-11-05", "2016-09-02", "2019-10-01", "2021-07-15", "2022-09-24", "latest")
"""The versions that exist here; all have the same tree, where the real ones leave out what is younger."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A category with sub-categories. `shown` replaces an entry's name in the listing, where that says more."""

    entries: Mapping[str, Folder | bytes]
    shown: Mapping[str, str] = field(default_factory=dict)

    def listing(self) -> bytes:
        """One name a line; a folder's ends with a slash, which user-data's never does."""
        return "\n".join(
            self.shown.get(name, f"{name}/" if isinstance(entry, Folder) and name not in _PLAIN else name)
            for name, entry in sorted(self.entries.items())
        ).encode()


_PLAIN = ("meta-data", "dynamic", "user-data", *VERSIONS)


def find(root: Folder, path: str) -> bytes | None:
    """What a path of the tree answers, None when there is no such thing.

    Folders and values answer with and without a slash at the end: the cloud's own client asks for the value
    placement/availability-zone with one.
    """
    here: Folder | bytes = root
    for part in path.removeprefix("/").removesuffix("/").split("/") if path != "/" else ():
        if not isinstance(here, Folder) or part not in here.entries:
            return None
        here = here.entries[part]
    return here.listing() if isinstance(here, Folder) else here


def tree(facts: InstanceFacts) -> Folder:
    """The whole tree below `/`."""
    version: dict[str, Folder | bytes] = {"meta-data": _metadata(facts), "dynamic": _dynamic(facts)}
    if facts.user_data is not None:
        version["user-data"] = facts.user_data
    return Folder({name: Folder(version) for name in VERSIONS})


def _folder(entries: Mapping[str, Folder | bytes | str | None]) -> Folder:
    """Values that are None are left out."""
    return Folder(
        {
            name: entry.encode() if isinstance(entry, str) else entry
            for name, entry in entries.items()
            if entry is not None
        }
    )


def _metadata(facts: InstanceFacts) -> Folder:
    primary = facts.interfaces[0]
    public = _public_of(primary)
    return _folder(
        {
            "ami-id": facts.image_id,
            "ami-launch-index": str(facts.launch_index),
            "ami-manifest-path": "(unknown)",
            "block-device-mapping": _folder({"ami": "/dev/xvda", "root": "/dev/xvda"}),
            "hostname": facts.hostname,
            "iam": _iam(facts.role) if facts.role else None,
            "instance-action": "none",
            "instance-id": facts.instance_id,
            "instance-life-cycle": "on-demand",
            "instance-type": facts.instance_type,
            "local-hostname": facts.hostname,
            "local-ipv4": primary.addresses[0],
            "mac": primary.mac,
            "network": _folder({"interfaces": _folder({"macs": _macs(facts)})}),
            "placement": _folder(
                {"availability-zone": facts.zone, "availability-zone-id": facts.zone_id, "region": facts.region}
            ),
            "profile": "default-hvm",
            "public-hostname": (facts.public_hostname or None) if public else None,
            "public-ipv4": public,
            "public-keys": _keys(facts) if facts.keys else None,
            "reservation-id": facts.reservation_id,
            "security-groups": "\n".join(name for _, name in primary.groups),
            "services": _folder({"domain": "amazonaws.com", "partition": "aws"}),
            "tags": _tags(facts) if facts.options.shows_tags and facts.tags else None,
        }
    )


def _public_of(interface: InterfaceFacts) -> str | None:
    """The public address of the primary private one."""
    return next((public for public, private in interface.public if private == interface.addresses[0]), None)


def _macs(facts: InstanceFacts) -> Folder:
    return _folder({interface.mac: _interface(facts, interface) for interface in facts.interfaces})


def _interface(facts: InstanceFacts, interface: InterfaceFacts) -> Folder:
    associations = {
        public: "\n".join(private for shown, private in interface.public if shown == public)
        for public, _ in interface.public
    }
    public = _public_of(interface)
    return _folder(
        {
            "device-number": str(interface.device_number),
            "interface-id": interface.interface_id,
            "ipv4-associations": _folder(associations) if associations else None,
            "local-hostname": private_name(interface.addresses[0], facts.region),
            "local-ipv4s": "\n".join(interface.addresses),
            "mac": interface.mac,
            "owner-id": facts.account,
            "public-hostname": public_name(public, facts.region) if public and facts.public_hostname else None,
            "public-ipv4s": "\n".join(associations) if associations else None,
            "security-group-ids": "\n".join(group for group, _ in interface.groups),
            "security-groups": "\n".join(name for _, name in interface.groups),
            "subnet-id": interface.subnet_id,
            "subnet-ipv4-cidr-block": interface.subnet_cidr,
            "vpc-id": interface.vpc_id,
            "vpc-ipv4-cidr-block": interface.vpc_cidrs[0],
            "vpc-ipv4-cidr-blocks": "\n".join(interface.vpc_cidrs),
        }
    )


def _iam(role: RoleFacts) -> Folder:
    """Amazon EC2 User Guide, Retrieve security credentials from instance metadata."""
    info = {
        "Code": "Success",
        "LastUpdated": role.last_updated,
        "InstanceProfileArn": role.profile_arn,
        "InstanceProfileId": role.profile_id,
    }
    credentials = {
        "Code": "Success",
        "LastUpdated": role.last_updated,
        "Type": "AWS-HMAC",
        "AccessKeyId": role.access_key_id,
        "SecretAccessKey": role.secret_access_key,
        "Token": role.token,
        "Expiration": role.expiration,
    }
    return _folder({"info": _json(info), "security-credentials": _folder({role.name: _json(credentials)})})


def _keys(facts: InstanceFacts) -> Folder:
    numbered = list(enumerate(facts.keys))
    return Folder(
        {str(number): _folder({"openssh-key": f"{key}\n"}) for number, (_, key) in numbered},
        {str(number): f"{number}={name}" for number, (name, _) in numbered},
    )


def _tags(facts: InstanceFacts) -> Folder:
    return _folder({"instance": _folder(dict(facts.tags))})


def _dynamic(facts: InstanceFacts) -> Folder:
    """Amazon EC2 User Guide, Instance identity documents."""
    document = {
        "accountId": facts.account,
        "architecture": facts.architecture,
        "availabilityZone": facts.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "imageId": facts.image_id,
        "instanceId": facts.instance_id,
        "instanceType": facts.instance_type,
        "kernelId": None,
        "marketplaceProductCodes": None,
        "pendingTime": facts.pending_time,
        "privateIp": facts.interfaces[0].addresses[0],
        "ramdiskId": None,
        "region": facts.region,
        "version": "2017-09-30",
    }
    return _folder({"instance-identity": _folder({"document": _json(document)})})


def _json(data: Mapping[str, str | None]) -> str:
    return json.dumps(data, indent=2)
