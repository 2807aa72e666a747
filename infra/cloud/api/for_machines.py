"""The API as machines of the cloud see it: one service an address, and nothing of what is kept for the operator.

Requests come from the region's front (infra/cloud/region) over a unix socket. It says in a header for which service the
client's address is; whatever a client says there itself never arrives. Paths that no service of the cloud has, the
fault switch below /_kip/ and moto's own, are not found from here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from kip_conformance.infra.cloud.api.application import CREDENTIAL, Application
from kip_conformance.infra.cloud.api.call import Refusal
from kip_conformance.infra.cloud.api.ec2 import Answer, refused
from moto.core.request import Request

__all__ = ["ForMachines"]

_OPERATORS = ("/_kip", "/moto-api", "/favicon.ico", "/latest/meta-data/", "/latest/api/")


class ForMachines:
    """A WSGI application around the operator's."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        service = environ.get("HTTP_X_KIP_SERVICE", "")
        if service == "registry":
            return _sent(self._may_use(Request(environ)), start_response)
        if any(environ.get("PATH_INFO", "/").startswith(path) for path in _OPERATORS):
            return _sent((404, {"Content-Type": "text/plain"}, b"not found\n"), start_response)
        if refusal := _foreign(environ, service):
            return _sent(refused(refusal), start_response)
        return self._application(environ, start_response)

    def _may_use(self, request: Any) -> Answer:
        """Whether a registry's client may use a repository: what ECR answers else, as status and errors."""
        given = request.authorization
        password = given.password if given is not None and given.username == "AWS" else None
        with self._application.ec2.store.lock:
            refusal = self._application.registry.judge(password, request.args.get("repository", ""))
        if refusal is None:
            return 200, {}, b""
        body = {"errors": [{"code": refusal.code, "message": refusal.message}]}
        return refusal.status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def _foreign(environ: dict[str, Any], service: str) -> Refusal | None:
    """Why a request is none of this service's; a signature names a service. Only S3 has objects for everybody."""
    if found := CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")):
        if found.group(3) != service:
            return Refusal(
                "SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.", 403
            )
        return None
    # What has no signature would be told by its content: a form, or an action among the query's words.
    is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    has_action = any(word.startswith("Action=") for word in environ.get("QUERY_STRING", "").split("&"))
    if service != "s3" or is_form or has_action:
        return Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    return None


def _sent(answer: Answer, start_response: Callable[..., Any]) -> list[bytes]:
    status, headers, body = answer
    headers["Content-Length"] = str(len(body))
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [body]
