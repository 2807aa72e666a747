"""From a pod's container to runc's config.json, and what is refused before."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.admission import check_pod
from kip_conformance.infra.cell.problems import CellProblem, Refused
from kip_conformance.infra.cell.runc_config import Container, Mount, Namespaces, Process, limits, runc_config
from kip_conformance.infra.cell.users import User, capabilities, find_user

from .some_pod import pod


def config(**changes):
    process = Process(["sh"], {"A": "1"}, "/", User(0, 0, (0,), "/root"), ["CAP_KILL"], **changes)
    namespaces = Namespaces("/run/netns/pod", "/ipc", "/uts")
    return runc_config(Container("/root", process, namespaces, "/kip/pod/c0-0", limits({}), [Mount("/a", "/b", True)]))


def test_a_container_shares_the_pods_namespaces_and_has_its_own_processes():
    made = {one["type"]: one.get("path", "") for one in config()["linux"]["namespaces"]}

    assert made == {"pid": "", "mount": "", "network": "/run/netns/pod", "ipc": "/ipc", "uts": "/uts"}


def test_a_mount_that_is_read_only():
    assert config()["mounts"][-1] == {
        "destination": "/b",
        "type": "bind",
        "source": "/a",
        "options": ["rbind", "rprivate", "ro"],
    }


def test_the_environment_has_a_path_a_home_and_a_terminal():
    made = config(has_terminal=True)["process"]

    assert made["env"][0].startswith("PATH=")
    assert {"A=1", "HOME=/root", "TERM=xterm"} <= set(made["env"])
    assert made["capabilities"]["effective"] == ["CAP_KILL"]


@pytest.mark.parametrize(
    ("resources", "made"),
    [
        ({}, {"cpu": {"shares": 2}}),
        ({"requests": {"cpu": "500m"}}, {"cpu": {"shares": 512}}),
        (
            {"limits": {"cpu": "1500m", "memory": "64Mi"}},
            {"cpu": {"shares": 1536, "period": 100000, "quota": 150000}, "memory": {"limit": 64 << 20}},
        ),
        ({"limits": {"cpu": "1m"}}, {"cpu": {"shares": 2, "period": 100000, "quota": 1000}}),
    ],
)
def test_limits(resources, made):
    assert limits(resources, pids=9) == {**made, "pids": {"limit": 9}}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nwww:x:34:\nextra:x:50:web,other\n")
    return tmp_path


@pytest.mark.parametrize(
    ("own", "shared", "image", "user"),
    [
        ({}, {}, "", User(0, 0, (0,), "/root")),
        ({}, {}, "web", User(33, 34, (34, 50), "/var/www")),
        ({}, {}, "33:0", User(33, 0, (0, 50), "/var/www")),
        ({}, {}, "1000", User(1000, 0, (0,), "/")),
        ({"runAsUser": 33}, {"runAsUser": 1, "fsGroup": 7}, "root", User(33, 34, (34, 50, 7), "/var/www")),
        ({}, {"runAsUser": 5, "runAsGroup": 6, "supplementalGroups": [8]}, "", User(5, 6, (6, 8), "/")),
    ],
)
def test_users(root, own, shared, image, user):
    assert find_user({"securityContext": own}, {"securityContext": shared}, image, root) == user


@pytest.mark.parametrize(
    ("own", "image", "said"),
    [
        ({}, "nobody-here", "unable to find user nobody-here"),
        ({}, "web:none", "unable to find group none"),
        ({"runAsNonRoot": True}, "", "runAsNonRoot and image will run as root"),
    ],
)
def test_users_that_cannot_be(root, own, image, said):
    with pytest.raises(CellProblem, match=said):
        find_user({"securityContext": own}, {}, image, root)


def test_an_image_cannot_show_the_machines_users(root):
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(CellProblem, match="unable to find user daemon"):
        find_user({}, {}, "daemon", root)


@pytest.mark.parametrize(
    ("wanted", "has", "has_not"),
    [
        ({}, "CAP_CHOWN", "CAP_NET_ADMIN"),
        ({"add": ["NET_ADMIN"]}, "CAP_NET_ADMIN", "CAP_SYS_ADMIN"),
        ({"drop": ["ALL"], "add": ["CAP_KILL"]}, "CAP_KILL", "CAP_CHOWN"),
        ({"drop": ["chown"]}, "CAP_KILL", "CAP_CHOWN"),
    ],
)
def test_capabilities(wanted, has, has_not):
    made = capabilities({"securityContext": {"capabilities": wanted}})
    assert has in made
    assert has_not not in made


@pytest.mark.parametrize(
    ("container", "spec", "field"),
    [
        ({"securityContext": {"privileged": True}}, {}, "spec.containers[0].securityContext.privileged"),
        (
            {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
            {},
            "spec.containers[0].securityContext.capabilities.add",
        ),
        (
            {"securityContext": {"capabilities": {"add": ["ALL"]}}},
            {},
            "spec.containers[0].securityContext.capabilities.add",
        ),
        ({"resources": {"limits": {"nvidia.com/gpu": "1"}}}, {}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
        ({"volumeDevices": [{}]}, {}, "spec.containers[0].volumeDevices"),
        ({}, {"hostPID": True}, "spec.hostPID"),
        ({}, {"hostNetwork": True}, "spec.hostNetwork"),
        ({}, {"shareProcessNamespace": True}, "spec.shareProcessNamespace"),
        ({}, {"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, "spec.volumes[0].persistentVolumeClaim"),
        ({}, {"volumes": [{"name": "v", "emptyDir": {"medium": "HugePages"}}]}, "spec.volumes[0].emptyDir.medium"),
        (
            {},
            {"volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
            "spec.volumes[0].projected.sources[0].clusterTrustBundle",
        ),
        (
            {},
            {"securityContext": {"sysctls": [{"name": "kernel.shmmax", "value": "1"}]}},
            "spec.securityContext.sysctls[0]",
        ),
    ],
)
def test_what_a_cell_cannot_do_is_refused_by_its_field(container, spec, field):
    with pytest.raises(Refused) as refusal:
        check_pod(pod(container, **spec), has_pod_network=True)
    assert str(refusal.value).startswith(f"{field}: ")
    assert refusal.value.status == 400


def test_a_pod_of_every_day_is_taken():
    container = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "seccompProfile": {}}}
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "x"}}]
    check_pod(pod(container, volumes=volumes), has_pod_network=True)
    check_pod(pod(hostNetwork=True), has_pod_network=False)
