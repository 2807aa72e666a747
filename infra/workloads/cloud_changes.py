"""Changes to the cloud that a row makes by its API: an end to instances.

Source: Amazon EC2 API Reference, TerminateInstances.
"""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.workloads.cells import CellView

__all__ = ["CloudChanges"]


class CloudChanges:
    """Changes one region by a boto3 client of EC2. botocore's errors pass through."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def terminate(self, cell: CellView) -> None:
        """End the instance of a cell, as somebody might by hand. Not waited for."""
        self._ec2.terminate_instances(InstanceIds=[cell.instance])
