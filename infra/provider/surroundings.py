"""The instance that the provider itself runs on, as the cloud's metadata service tells it.

Source: Amazon EC2 User Guide, Use the Instance Metadata Service (version 2: a token first).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from kip_conformance.infra.provider.http import HttpClient, NoAnswer

__all__ = ["Surroundings", "look_around"]

_ADDRESS, _PORT = "169.254.169.254", 80
_LIMIT = 2.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    instance: str
    address: str
    region: str
    vpc: str
    subnet: str


async def look_around(address: str = _ADDRESS, port: int = _PORT) -> Surroundings | None:
    """None when there is no metadata service: this is no instance, or one that may not ask."""
    client = HttpClient(address, port, connect_timeout=_LIMIT)
    try:
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = await client.request("PUT", "/latest/api/token", headers=ttl, timeout=_LIMIT)
        if token.status != 200:
            return None
        headers = {"X-aws-ec2-metadata-token": token.body.decode()}

        async def ask(path: str) -> str:
            answer = await client.request("GET", f"/latest/{path}", headers=headers, timeout=_LIMIT)
            if answer.status != 200:
                raise NoAnswer(f"metadata {path}: {answer.status}")
            return answer.body.decode().strip()

        document = json.loads(await ask("dynamic/instance-identity/document"))
        mac = await ask("meta-data/mac")
        interface = f"meta-data/network/interfaces/macs/{mac}"
        return Surroundings(
            document["instanceId"],
            document["privateIp"],
            document["region"],
            await ask(f"{interface}/vpc-id"),
            await ask(f"{interface}/subnet-id"),
        )
    except (NoAnswer, ValueError, KeyError):
        return None
    finally:
        client.close()
