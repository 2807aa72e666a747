"""The state of the cloud in memory and on disk: what an answer says is on disk before the answer leaves.

Each service's moto backends are one pickle, replaced by rename: a killed server has all of a call or nothing. The file
is not synced to the platter, as only the server's death is meant, not the machine's. A refused call is undone by
going back to the last pickle.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import io
import os
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["Store"]

FORMAT = 1
_RLOCK = type(threading.RLock())


class Store:
    """The backends of some services of moto, of one account. `lock` is held around every use of them."""

    def __init__(self, folder: Path, backends: dict[str, Any], account: str) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1
        self._backends = backends
        self._account = account
        self._committed: dict[str, bytes] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> None:
        """Take up the state of the folder, or begin anew. Raises EnvironmentFault when a file cannot be read."""
        for service in self._backends:
            path = self._path(service)
            if path.exists():
                try:
                    content = path.read_bytes()
                    self._restore(service, content)
                except Exception as error:
                    raise EnvironmentFault(
                        f"the cloud's state {path} cannot be read ({error!r}): remove it to begin anew"
                    ) from error
                self._committed[service] = content
        # A client that waits for a version above one it saw before a restart must not wait for ever.
        with contextlib.suppress(OSError, ValueError):
            self.version = int((self.folder / "version").read_text()) + 1

    def commit(self, service: str) -> bool:
        """Put the service's state on disk if it is another one; says whether it was."""
        with self.lock:
            content = self._content(service)
            if content == self._committed.get(service):
                return False
            path = self._path(service)
            temporary = path.with_suffix(".new")
            temporary.write_bytes(content)
            os.replace(temporary, path)
            self._committed[service] = content
            self.wake()
            return True

    def wake(self) -> None:
        """Begin a new version, for which followers wait."""
        with self.lock:
            self.version += 1
            # In place: a torn number only makes the next start begin at version 1.
            (self.folder / "version").write_text(str(self.version))
            self.changed.notify_all()

    def undo(self, service: str) -> None:
        """Go back to what was committed last, if anything has changed since."""
        committed = self._committed.get(service)
        if committed is None or committed == self._content(service):
            return
        self._restore(service, committed)
        # The same state, but texts that were one object are several now: written again, so that it compares equal.
        self._committed[service] = self._content(service)

    def wait(self, after: int, seconds: float) -> None:
        """Wait until the version is above `after`, at most so many seconds. Takes the lock itself."""
        with self.changed:
            self.changed.wait_for(lambda: self.version > after, seconds)

    def _path(self, service: str) -> Path:
        return self.folder / f"{service}.state"

    def _content(self, service: str) -> bytes:
        regions = dict(self._backends[service][self._account].items())
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, protocol=5)
        # Each service has a file of its own: other services' backends are written as references. By class, as asking
        # for each object takes ten times as long as writing it.
        pickler.dispatch_table = copyreg.dispatch_table | {
            backends.backend: functools.partial(_referred, other, self._account)
            for other, backends in self._backends.items()
            if other != service
        }
        # moto's ECR has one; nobody holds it while the store's own lock is held.
        pickler.dispatch_table[_RLOCK] = lambda _: (threading.RLock, ())
        pickler.dump((FORMAT, regions))
        return buffer.getvalue()

    def _restore(self, service: str, content: bytes) -> None:
        format_, regions = pickle.loads(content)
        if format_ != FORMAT:
            raise ValueError(f"form {format_}, not {FORMAT}")
        target = self._backends[service][self._account]
        for region, backend in regions.items():
            dict.__setitem__(target, region, backend)
            _register(backend)
        _forget_tracked()


def _referred(service: str, account: str, backend: Any) -> tuple[Any, ...]:
    return _backend_of, (service, account, backend.region_name)


def _backend_of(service: str, account: str, region: str) -> Any:
    """A backend of another service, where a pickle refers to it."""
    from moto.backends import get_backend

    return get_backend(service)[account][region]


def _register(backend: Any) -> None:
    """moto finds backends of other regions by weak references that its constructor makes."""
    for name in ("vpc_refs", "vpc_pcx_refs"):
        if references := getattr(type(backend), name, None):
            references[type(backend)].add(weakref.ref(backend))


def _forget_tracked() -> None:
    """moto keeps each object it ever made in a list for its dashboard; undone ones would stay for ever."""
    from moto.core.model_instances import model_data

    for models in model_data.values():
        for model in models.values():
            model.instances_tracked.clear()
