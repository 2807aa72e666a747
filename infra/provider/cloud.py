"""Calls to the cloud's API, by boto3 in a few threads, and what its refusals mean to this provider.

Which calls are made when is not decided here. Source: Amazon EC2 API Reference; its page on error codes.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.config import Aws

__all__ = ["Cloud", "CloudRefusal"]

_LOG = logging.getLogger(__name__)
_THREADS = 8
# What passes by itself: it is asked for again, later.
_PASSING = (
    "RequestLimitExceeded",
    "Throttling",
    "ServiceUnavailable",
    "InternalError",
    "InternalFailure",
    "Unavailable",
)
_FULL = (
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientAddressCapacity",
    "InstanceLimitExceeded",
    "VcpuLimitExceeded",
    "AddressLimitExceeded",
    "SecurityGroupLimitExceeded",
)


class CloudRefusal(KipError):
    """The cloud's API refused a call, or did not answer; `code` is its own word, `NoAnswer` for none."""

    def __init__(self, action: str, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action, self.code = action, code

    @property
    def is_throttled(self) -> bool:
        """Whether the call was never looked at, so that the same call may succeed a moment later."""
        return self.code.startswith(_PASSING) or self.code == "NoAnswer"

    @property
    def is_full(self) -> bool:
        """Whether the cloud has too little of something now."""
        return self.code in _FULL


@dataclass(slots=True)
class Cloud:
    """One region's EC2. Thread-safe, and for one event loop."""

    settings: Aws
    client: Any = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "cloud"))

    async def call(self, action: str, /, **parameters: Any) -> dict[str, Any]:
        """One call by its boto3 name, such as `run_instances`. Raises CloudRefusal."""
        found: dict[str, Any] = await self._in_thread(functools.partial(self._call, action, parameters))
        return found

    async def all(self, action: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of a describing call: the items of its only list. Raises CloudRefusal."""
        found: list[dict[str, Any]] = await self._in_thread(functools.partial(self._all, action, parameters))
        return found

    async def _in_thread(self, work: Any) -> Any:
        # A call that has begun is not lost when its waiter is cancelled: whoever needs the outcome shields it.
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _made(self) -> Any:
        if self.client is None:
            self.client = make_client(self.settings)
        return self.client

    def _call(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return dict(_explained(action, lambda: getattr(self._made(), action)(**parameters)))

    def _all(self, action: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        def pages() -> list[dict[str, Any]]:
            paginator = self._made().get_paginator(action)
            found: list[dict[str, Any]] = []
            for page in paginator.paginate(**parameters):
                for key in paginator.result_keys:
                    found += page.get(key.expression, [])
            return found

        return list(_explained(action, pages))

    def warm(self) -> None:
        """Make the client in its thread now: it takes a second."""
        self._pool.submit(self._made)


def make_client(settings: Aws) -> Any:
    """Region, keys and endpoint from provider.yaml, else where boto3 looks for them."""
    import boto3
    from botocore.config import Config

    # Retries are the provider's own: what is throttled becomes an event, and other pods go on meanwhile.
    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, max_pool_connections=_THREADS
    )
    chosen = {
        "region_name": settings.region,
        "aws_access_key_id": settings.access_key_id,
        "aws_secret_access_key": settings.secret_access_key,
        "endpoint_url": settings.endpoint_url,
    }
    return boto3.client("ec2", config=config, **{name: value for name, value in chosen.items() if value})


def _explained(action: str, work: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return work()
    except ClientError as error:
        said = error.response.get("Error", {})
        raise CloudRefusal(action, str(said.get("Code", "")), str(said.get("Message", ""))) from error
    except BotoCoreError as error:
        raise CloudRefusal(action, "NoAnswer", str(error)) from error
