"""The one HTTP endpoint: which service a request is for, and the paths below /_kip/ that no client of the API uses.

EC2 is answered by ec2.py; every other service that moto has by moto, with its state put on disk like EC2's.

    GET  /_kip/view?after=N&wait=S   the network as it should be (infra/cloud/view.py), newer than version N if need be
    GET  /_kip/faults, PUT           the fault switch: {"faults": [{"action", "code", "times", "rate"}]}
    POST /_kip/instances             reports of a Realizer in another process: {"instance-id": {"state", "reason"}}
    POST /_kip/wake                  whoever waits for a newer view gets one: what is around the cloud has changed
    GET  /_kip/registry?repository=R with a registry's Basic credentials: 200 or 401 (infra/cloud/api/registry.py)
    PUT  /_kip/registry              {"lifetime": seconds of new tokens, "only": {"access-key": ["repository"]}}
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from kip_conformance.infra.cloud.api.ec2 import Answer, Ec2
from kip_conformance.infra.cloud.api.lifecycle import Lifecycle
from kip_conformance.infra.cloud.api.registry import LIFETIME, Registry
from kip_conformance.infra.cloud.api.switch import Switch
from kip_conformance.infra.cloud.view import view_of
from kip_conformance.infra.errors import UsageError
from moto.core.request import Request

__all__ = ["Application"]

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
EC2_VERSION = "2016-11-15"
LONGEST_WAIT = 60.0
KEPT = ("s3", "ecr", "iam")


class Application:
    """A WSGI application. `ec2` has the lock under which everything happens."""

    def __init__(self, ec2: Ec2, lifecycle: Lifecycle, registry: Registry, switch: Switch) -> None:
        self.ec2 = ec2
        self.lifecycle = lifecycle
        self.registry = registry
        self.switch = switch
        self._others: Any = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path.startswith("/_kip/"):
            status, headers, body = self._admin(Request(environ), path.removeprefix("/_kip/"))
        else:
            found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
            service = found.group(3) if found else ""
            request = Request(environ)
            if service == "ec2" or (not service and self._is_unsigned_ec2(request)):
                status, headers, body = self.ec2.answer(request)
            elif service == "ecr" and environ.get("HTTP_X_AMZ_TARGET", "").endswith(".GetAuthorizationToken"):
                status, headers, body = self.registry.authorization_token(found.group(1) if found else "")
            else:
                return self._by_moto(environ, start_response, service or "s3")
        headers["Content-Length"] = str(len(body))
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [body]

    def _is_unsigned_ec2(self, request: Any) -> bool:
        content = request.content_type or ""
        is_query = request.method == "GET" or content.startswith("application/x-www-form-urlencoded")
        return is_query and request.values.get("Version") == EC2_VERSION

    # -- other services

    def _by_moto(self, environ: dict[str, Any], start_response: Callable[..., Any], service: str) -> Iterable[bytes]:
        # Before the lock is held: a client that sends its object slowly, or never, must not stop all others.
        _take_body(environ)
        with self.ec2.store.lock:
            if self._others is None:
                # Not at the start: this and what it imports takes longer than EC2 itself.
                from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

                self._others = DomainDispatcherApplication(create_backend_app)
            content = b"".join(self._others(environ, start_response))
            if service in KEPT and environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                self.ec2.store.commit(service)
        return [content]

    # -- below /_kip/

    def _admin(self, request: Any, path: str) -> Answer:
        try:
            known: dict[tuple[str, str], Callable[[Any], Answer]] = {
                ("GET", "view"): self._view,
                ("GET", "faults"): lambda _: _json({"faults": [_shown(fault) for fault in self.switch.faults]}),
                ("PUT", "faults"): self._set_faults,
                ("POST", "instances"): self._take_reports,
                ("POST", "wake"): self._wake,
                ("GET", "registry"): self._may_pull,
                ("PUT", "registry"): self._limit_registry,
            }
            if handle := known.get((request.method, path)):
                return handle(request)
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            return _json({"error": f"{path}: {error}"}, 400)
        return _json({"error": f"there is no {request.method} {path}"}, 404)

    def _set_faults(self, request: Any) -> Answer:
        self.switch.replace(json.loads(request.get_data())["faults"])
        return _json({"faults": len(self.switch.faults)})

    def _take_reports(self, request: Any) -> Answer:
        for instance_id, said in json.loads(request.get_data()).items():
            self.lifecycle.report([instance_id], said["state"], said.get("reason", ""))
        return _json({"version": self.ec2.store.version})

    def _wake(self, _request: Any) -> Answer:
        self.ec2.store.wake()
        return _json({"version": self.ec2.store.version})

    def _limit_registry(self, request: Any) -> Answer:
        said = json.loads(request.get_data())
        if unknown := set(said) - {"lifetime", "only"}:
            raise ValueError(f"{', '.join(sorted(unknown))} is not known: there are lifetime and only")
        self.registry.limit(said.get("lifetime", LIFETIME), said.get("only", {}))
        return _json({"lifetime": self.registry.lifetime})

    def _view(self, request: Any) -> Answer:
        after = int(request.args.get("after", "0"))
        self.ec2.store.wait(after, min(float(request.args.get("wait", "0")), LONGEST_WAIT))
        with self.ec2.store.lock:
            view = view_of(self.ec2.backend(), self.ec2.settings, self.ec2.store.version)
        return 200, {"Content-Type": "application/json"}, view.to_json().encode()

    def _may_pull(self, request: Any) -> Answer:
        given = request.authorization
        repository = request.args["repository"]
        password = given.password if given is not None and given.username == "AWS" else ""
        with self.ec2.store.lock:
            reason = self.registry.refusal(password or "", repository)
        return _json({"error": reason}, 401) if reason else _json({"repository": repository})


def _take_body(environ: dict[str, Any]) -> None:
    """Read the request's body to its end, and leave it to be read again with its length."""
    source = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = source.read()
        del environ["HTTP_TRANSFER_ENCODING"]
    else:
        body = source.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


def _shown(fault: Any) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in ("action", "code", "times", "rate", "met")}


def _json(value: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
