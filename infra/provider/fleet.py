"""The instances that carry this provider's tag, as the cloud last described them, and the end of those not wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kip_conformance.infra.provider.cloud import Cloud, CloudRefusal

__all__ = [
    "CONTROLLER_TAG",
    "NAMETAG_TAG",
    "POD_TAG",
    "RESTARTS_TAG",
    "ROUTES_TAG",
    "START_TAG",
    "UID_TAG",
    "Cell",
    "Fleet",
    "cell_of",
]

_LOG = logging.getLogger(__name__)
CONTROLLER_TAG, NAMETAG_TAG = "KipControllerID", "KipNametag"
UID_TAG, POD_TAG, START_TAG, RESTARTS_TAG = "KipPodUID", "KipPod", "KipStart", "KipRestarts"
ROUTES_TAG = "KipRoutes"
ALIVE = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Cell:
    """One instance. `start` counts the pod's instances from 1; `secondary` is empty where there is none.

    `restarts` is how often each container was restarted before, on earlier cells; `routes` are ranges that lead here.
    """

    instance: str
    uid: str
    start: int
    state: str
    primary: str
    secondary: str
    public: str
    interface: str
    vpc: str = ""
    pod: str = ""
    restarts: Mapping[str, int] = field(default_factory=dict)
    routes: tuple[str, ...] = ()

    @property
    def is_alive(self) -> bool:
        return self.state in ALIVE


def cell_of(described: dict[str, Any]) -> Cell:
    """An instance as RunInstances and DescribeInstances tell it."""
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
    nics = described.get("NetworkInterfaces") or [{}]
    addresses = nics[0].get("PrivateIpAddresses", [])
    secondary = [one["PrivateIpAddress"] for one in addresses if not one.get("Primary")]
    start = tags.get(START_TAG, "1")
    return Cell(
        described["InstanceId"],
        tags.get(UID_TAG, ""),
        int(start) if start.isdigit() else 1,
        described["State"]["Name"],
        described.get("PrivateIpAddress", ""),
        secondary[0] if secondary else "",
        described.get("PublicIpAddress", ""),
        nics[0].get("NetworkInterfaceId", ""),
        described.get("VpcId", ""),
        tags.get(POD_TAG, ""),
        restarts_in(tags.get(RESTARTS_TAG, "")),
        tuple(tags.get(ROUTES_TAG, "").split()),
    )


def restarts_in(tag: str) -> dict[str, int]:
    """Counts by container of a tag such as `web=3 sidecar=1`."""
    pairs = (one.partition("=") for one in tag.split())
    return {name: int(count) for name, _, count in pairs if count.isdigit()}


@dataclass(slots=True)
class Fleet:
    """`run` describes every `interval` seconds, and at once when somebody asks with `hurry`."""

    cloud: Cloud
    controller: str
    interval: float = 5.0
    cells: dict[str, Cell] = field(default_factory=dict)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def refresh(self) -> None:
        """Ask now. Raises CloudRefusal."""
        filters = [{"Name": f"tag:{CONTROLLER_TAG}", "Values": [self.controller]}]
        began = set(self.cells)
        found = await self.cloud.all("describe_instances", Filters=filters)
        described = {one["InstanceId"]: cell_of(one) for group in found for one in group["Instances"]}
        # What was launched since the question was asked is not in the answer, and is there all the same.
        newer = {name: cell for name, cell in self.cells.items() if name not in began and name not in described}
        # Nor is what the cloud does not show yet: an instance is "eventually consistent" with its launch. What has
        # ended long ago is not shown any more, and forgotten once it was seen to end.
        late = {name: cell for name, cell in self.cells.items() if name not in described and cell.state == "pending"}
        self.cells = {**described, **late, **newer}
        async with self._news:
            self._news.notify_all()

    async def run(self) -> None:
        while True:
            try:
                await self.refresh()
            except CloudRefusal as error:
                _LOG.warning("%s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):
                    await self._hurry.wait()
            if self._hurry.is_set():
                self._hurry.clear()
                await asyncio.sleep(0.2)  # however many are in a hurry, five times a second is enough

    def of_pod(self, uid: str) -> list[Cell]:
        """The living instances of a pod, the newest start first."""
        found = [cell for cell in self.cells.values() if cell.uid == uid and cell.is_alive]
        return sorted(found, key=lambda cell: (-cell.start, cell.instance))

    def last_start(self, uid: str) -> int:
        """The highest start of a pod that is known, ended ones too; 0 when there was none."""
        return max((cell.start for cell in self.cells.values() if cell.uid == uid), default=0)

    def add(self, cell: Cell) -> None:
        self.cells[cell.instance] = cell

    async def until(self, instance: str, holds: Callable[[Cell | None], bool]) -> Cell | None:
        """Wait until the instance, None when it is not there any more, is as `holds` says; asks often meanwhile."""
        while not holds(self.cells.get(instance)):
            async with self._news:
                self._hurry.set()
                await self._news.wait()
        return self.cells.get(instance)

    async def terminate(self, instances: list[str]) -> None:
        """End them; returns when the cloud has accepted it. What is not there any more is fine. Never gives up."""
        pause = 0.5
        while instances:
            try:
                await self.cloud.call("terminate_instances", InstanceIds=instances)
                break
            except CloudRefusal as error:
                if error.code.startswith("InvalidInstanceID") and len(instances) == 1:
                    break
                if error.code.startswith("InvalidInstanceID"):
                    for one in instances:
                        await self.terminate([one])
                    break
                _LOG.warning("%s: %s", ", ".join(instances), error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30)
        for one in instances:
            if (cell := self.cells.get(one)) and cell.is_alive:
                self.cells[one] = replace(cell, state="shutting-down")
