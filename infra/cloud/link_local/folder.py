"""Where the facts of a lab's instances and VPCs are: one file each, replaced as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.cloud.facts import InstanceFacts, WorldFacts, ZoneFacts

__all__ = ["FactsFolder"]


@dataclass(frozen=True, slots=True)
class FactsFolder:
    """The folder of a lab's link-local services."""

    path: Path

    @property
    def instances(self) -> Path:
        return self.path / "instances"

    @property
    def zones(self) -> Path:
        return self.path / "zones"

    @property
    def world(self) -> Path:
        """What the resolver of the outside world knows; missing when there is none."""
        return self.path / "world.json"

    @property
    def control(self) -> Path:
        """The unix socket of the server."""
        return self.path / "s"

    def create(self) -> None:
        for folder in (self.path, self.instances, self.zones):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put_instance(self, facts: InstanceFacts) -> None:
        _replace(self.instances / f"{facts.instance_id}.json", facts.to_json())

    def remove_instance(self, instance_id: str) -> None:
        (self.instances / f"{instance_id}.json").unlink(missing_ok=True)

    def put_zone(self, facts: ZoneFacts) -> None:
        _replace(self.zones / f"{facts.vpc_id}.json", facts.to_json())

    def remove_zone(self, vpc_id: str) -> None:
        (self.zones / f"{vpc_id}.json").unlink(missing_ok=True)

    def put_world(self, facts: WorldFacts | None) -> None:
        if facts is None:
            self.world.unlink(missing_ok=True)
        else:
            _replace(self.world, facts.to_json())


def _replace(path: Path, text: str) -> None:
    """Readers see the old text or the new one. Credentials are among it: nobody else may read."""
    passing = path.with_suffix(".new")
    with os.fdopen(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    passing.replace(path)
