"""An image in a repository of the region's registry that a row makes for itself, and the credentials to pull it.

Sources: Amazon ECR User Guide, "Private registry authentication"; Amazon ECR API Reference, GetAuthorizationToken.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["PrivateImage", "private_image"]

# Which certificates the machine trusts is not what is judged; and no command line has a password in it.
_COPY = """
umask 077
logins=$(mktemp) && cat > "$logins" || exit 1
skopeo --insecure-policy copy --quiet --src-no-creds --src-tls-verify=false \
  --dest-authfile "$logins" --dest-tls-verify=false "$0" "$1"
code=$?
rm "$logins"
exit $code
"""
_READS = ("GetAuthorizationToken", "BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_MAY_READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": [f"ecr:{each}" for each in _READS], "Resource": "*"}],
}
_BY_INSTANCES = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True, slots=True)
class PrivateImage:
    """`name` is the whole reference. `profile` is an instance profile whose instances may pull it."""

    name: str
    user: str
    password: str
    profile: str

    @property
    def host(self) -> str:
        return self.name.partition("/")[0]

    @property
    def logins(self) -> str:
        """Who may pull, as containers-auth.json has it."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return json.dumps({"auths": {self.host: {"auth": pair}}})

    def secret(self, name: str, namespace: str) -> dict[str, Any]:
        """The manifest of a pull secret with these credentials."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(self.logins.encode()).decode()},
        }


@contextmanager
def private_image(cloud: str, machine: Machine, source: str, name: str) -> Iterator[PrivateImage]:
    """A repository, an instance profile and an image, which `machine` copies from `source`, for the block.

    `name` is of this row alone. Raises HarnessError when the copy fails, botocore's errors when the API refuses.
    """
    from kip_conformance.infra.cloud.start import cloud_client

    ecr, iam = cloud_client("ecr", cloud), cloud_client("iam", cloud)
    repository = ecr.create_repository(repositoryName=f"tested/{name}")["repository"]["repositoryUri"]
    try:
        with _profile(iam, name):
            told = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
            user, _, password = base64.b64decode(told).decode().partition(":")
            image = PrivateImage(f"{repository}:1", user, password, name)
            copy = ["sh", "-c", _COPY, f"docker://{source}", f"docker://{image.name}"]
            run_checked(machine, copy, stdin=image.logins.encode())
            yield image
    finally:
        ecr.delete_repository(repositoryName=f"tested/{name}", force=True)


@contextmanager
def _profile(iam: Any, name: str) -> Iterator[None]:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_BY_INSTANCES))
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(_MAY_READ))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    try:
        yield
    finally:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
        iam.delete_instance_profile(InstanceProfileName=name)
        iam.delete_role_policy(RoleName=name, PolicyName=name)
        iam.delete_role(RoleName=name)
