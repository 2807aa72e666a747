"""What a target is told before it stands up: versions, CNI, proxy modes, what to keep, budgets. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kip_conformance.infra.targets.plan import FOUNDATION, PlannedPlace
from kip_conformance.infra.targets.profile import Profile

__all__ = ["DEFAULT_MODES", "Keep", "TargetOptions"]

Keep = Literal["never", "failed", "always"]

DEFAULT_MODES = ("iptables", "nftables")


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """The same for every target; one that has no use for a field ignores it.

    `kubernetes_version` None means the target's default. `cni` is the name of a built-in set-up or the path of a
    folder. `modes` are the proxy modes that the run will ask for, the first of which the cluster should come up in.
    `places` are those that will be judged. `state_root` None means the target's own default.
    """

    run_id: str
    kubernetes_version: str | None = None
    cni: str = "routed"
    modes: tuple[str, ...] = DEFAULT_MODES
    keep: Keep = "never"
    state_root: Path | None = None
    profile: Profile = field(default_factory=Profile)
    places: tuple[PlannedPlace, ...] = FOUNDATION
