"""What the API server says about a pod whose prober went silent: an exit code of 137 does not say who died."""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from kip_conformance.infra.probe.kubeconfig import ApiAccess
from kip_conformance.infra.targets.protocol import PodRef

__all__ = ["restart_facts", "summarize"]


async def restart_facts(access: ApiAccess, pod: PodRef) -> str:
    """One phrase on whether the pod is still the same one, and whether its container was restarted."""
    return await asyncio.to_thread(_ask, access, pod)


def _ask(access: ApiAccess, pod: PodRef) -> str:
    url = urlsplit(access.server)
    connection: HTTPConnection
    if access.tls is not None:
        connection = HTTPSConnection(url.hostname or "", url.port or 443, timeout=3, context=access.tls)
    else:
        connection = HTTPConnection(url.hostname or "", url.port or 80, timeout=3)
    try:
        path = f"{url.path}/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        connection.request("GET", path, headers=access.headers)
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        return f"the API server says nothing about its pod ({error})"
    finally:
        connection.close()
    if response.status == 404:
        return f"its pod {pod.namespace}/{pod.name} is gone"
    if response.status != 200:
        return f"the API server says nothing about its pod (HTTP {response.status})"
    return summarize(json.loads(body), pod)


def summarize(found: dict[str, Any], pod: PodRef) -> str:
    """The same from a Pod object."""
    uid = found["metadata"]["uid"]
    if pod.uid and uid != pod.uid:
        return f"its pod was replaced (uid {uid}, was {pod.uid})"
    words = [f"its pod is {found['status'].get('phase', 'in no phase')}"]
    for status in found["status"].get("containerStatuses") or []:
        if status["name"] != pod.container:
            continue
        words.append(f"restarted {status.get('restartCount', 0)} times")
        ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
        if ended:
            words.append(f"last ended with {ended.get('exitCode')} ({ended.get('reason', 'no reason')})")
    return ", ".join(words)
