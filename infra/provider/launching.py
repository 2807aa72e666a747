"""Launching the instance of a pod, so that a second one is never started for the same purpose.

The client token of a launch is made of the pod's uid and the number of the start, and the instance carries both in its
tags from the first moment: whoever was killed in the middle of it finds the instance again, by tag or by token.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.cell.quantities import quantity
from kip_conformance.infra.cell.user_data import CellSettings, render
from kip_conformance.infra.provider.cells_told import CellsTold
from kip_conformance.infra.provider.cloud import Cloud, CloudRefusal
from kip_conformance.infra.provider.config import BootImageSpec, Config
from kip_conformance.infra.provider.fleet import (
    CONTROLLER_TAG,
    NAMETAG_TAG,
    POD_TAG,
    RESTARTS_TAG,
    ROUTES_TAG,
    START_TAG,
    UID_TAG,
    Cell,
    Fleet,
    cell_of,
)
from kip_conformance.infra.provider.groups import ensure_group, tag_list, wanted_rules
from kip_conformance.infra.provider.identity import Identity
from kip_conformance.infra.provider.kube_client import Object
from kip_conformance.infra.provider.placement import AddressPicker, Place, is_public, table_of, vpc_ranges
from kip_conformance.infra.provider.wishes import Wishes

__all__ = ["Launcher"]

_LOG = logging.getLogger(__name__)
_FRESH = 5.0
"""Seconds for which what the network looks like is believed: 20 pods at once ask once."""
_IMAGE_FRESH = 300.0
_TAG_LIMIT = 256
_TERMINATED, _MISMATCH = "IdempotentInstanceTerminated", "IdempotentParameterMismatch"
_SHOWN_WITHIN = 10
"""Seconds that the cloud may take to show an instance that it has launched."""


@dataclass(slots=True)
class _Network:
    """What a launch has to know of the network, and when it was seen."""

    group: str
    is_public: bool
    vpc_cidrs: tuple[str, ...]
    seen: float


@dataclass(slots=True)
class Launcher:
    """All launches of this provider."""

    config: Config
    cloud: Cloud
    identity: Identity
    place: Place
    fleet: Fleet
    told: CellsTold
    node: str
    picker: AddressPicker = field(init=False)
    _network: _Network | None = field(default=None, init=False)
    _image: tuple[float, dict[str, Any]] | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _image_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        self.picker = AddressPicker(self.place.subnet_cidr)

    @property
    def tags(self) -> dict[str, str]:
        """What everything made by this provider carries."""
        return {CONTROLLER_TAG: self.identity.controller, NAMETAG_TAG: self.config.cells.nametag}

    async def repair_group(self) -> str:
        """Make the cells' security group what it should be; returns its id. Raises CloudRefusal."""
        self._network = None
        return (await self.network()).group

    async def network(self) -> _Network:
        """Raises CloudRefusal."""
        async with self._lock:
            if self._network is None or time.monotonic() - self._network.seen > _FRESH:
                ranges, table = await asyncio.gather(
                    vpc_ranges(self.cloud, self.place.vpc), table_of(self.cloud, self.place)
                )
                rules = wanted_rules(ranges, self.config.cells.extra_cidrs)
                group = await ensure_group(self.cloud, self.place.vpc, self.identity.controller, self.tags, rules)
                self._network = _Network(group, is_public(table), ranges, time.monotonic())
            return self._network

    async def launch(self, pod: Object, wishes: Wishes, restarts: Mapping[str, int]) -> Cell:
        """The pod's instance, new or found. Raises CloudRefusal when the cloud gives none; nothing is left then."""
        uid = pod["metadata"]["uid"]
        if alive := self.fleet.of_pod(uid):
            return alive[0]
        network, image = await asyncio.gather(self.network(), self.image())
        start = self.fleet.last_start(uid) + 1
        for _ in range(8):
            used = await self._used()
            addresses = self.picker.take(1 if wishes.host_network else 2, used)
            if addresses is None:
                raise CloudRefusal(
                    "run_instances",
                    "InsufficientFreeAddressesInSubnet",
                    f"subnet {self.place.subnet} ({self.place.subnet_cidr}) has too few free addresses for a cell",
                )
            try:
                tags = self._tags(pod, start, restarts, wishes.routes)
                request = self._request(wishes, network, addresses, tags)
                made = await self.cloud.call("run_instances", **request, **_booting(image, self.config))
            except CloudRefusal as error:
                if error.code == _TERMINATED:
                    start += 1
                elif error.code == _MISMATCH:
                    # This start was asked for before, and whoever asked did not live to see the answer.
                    earlier = await self._earlier(uid, start)
                    if earlier is None:
                        raise
                    if earlier.is_alive:
                        return earlier
                    start += 1
                elif error.code != "InvalidIPAddress.InUse":
                    raise
                continue
            finally:
                self.picker.release(addresses)
            cell = cell_of(made["Instances"][0])
            if cell.is_alive:
                self.fleet.add(cell)
                return cell
            start += 1
        raise CloudRefusal(
            "run_instances", "InvalidIPAddress.InUse", "other launches take every address that is chosen"
        )

    async def _used(self) -> set[str]:
        filters = [{"Name": "subnet-id", "Values": [self.place.subnet]}]
        interfaces = await self.cloud.all("describe_network_interfaces", Filters=filters)
        return {one["PrivateIpAddress"] for nic in interfaces for one in nic.get("PrivateIpAddresses", [])}

    async def _earlier(self, uid: str, start: int) -> Cell | None:
        """The instance of this start, ended or not, once the cloud shows it."""
        for _ in range(_SHOWN_WITHIN):
            await self.fleet.refresh()
            for cell in self.fleet.cells.values():
                if (cell.uid, cell.start) == (uid, start):
                    return cell
            await asyncio.sleep(1)
        return None

    def _tags(self, pod: Object, start: int, restarts: Mapping[str, int], routes: Sequence[str]) -> dict[str, str]:
        metadata = pod["metadata"]
        counted = " ".join(f"{name}={count}" for name, count in sorted(restarts.items()))
        tags = {
            **self.tags,
            UID_TAG: metadata["uid"],
            POD_TAG: f"{metadata['namespace']}/{metadata['name']}",
            START_TAG: str(start),
            "Name": f"{self.config.cells.nametag}-{metadata['namespace']}-{metadata['name']}",
            **({RESTARTS_TAG: counted} if counted else {}),
            **({ROUTES_TAG: " ".join(routes)} if routes else {}),
        }
        return {name: value[:_TAG_LIMIT] for name, value in tags.items()}

    def _request(
        self, wishes: Wishes, network: _Network, addresses: tuple[str, ...], tags: dict[str, str]
    ) -> dict[str, Any]:
        """RunInstances' parameters but for the image."""
        interface = {
            "DeviceIndex": 0,
            "SubnetId": self.place.subnet,
            "Groups": [network.group, *(one for one in wishes.groups if one != network.group)],
            "DeleteOnTermination": True,
            # Said either way: the subnet's own setting is no part of the rule.
            "AssociatePublicIpAddress": network.is_public and not wishes.private_only,
            "PrivateIpAddresses": [
                {"PrivateIpAddress": one, "Primary": index == 0} for index, one in enumerate(addresses)
            ],
        }
        profile = wishes.instance_profile
        by = "Arn" if profile.startswith("arn:") else "Name"
        return {
            **({"IamInstanceProfile": {by: profile}} if profile else {}),
            "InstanceType": wishes.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": f"{tags[UID_TAG]}-{tags[START_TAG]}",
            "NetworkInterfaces": [interface],
            "UserData": render(self._settings(addresses, network)),
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tag_list(tags)} for kind in ("instance", "network-interface", "volume")
            ],
        }

    def _settings(self, addresses: tuple[str, ...], network: _Network) -> CellSettings:
        certificate, key = self.identity.issue("kip-cell", address=addresses[0])
        cells, told = self.config.cells, self.told
        return CellSettings(
            version=told.version,
            url=cells.itzo.url.rstrip("/"),
            sha256=told.sha256,
            ca=self.identity.ca,
            certificate=certificate,
            key=key,
            node_name=self.node,
            pod_address=addresses[1] if len(addresses) > 1 else "",
            cluster_dns=told.cluster_dns,
            cluster_domain=told.cluster_domain,
            vpc_cidrs=network.vpc_cidrs,
            extra_cidrs=cells.extra_cidrs,
            api_server=told.api_server if told.proxy_token else "",
            api_ca=told.api_ca if told.proxy_token else "",
            proxy_token=told.proxy_token,
            proxy_mode=told.proxy_mode,
            programs=told.programs,
            registry_ca=told.registry_ca,
            image_store=told.image_store,
        )

    async def image(self) -> dict[str, Any]:
        """The image that cells boot. Raises CloudRefusal, with a code of ours when nothing matches."""
        async with self._image_lock:
            if self._image is None or time.monotonic() - self._image[0] > _IMAGE_FRESH:
                found = await self.cloud.call("describe_images", **image_query(self.config.cells.boot_image_spec))
                if not found.get("Images"):
                    raise CloudRefusal("describe_images", "NoImage", "cells.bootImageSpec matches no image")
                newest = max(found["Images"], key=lambda image: str(image.get("CreationDate", "")))
                self._image = (time.monotonic(), newest)
            return self._image[1]


def _booting(image: dict[str, Any], config: Config) -> dict[str, Any]:
    gibibytes = math.ceil(quantity(config.cells.default_volume_size) / (1 << 30))
    disk = {"VolumeSize": gibibytes, "DeleteOnTermination": True}
    mapping = {"DeviceName": image.get("RootDeviceName") or "/dev/xvda", "Ebs": disk}
    return {"ImageId": image["ImageId"], "BlockDeviceMappings": [mapping]}


def image_query(spec: BootImageSpec) -> dict[str, Any]:
    """DescribeImages' parameters for a bootImageSpec; Kip's own images when it is empty."""
    if not (spec.owners or spec.executable_users or spec.filters or spec.image_ids):
        spec = BootImageSpec(owners="689494258501", filters="name=elotl-kip-*")
    filters = []
    for one in spec.filters.split():
        name, _, values = one.partition("=")
        filters.append({"Name": name, "Values": values.split(",")})
    query = {
        "Owners": spec.owners.split(),
        "ExecutableUsers": spec.executable_users.split(),
        "Filters": filters,
        "ImageIds": spec.image_ids.split(),
    }
    return {name: value for name, value in query.items() if value}
