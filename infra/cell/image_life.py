"""A container's image: here already, or pulled, and tried again with growing pauses; said in events as kubelet does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kip_conformance.infra.cell.backoff import BackOff
from kip_conformance.infra.cell.images import Image
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.references import parse_reference

if TYPE_CHECKING:
    from kip_conformance.infra.cell.container_life import ContainerLife

__all__ = ["ImageLife"]


class ImageLife:
    """Of one container. A pull that was begun before it was needed (`begin`) is waited for, not begun again."""

    def __init__(self, life: ContainerLife) -> None:
        self.life = life
        self.backoff = BackOff()
        self.stop_signal = ""

    def begin(self) -> None:
        """Pull ahead, while containers before this one run. What goes wrong is said when the image is needed."""
        life = self.life
        if self._policy() == "IfNotPresent":
            threading.Thread(target=self._ahead, args=(str(life.spec["image"]),), daemon=True).start()

    def _ahead(self, reference: str) -> None:
        images, pod = self.life.pod.images, self.life.pod
        try:
            if images.find(reference) is None:
                images.pull(reference, pod.pull_secrets)
        except CellProblem:
            return

    def provide(self) -> Image | None:
        """The image; None when the container is to stop before there is one."""
        while True:
            try:
                return self._provide()
            except CellProblem as problem:
                if not self._failed(str(problem), self._reason(str(problem))):
                    return None

    def identity(self, image: Image) -> str:
        return f"{parse_reference(str(self.life.spec['image'])).name}@{image.digest}"

    def _policy(self) -> str:
        """What kubelet's API defaults to, for pods that did not come through it."""
        given = self.life.spec.get("imagePullPolicy")
        reference = parse_reference(str(self.life.spec["image"]))
        return str(given or ("Always" if reference.tag == "latest" and not reference.digest else "IfNotPresent"))

    def _provide(self) -> Image:
        life, name = self.life, str(self.life.spec["image"])
        pod, policy = life.pod, self._policy()
        found = pod.images.find(name) if policy != "Always" else None
        if found is not None:
            said = f'Container image "{name}" already present on machine'
            pod.event("Normal", "Pulled", said, life.field)
        elif policy == "Never":
            raise CellProblem(f'Container image "{name}" is not present with pull policy of Never')
        else:
            pod.event("Normal", "Pulling", f'Pulling image "{name}"', life.field)
            pod.changed()
            pulled = pod.images.pull(name, pod.pull_secrets)
            found, took = pulled.image, f"{pulled.seconds:.3g}s"
            said = f'Successfully pulled image "{name}" in {took} ({took} including waiting).'
            pod.event("Normal", "Pulled", f"{said} Image size: {found.size} bytes.", life.field)
        self.stop_signal = str(found.config.get("StopSignal") or "")
        return found

    @staticmethod
    def _reason(said: str) -> str:
        if "is not present with pull policy of Never" in said:
            return "ErrImageNeverPull"
        return "InvalidImageName" if "invalid reference format" in said else "ErrImagePull"

    def _failed(self, said: str, reason: str) -> bool:
        """Say it, wait; False when the container is to stop meanwhile."""
        life, pod, name = self.life, self.life.pod, str(self.life.spec["image"])
        self.backoff.trouble(time.monotonic())
        pause = self.backoff.wait
        first = f'Failed to pull image "{name}": {said}' if reason == "ErrImagePull" else f"Failed: {said}"
        pod.event("Warning", "Failed", first, life.field)
        pod.event("Warning", "Failed", f"Error: {reason}", life.field)
        with pod.lock:
            life.state.state = {"waiting": {"reason": reason, "message": said}}
        pod.changed()
        if reason != "ErrImagePull":
            return life.pause(pause)
        # kubelet shows the error for a moment, then that it waits.
        if not life.pause(1.0):
            return False
        pod.event("Normal", "BackOff", f'Back-off pulling image "{name}"', life.field)
        pod.event("Warning", "Failed", "Error: ImagePullBackOff", life.field)
        with pod.lock:
            waiting = f'Back-off pulling image "{name}": ErrImagePull: {said}'
            life.state.state = {"waiting": {"reason": "ImagePullBackOff", "message": waiting}}
        pod.changed()
        return life.pause(pause - 1.0)
