"""The expectation for grids whose cells are answers that were judged one by one, and not connections."""

from __future__ import annotations

from kip_conformance.infra.judge.expectations import Expectation
from kip_conformance.infra.probe.observation import Observation

__all__ = ["as_wanted"]


class _AsWanted(Expectation):
    symbol = "+"

    def __call__(self, observation: Observation) -> bool:
        return observation.is_open

    def __str__(self) -> str:
        return "as wanted"

    __repr__ = __str__

    def describe(self, observation: Observation) -> str:
        return observation.detail or str(observation)


as_wanted: Expectation = _AsWanted()
"""What was asked came out as it should; the observation's detail says what that was."""
