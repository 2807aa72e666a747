"""One container made to run: its root file system, its config.json, runc, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell import cgroups
from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.environment import environment, expand
from kip_conformance.infra.cell.images import Image
from kip_conformance.infra.cell.keeper_client import Exec, KeeperClient
from kip_conformance.infra.cell.paths import LOGS, POD, RUNC, STATE
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.runc_config import Container, Mount, Process, limits, runc_config
from kip_conformance.infra.cell.sandbox import Sandbox
from kip_conformance.infra.cell.users import capabilities, find_user
from kip_conformance.infra.cell.volumes import Volumes

__all__ = ["Runtime", "StartProblem", "log_path"]

_TERMINATION_LOG = "/dev/termination-log"
_MESSAGE_BYTES = 4096


class StartProblem(CellProblem):
    """A container that could not be made or started; `reason` is kubelet's word for it."""

    def __init__(self, reason: str, line: str) -> None:
        super().__init__(line)
        self.reason = reason


def log_path(container: str, attempt: int) -> str:
    return f"{LOGS}/{container}/{attempt}.log"


@dataclass(slots=True)
class Runtime:
    """Starts containers of one pod. A run is named CONTAINER-ATTEMPT."""

    keeper: KeeperClient
    volumes: Volumes
    group: str
    runc: str = "runc"

    def start(self, spec: Mapping[str, Any], attempt: int, image: Image, sandbox: Sandbox) -> int:
        """Returns the process id. Raises StartProblem."""
        name = f"{spec['name']}-{attempt}"
        bundle, disk = Path(POD, "containers", name), Path(STATE, "containers", name)
        self.remove(name)
        try:
            container = self._container(spec, image, sandbox, bundle, name)
        except CellProblem as problem:
            raise StartProblem("CreateContainerConfigError", str(problem)) from problem
        try:
            for folder in (bundle / "rootfs", disk / "upper", disk / "work", Path(log_path(spec["name"], 0)).parent):
                folder.mkdir(parents=True, exist_ok=True)
            # The root folder's mode is the upper layer's: without it only root could enter.
            (disk / "upper").chmod(0o755)
            options = f"lowerdir={image.root},upperdir={disk}/upper,workdir={disk}/work"
            run(["mount", "-t", "overlay", "-o", options, "overlay", str(bundle / "rootfs")])
            _make_folders(bundle / "rootfs", container.process.cwd)
            (bundle / "termination-log").touch()
            (bundle / "termination-log").chmod(0o666)
            if spec.get("stdin"):
                os.mkfifo(bundle / "stdin", 0o600)
            (bundle / "config.json").write_text(json.dumps(runc_config(container)))
        except (OSError, CellProblem) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            raise StartProblem("CreateContainerError", f"container {spec['name']}: {why}") from problem
        argv = [self.runc, "--root", RUNC, "--log", f"{bundle}/runc.log", "run", "--detach", "--bundle", str(bundle)]
        terminal = f"{bundle}/tty.sock" if spec.get("tty") else ""
        if terminal:
            argv += ["--console-socket", terminal]
        try:
            return self.keeper.start(
                name,
                [*argv, "--pid-file", f"{bundle}/pid", name],
                pidfile=f"{bundle}/pid",
                log=log_path(spec["name"], attempt),
                stdin=f"{bundle}/stdin" if spec.get("stdin") else "",
                terminal=terminal,
            )
        except CellProblem as problem:
            why = _said(bundle / "runc.log") or str(problem)
            raise StartProblem("RunContainerError", f"failed to create containerd task: {why}") from problem

    def _container(self, spec: Mapping[str, Any], image: Image, sandbox: Sandbox, bundle: Path, name: str) -> Container:
        facts, security = sandbox.facts, spec.get("securityContext") or {}
        env = environment(spec, facts, image.config.get("Env") or ())
        env.setdefault("HOSTNAME", sandbox.hostname)
        command = spec.get("command")
        entry = command if command else image.config.get("Entrypoint") or ()
        arguments = spec.get("args") or (() if command else image.config.get("Cmd") or ())
        argv = [expand(word, env) for word in (*entry, *arguments)]
        if not argv:
            raise CellProblem("no command specified")
        process = Process(
            argv=argv,
            env=env,
            cwd=spec.get("workingDir") or image.config.get("WorkingDir") or "/",
            user=find_user(spec, facts.pod["spec"], image.config.get("User") or "", image.root),
            capabilities=capabilities(spec),
            has_terminal=bool(spec.get("tty")),
            no_new_privileges=security.get("allowPrivilegeEscalation") is False,
            oom_score=_own_oom_score(),
        )
        return Container(
            root=f"{bundle}/rootfs",
            process=process,
            namespaces=sandbox.namespaces,
            cgroup=cgroups.container_group(self.group, name),
            resources=limits(spec.get("resources") or {}),
            mounts=[*sandbox.mounts(), self._message(spec, bundle), *self._mounts(spec, facts.pod["spec"], env)],
            read_only_root=bool(security.get("readOnlyRootFilesystem")),
            has_cgroup_namespace=cgroups.version() == 2,
        )

    @staticmethod
    def _message(spec: Mapping[str, Any], bundle: Path) -> Mount:
        return Mount(f"{bundle}/termination-log", spec.get("terminationMessagePath") or _TERMINATION_LOG)

    def _mounts(self, spec: Mapping[str, Any], pod_spec: Mapping[str, Any], env: Mapping[str, str]) -> list[Mount]:
        known = {one["name"]: one for one in pod_spec.get("volumes") or ()}
        made: list[Mount] = []
        for wanted in spec.get("volumeMounts") or ():
            volume = known.get(wanted["name"])
            if volume is None:
                raise CellProblem(f'volumeMounts: the pod has no volume "{wanted["name"]}"')
            source = self.volumes.folder(volume)
            below = wanted.get("subPath") or expand(wanted.get("subPathExpr") or "", env)
            if below:
                found = Path(os.path.realpath(source / below))
                if not found.is_relative_to(os.path.realpath(source)):
                    raise CellProblem(f'volumeMounts: subPath {below} leaves volume "{wanted["name"]}"')
                if not found.exists():
                    found.mkdir(parents=True)
                source = found
            is_fixed = bool(wanted.get("readOnly")) or "emptyDir" not in volume
            made.append(Mount(str(source), wanted["mountPath"], is_fixed))
        return sorted(made, key=lambda one: one.target.count("/"))

    # -- while it runs

    def signal(self, name: str, signal: str) -> None:
        """Nothing happens when it has ended."""
        with contextlib.suppress(CellProblem):
            run([self.runc, "--root", RUNC, "kill", name, signal])

    def exec(
        self,
        name: str,
        argv: list[str],
        descriptors: tuple[int, int, int],
        *,
        number: int,
        terminal: str = "",
    ) -> Exec:
        """Start a program in a running container, with its environment and user. Raises CellProblem.

        With `terminal`, the path of a console socket, it gets a terminal.
        """
        bundle = Path(POD, "containers", name)
        try:
            process = json.loads((bundle / "config.json").read_text())["process"]
        except OSError as error:
            raise CellProblem(f"container {name} does not run") from error
        process |= {"args": argv, "terminal": bool(terminal)}
        files = {kind: f"{bundle}/exec-{number}.{kind}" for kind in ("json", "pid", "log")}
        Path(files["json"]).write_text(json.dumps(process))
        command = [self.runc, "--root", RUNC, "--log", files["log"], "exec", "--detach", "--process", files["json"]]
        if terminal:
            command += ["--console-socket", terminal]
        try:
            return self.keeper.exec([*command, "--pid-file", files["pid"], name], descriptors, pidfile=files["pid"])
        except CellProblem as problem:
            why = _said(Path(files["log"])) or str(problem)
            raise CellProblem(f"failed to exec in container: {why}") from problem
        finally:
            for path in files.values():
                with contextlib.suppress(OSError):
                    os.unlink(path)

    # -- afterwards

    def message(self, spec: Mapping[str, Any], attempt: int, code: int) -> str:
        """What the container left as its last word, by its terminationMessagePolicy."""
        path = Path(POD, "containers", f"{spec['name']}-{attempt}", "termination-log")
        with contextlib.suppress(OSError):
            if text := path.read_bytes()[:_MESSAGE_BYTES]:
                return text.decode(errors="replace")
        if code != 0 and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            with contextlib.suppress(OSError):
                lines = Path(log_path(spec["name"], attempt)).read_bytes()[-2 * _MESSAGE_BYTES :].splitlines()[-80:]
                return "\n".join(line.decode(errors="replace").split(" ", 3)[-1] for line in lines)[-2048:]
        return ""

    def ran_out_of_memory(self, name: str) -> bool:
        return cgroups.memory_used_up(self.group, name)

    def remove(self, name: str) -> None:
        """Everything of a run that has ended, but its log."""
        bundle = Path(POD, "containers", name)
        if os.path.exists(f"{RUNC}/{name}"):
            with contextlib.suppress(CellProblem):
                run([self.runc, "--root", RUNC, "delete", "--force", name])
        if bundle.exists():
            with contextlib.suppress(CellProblem):
                run(["umount", "--lazy", str(bundle / "rootfs")])
            shutil.rmtree(bundle, ignore_errors=True)
        shutil.rmtree(Path(STATE, "containers", name), ignore_errors=True)
        with contextlib.suppress(CellProblem):
            self.keeper.forget(name)


def _make_folders(root: Path, cwd: str) -> None:
    """The working folder, when the image has none; never through a link of the image's."""
    where = root
    for part in Path(cwd).parts[1:]:
        where = where / part
        if where.is_symlink():
            return
        where.mkdir(exist_ok=True)


def _own_oom_score() -> int:
    """Who has no CAP_SYS_RESOURCE may not lower it, and runc fails when it tries."""
    try:
        return int(Path("/proc/self/oom_score_adj").read_text())
    except (OSError, ValueError):
        return 0


def _said(log: Path) -> str:
    """runc's last error out of its log, which is key=value lines."""
    with contextlib.suppress(OSError):
        for line in reversed(log.read_text(errors="replace").splitlines()):
            _, mark, rest = line.partition('msg="')
            if mark:
                return rest.rstrip().removesuffix('"').replace('\\"', '"').replace("\\\\", "\\")
    return ""
