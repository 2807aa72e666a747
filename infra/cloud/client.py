"""The other end of `/_kip/`: how a process follows the cloud's API and reports what instances do.

Clients of the cloud itself use boto3; this is for what realizes it: the fabric, the machines, the metadata service.
The standard library only.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.errors import HarnessError

__all__ = ["CloudClient"]


class CloudClient:
    """Requests to the API at `url` (http://HOST:PORT). Raises HarnessError whenever it is away or refuses."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    def view(self, *, after: int = 0, wait: float = 0.0) -> CloudView:
        """The network as it should be now; one of a version above `after` if there is one within `wait` seconds."""
        content = self._ask("GET", f"view?after={after}&wait={wait:g}", timeout=wait + 30.0)
        try:
            return CloudView.from_json(content)
        except ValueError as error:
            raise HarnessError(f"the cloud's API at {self._host}:{self._port}: {error}") from error

    def views(self) -> Iterator[CloudView]:
        """The view, and then each newer one as it comes; several changes may be one step."""
        view = self.view()
        while True:
            yield view
            seen = view.version
            while view.version <= seen:
                view = self.view(after=seen, wait=30.0)

    def report(self, instance_ids: Sequence[str], state: str, reason: str = "") -> None:
        """Instances have arrived in a state: running, stopped, terminated, or failed with a reason."""
        said = {"state": state, "reason": reason}
        self._ask("POST", "instances", dict.fromkeys(instance_ids, said))

    def wake(self) -> None:
        """Let followers look again, although nothing of the API has changed: what is around the cloud has."""
        self._ask("POST", "wake", {})

    def limit_registry(self, *, lifetime: float | None = None, only: Mapping[str, Sequence[str]] | None = None) -> None:
        """How many seconds new tokens of the registry are valid, and which repositories access keys may use alone.

        What is not given is as it is without any limit: 12 hours, and every repository.
        """
        said = {"lifetime": lifetime, "only": only}
        self._ask("PUT", "registry", {name: value for name, value in said.items() if value is not None})

    def set_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """The errors that calls are to meet from now on: action, code, and times or rate of each; none for none."""
        self._ask("PUT", "faults", {"faults": list(faults)})

    def _ask(self, method: str, path: str, content: Any = None, *, timeout: float = 30.0) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, f"/_kip/{path}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise HarnessError(f"the cloud's API at {self._host}:{self._port} is away: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise HarnessError(f"the cloud's API at {self._host}:{self._port}: {said.decode(errors='replace')}")
        return said
