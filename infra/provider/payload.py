"""What an agent is given with a pod: the objects that its volumes and environment name, tokens, and how names resolve.

The agent asks nobody: everything comes from here, and again when it has changed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.kube_client import KubeClient, Object, path_of
from kip_conformance.infra.provider.resolution import Names, resolv_of
from kip_conformance.infra.provider.service_env import service_environment

__all__ = ["Missing", "Payload", "token_life", "wanted_objects"]

_REGISTRY_SECRETS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_DEFAULT_LIFE = 3600
_REFERENCES = {
    "configMap": "ConfigMap",
    "secret": "Secret",
    "configMapRef": "ConfigMap",
    "secretRef": "Secret",
    "configMapKeyRef": "ConfigMap",
    "secretKeyRef": "Secret",
}
"""Where a volume, a projected source or an environment names an object."""


class Missing(KipError):
    """Something that the pod needs is not there (yet); the text names it."""


@dataclass(slots=True)
class Payload:
    """Makes the body of a deploy. `names` says what cluster and VPC resolve with."""

    kube: KubeClient
    names: Names
    host_ip: str

    async def body(self, pod: Object, tokens: dict[str, str]) -> dict[str, Any]:
        """`tokens` are those of `fresh_tokens`. Raises Missing, and what the API client raises."""
        namespace = pod["metadata"]["namespace"]
        made: dict[str, dict[str, Any]] = {"ConfigMap": {}, "Secret": {}}
        for kind, name, optional in sorted(set(wanted_objects(pod))):
            plural = "configmaps" if kind == "ConfigMap" else "secrets"
            found = await self.kube.find(path_of(plural, name, namespace))
            if found is not None:
                made[kind][name] = dict(found.get("data") or {})
            elif not optional:
                raise Missing(f'{kind.lower()} "{name}" not found')
        return {
            "pod": _slim(pod),
            "configMaps": made["ConfigMap"],
            "secrets": made["Secret"],
            "tokens": tokens,
            "pullSecrets": await self._pull_secrets(pod),
            "serviceEnv": await service_environment(self.kube, pod),
            "resolv": resolv_of(pod, self.names),
            "hostIP": self.host_ip,
        }

    async def fresh_tokens(self, pod: Object) -> dict[str, str]:
        """A token for each projected source, by `<volume>/<path>`; good for as long as the source asks."""
        tokens = {}
        for volume, source in _token_sources(pod):
            life = int(source.get("expirationSeconds") or _DEFAULT_LIFE)
            metadata = pod["metadata"]
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [source["audience"]] if source.get("audience") else [],
                    "expirationSeconds": life,
                    "boundObjectRef": {
                        "kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]
                    },
                },
            }  # fmt: skip
            account = pod["spec"].get("serviceAccountName") or "default"
            path = path_of("serviceaccounts", account, metadata["namespace"]) + "/token"
            try:
                answer = await self.kube.create(path, request)
            except ApiRefusal as error:
                if error.status == 404:
                    raise Missing(f'serviceaccount "{account}" not found') from error
                raise
            tokens[f"{volume}/{source['path']}"] = answer["status"]["token"]
        return tokens

    async def _pull_secrets(self, pod: Object) -> list[Any]:
        """The registry credentials that the pod names; one that is not there is left out, as kubelet does."""
        found = []
        for reference in pod["spec"].get("imagePullSecrets") or []:
            secret = await self.kube.find(path_of("secrets", reference["name"], pod["metadata"]["namespace"]))
            key = _REGISTRY_SECRETS.get((secret or {}).get("type", ""))
            if secret is None or key is None or key not in (secret.get("data") or {}):
                continue
            try:
                value = json.loads(base64.b64decode(secret["data"][key]))
            except ValueError:
                continue
            found.append(value if key == ".dockerconfigjson" else {"auths": value})
        return found


def token_life(pod: Object) -> float | None:
    """Seconds after which tokens are renewed, 80 % of the shortest life asked for; None: the pod has none."""
    lives = [int(source.get("expirationSeconds") or _DEFAULT_LIFE) for _, source in _token_sources(pod)]
    return 0.8 * min(lives) if lives else None


def wanted_objects(pod: Object) -> Iterator[tuple[str, str, bool]]:
    """(kind, name, whether it is optional) of every ConfigMap and Secret that volumes and environment name."""
    spec = pod["spec"]
    sources: list[dict[str, Any]] = []
    for volume in spec.get("volumes") or []:
        sources += [volume, *((volume.get("projected") or {}).get("sources") or [])]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        sources += container.get("envFrom") or []
        sources += [one["valueFrom"] for one in container.get("env") or [] if one.get("valueFrom")]
    for source in sources:
        for key, kind in _REFERENCES.items():
            if found := source.get(key):
                yield kind, found.get("name") or found["secretName"], bool(found.get("optional"))


def _token_sources(pod: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    for volume in pod["spec"].get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            if "serviceAccountToken" in source:
                yield volume["name"], source["serviceAccountToken"]


def _slim(pod: Object) -> Object:
    """The pod without what no agent needs and what changes all the time: status and the record of who set what."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}
