"""Port-forward: a TCP connection into a pod by way of the API server and the pod's node.

Source: the kubelet's websocket form of it (k8s.io/kubelet, pkg/cri/streaming/portforward/websocket.go): each message is
one byte of channel number and data; channel 0 carries the first port's bytes and 1 its errors, and the first message of
either holds the port's number, little-endian.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from kip_conformance.infra.probe.channel import ChannelLost
from kip_conformance.infra.probe.kubeconfig import load_kubeconfig
from kip_conformance.infra.probe.pod_socket import connect_to_pod
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.api_access import Proxied, name_in
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

__all__ = ["answer_through_port_forward"]

_DATA, _ERROR = 0, 1
_PORT_BYTES = 2
_REQUEST = b"GET /who HTTP/1.0\r\n\r\n"


def answer_through_port_forward(kubeconfig: Path, place: Place, *, timeout: float) -> Proxied:
    """Who answers at a pod's first port through a forward of it, or why nobody does, within `timeout` seconds."""
    assert place.pod is not None, f"place {place.name} is no pod"
    return asyncio.run(_ask(kubeconfig, place, timeout))


async def _ask(kubeconfig: Path, place: Place, timeout: float) -> Proxied:
    assert place.pod is not None
    access, query = load_kubeconfig(kubeconfig), [("ports", str(place.ports[0]))]
    heard: dict[int, bytearray] = {_DATA: bytearray(), _ERROR: bytearray()}
    socket = None
    try:
        async with asyncio.timeout(timeout):
            socket = await connect_to_pod(
                access, place.pod, "portforward", query, [Subprotocol("v4.channel.k8s.io")], timeout=timeout
            )
            await socket.send(bytes([_DATA]) + _REQUEST)
            await _listen(socket, heard)
    except ChannelLost as error:
        return Proxied(None, str(error))
    except ConnectionClosed as error:
        return Proxied(None, f"the forwarded connection closed before it was used ({error})")
    except TimeoutError:
        return Proxied(None, f"no answer through the forwarded port within {timeout:g} s")
    finally:
        if socket is not None:
            await socket.close()
    if said := bytes(heard[_ERROR][_PORT_BYTES:]).decode(errors="replace").strip():
        return Proxied(None, said)
    head, _, body = bytes(heard[_DATA][_PORT_BYTES:]).partition(b"\r\n\r\n")
    return name_in(body) if head else Proxied(None, "the forwarded connection closed without an answer")


async def _listen(socket: ClientConnection, heard: dict[int, bytearray]) -> None:
    """Until the far side has closed, or an HTTP answer is there: HTTP/1.0 ends one by closing."""
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            data = message.encode() if isinstance(message, str) else message
            if data and data[0] in heard:
                heard[data[0]] += data[1:]
            if len(heard[_ERROR]) > _PORT_BYTES or b"}" in heard[_DATA].partition(b"\r\n\r\n")[2]:
                return
