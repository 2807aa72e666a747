"""The API server and pods, each reached by way of the other: its proxy to pods and Services, and clients inside pods.

A refusal is something seen, because rows judge it; an API server that does not answer at all is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi, object_path
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader
from kip_conformance.infra.workloads.services import ServiceRef

__all__ = ["ApiProxy", "Proxied", "name_in", "user_seen_by_the_api"]

# What a client library does in a pod: the mounted CA and token, the name of the Service, and nothing else.
_ASK_WHO_I_AM = """
import json, ssl, sys, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
trusted = ssl.create_default_context(cafile=folder + "/ca.crt")
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
request = urllib.request.Request(
    "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews",
    json.dumps(review).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + open(folder + "/token").read()},
)
try:
    with urllib.request.urlopen(request, timeout=float(sys.argv[1]), context=trusted) as answer:
        print(json.load(answer)["status"]["userInfo"]["username"])
except Exception as error:
    print(type(error).__name__ + ": " + str(error))
"""


@dataclass(frozen=True, slots=True)
class Proxied:
    """What a GET through the API server drew: the name of the place that answered, or why none did."""

    name: str | None
    refusal: str = ""

    def __str__(self) -> str:
        return self.name or self.refusal


class ApiProxy:
    """GETs through the API server's proxy, each within `timeout` s. Raises HarnessError when no API server answers."""

    def __init__(self, kubeconfig: Path, *, timeout: float) -> None:
        self._api, self._timeout = KubeApi(kubeconfig), timeout

    def to_pod(self, place: Place) -> Proxied:
        """The first port of a place's pod, asked by the pod's name."""
        if place.pod is None:
            raise HarnessError(f"place {place.name} is no pod")
        return self._get(object_path("Pod", place.pod.name, place.pod.namespace), place.ports[0])

    def to_service(self, service: ServiceRef) -> Proxied:
        """One port of a Service, asked by the Service's name."""
        return self._get(object_path("Service", service.name, service.namespace), service.port)

    def _get(self, path: str, port: int) -> Proxied:
        try:
            answer = self._api.request("GET", f"{path}:{port}/proxy/who", timeout=self._timeout)
        except HarnessError as error:
            if not self._api.is_ready():
                raise
            return Proxied(None, str(error))
        return name_in(answer)


def name_in(answer: str | bytes) -> Proxied:
    """The name in what a prober answers to GET /who."""
    try:
        return Proxied(str(json.loads(answer)["name"]))
    except (ValueError, KeyError, TypeError):
        return Proxied(None, f"an answer in no known form: {answer[:80]!r}")


def user_seen_by_the_api(api: ClusterReader, place: Place, *, timeout: float) -> str:
    """The user name that the API server gives to a client in this pod, or in its place what went wrong, in one line.

    The client trusts the CA that is mounted beside its ServiceAccount token; each step may take `timeout` seconds.
    """
    ran = api.run(place, ["/usr/bin/python3", "-I", "-S", "-c", _ASK_WHO_I_AM, f"{timeout:g}"])
    return " ".join((ran.output or ran.refusal or f"exit code {ran.exit_code} and no output").split())
