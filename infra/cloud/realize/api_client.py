"""What the realizing process asks of the cloud's API: its view, and to take note of what instances have come to."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from kip_conformance.infra.cloud.api.realizer import Reported
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.errors import HarnessError

__all__ = ["CloudApi", "Report"]

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """What an instance has come to; `reason` says why it failed."""

    state: Reported
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CloudApi:
    """The paths of the API that only this process uses. Raises HarnessError when it does not answer."""

    url: str

    def view(self, *, after: int = 0, wait: float = 0.0) -> CloudView:
        """What the cloud should be, once its version is above `after` or `wait` seconds are over."""
        answer = self._ask(f"/_kip/view?after={after}&wait={wait:g}", None, wait + _PATIENCE)
        try:
            return CloudView.from_json(answer)
        except ValueError as error:
            raise HarnessError(f"cloud API at {self.url}: {error}") from error

    def report(self, reports: Mapping[str, Report]) -> None:
        """Tell it what instances, by id, have come to."""
        body = {name: {"state": one.state, "reason": one.reason} for name, one in reports.items()}
        self._ask("/_kip/instances", json.dumps(body).encode(), _PATIENCE)

    def _ask(self, path: str, body: bytes | None, timeout: float) -> bytes:
        # Never by way of a proxy: the API is this machine's own.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=timeout) as answer:
                said: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise HarnessError(f"cloud API at {self.url}{path}: {error.code} {error.read().decode()}") from error
        except OSError as error:
            raise HarnessError(f"cloud API at {self.url} does not answer: {error}") from error
        return said
