"""The provider's image: the committed Deployment's container, run by runc on the provider's machine, brings pods up."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from kip_conformance.infra.cell.cgroups import own_group
from kip_conformance.infra.cell.runc_config import Container, Mount, Namespaces, Process, runc_config
from kip_conformance.infra.cell.users import User, capabilities
from kip_conformance.infra.lab.images.provider_image import image_name, write_provider_image
from kip_conformance.infra.lab.plan import CONTROL_PLANE

from .world import MANIFESTS, PROVIDER_MACHINE

ADDRESS = "10.20.1.11"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The image as a bundle: rootfs and what the image says of its process."""
    folder = tmp_path_factory.mktemp("image")
    write_provider_image(folder / "kip-provider.tar", print)
    tag = image_name().rpartition(":")[2]
    copy = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    run(*copy, f"oci-archive:{folder}/kip-provider.tar:{tag}", f"oci:{folder}/layout:{tag}")
    run("umoci", "unpack", "--image", f"{folder}/layout:{tag}", str(folder / "bundle"))
    return folder / "bundle"


def run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def stopped(world):
    """No provider runs; afterwards one does, as it was."""
    world.kill_provider(signal.SIGTERM)
    yield
    world.configure()
    world.start_provider()


def deployed() -> dict:
    (deployment,) = yaml.safe_load_all((MANIFESTS / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def account(world, folder: Path) -> Path:
    """What a pod of the ServiceAccount finds: a token, the API server's authority."""
    path = "/api/v1/namespaces/kube-system/serviceaccounts/kip-provider/token"
    token = json.loads(world.api.request("POST", path, {"spec": {}}))["status"]["token"]
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("kube-system")
    (folder / "ca.crt").write_bytes((world.control.folder.pki / "ca.crt").read_bytes())
    return folder


def kubelet_files(world, folder: Path) -> Path:
    """The Secret kip-provider-kubelet as files."""
    folder.mkdir()
    pki = world.control.folder.pki
    for name, source in (
        ("tls.crt", "node-a-kubelet.crt"),
        ("tls.key", "node-a-kubelet.key"),
        ("client-ca.crt", "ca.crt"),
    ):
        (folder / name).write_bytes((pki / source).read_bytes())
    return folder


def config_of(world, bundle: Path, container: dict, folder: Path) -> dict:
    """What a kubelet would make of the Deployment's container; the cloud is the lab's instead of Amazon's."""
    said = json.loads((bundle / "config.json").read_text())["process"]
    env = dict(line.split("=", 1) for line in said["env"])
    env |= {"HOST_IP": ADDRESS, "KUBERNETES_SERVICE_HOST": CONTROL_PLANE.address, "KUBERNETES_SERVICE_PORT": "6443"}
    env |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
    argv = [word.replace("$(HOST_IP)", ADDRESS) for word in (*container["command"], *container["args"])]
    sources = {"config": folder / "config", "kubelet": folder / "kubelet"}
    mounts = [Mount(str(sources[one["name"]]), one["mountPath"], True) for one in container["volumeMounts"]]
    mounts += [Mount(str(folder / "account"), ACCOUNT, True)]
    group = own_group(world.control.run(["cat", "/proc/self/cgroup"], machine=PROVIDER_MACHINE).stdout.decode())
    process = Process(argv, env, said["cwd"], User(0, 0, (), "/root"), capabilities(container))
    made = Container(str(bundle / "rootfs"), process, Namespaces(), f"{group}/provider-image", {}, mounts)
    return runc_config(made)


def test_the_deployment_names_the_image_that_is_built():
    assert deployed()["image"] == image_name().removeprefix("docker.io/library/")


def test_the_deployment_s_container_runs_pods(world, unpacked, stopped, tmp_path):
    world.configure()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/provider.yaml").write_bytes(world.config_file.read_bytes())
    account(world, tmp_path / "account")
    kubelet_files(world, tmp_path / "kubelet")
    config = config_of(world, unpacked, deployed(), tmp_path)
    (unpacked / "config.json").write_text(json.dumps(config))
    runc = ["runc", "--root", str(tmp_path / "runc"), "run", "--bundle", str(unpacked), "provider"]
    world.control.daemon("provider", runc, machine=PROVIDER_MACHINE, may_end=True)

    try:
        ports = [{"containerPort": 8080, "hostPort": 9400}]
        pod = world.pod(containers=[{"name": "main", "image": "none", "ports": ports}])
        (status,) = world.wait_running(pod, within=60)
        assert status["hostIP"] == ADDRESS
        log = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/log"
        assert world.api.request("GET", log).startswith(b"log of main")
        world.until(lambda: "9400" in rules(world), "no rule for its HostPort")
        world.delete(pod)
        world.until(lambda: "9400" not in rules(world), "the rule of its HostPort is left")
    finally:
        world.kill_provider(signal.SIGTERM)


def rules(world) -> str:
    """What nft of the image has made, seen by the machine's own."""
    return world.control.run(["nft", "list", "ruleset"], machine=PROVIDER_MACHINE).stdout.decode()
