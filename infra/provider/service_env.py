"""The environment variables that tell a pod of Services ("Kubernetes documentation, Service, Discovering services")."""

from __future__ import annotations

from kip_conformance.infra.provider.kube_client import KubeClient, Object, path_of

__all__ = ["service_environment", "variables_of"]


async def service_environment(kube: KubeClient, pod: Object) -> dict[str, str]:
    """Those of the API server's Service always, those of the pod's namespace unless it does not want them."""
    namespace = pod["metadata"]["namespace"]
    services: list[Object] = []
    if pod["spec"].get("enableServiceLinks", True):
        services += (await kube.get(path_of("services", namespace=namespace)))["items"]
    if own := await kube.find(path_of("services", "kubernetes", "default")):
        services = [own, *services]  # one of the same name in the pod's own namespace wins
    made: dict[str, str] = {}
    for service in services:
        made.update(variables_of(service))
    return made


def variables_of(service: Object) -> dict[str, str]:
    """The variables of one Service; none for one without an address of its own."""
    spec = service["spec"]
    address, ports = spec.get("clusterIP", ""), spec.get("ports") or []
    if address in ("", "None") or not ports:
        return {}
    prefix = service["metadata"]["name"].upper().replace("-", "_")
    made = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            made[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol, number = port.get("protocol", "TCP"), port["port"]
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            made[f"{prefix}_PORT"] = url
        key = f"{prefix}_PORT_{number}_{protocol}"
        made |= {key: url, f"{key}_PROTO": protocol.lower(), f"{key}_PORT": str(number), f"{key}_ADDR": address}
    return made
