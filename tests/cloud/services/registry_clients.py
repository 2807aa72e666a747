"""Clients of the region's container registry: skopeo on a machine, with the API's credentials."""

from __future__ import annotations

import base64

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def token(region, access_key: str = "lab") -> str:
    """What the API gives the holder of an access key: USER:PASSWORD."""
    import boto3

    ecr = boto3.client(
        "ecr", endpoint_url=region.url, region_name="eu-central-1", aws_access_key_id=access_key,
        aws_secret_access_key="any",
    )  # fmt: skip
    said = ecr.get_authorization_token()["authorizationData"][0]
    return base64.b64decode(said["authorizationToken"]).decode()


def skopeo(region, machine: str, action: str, *what: str, credentials: str | None = None, timeout: float = 60.0):
    """On the machine, trusting the lab's authority; each image with the credentials, "" without any."""
    trusted = region.control.folder.path / "trusted"
    trusted.mkdir(exist_ok=True)
    (trusted / "ca.crt").write_bytes(region.ca.read_bytes())
    given = token(region) if credentials is None else credentials
    # Else skopeo compresses layers on the way.
    flags = [*(one for one in what if one.startswith("--")), *(["--preserve-digests"] if action == "copy" else [])]
    images = [one for one in what if not one.startswith("--")]
    for one, option in zip(images, ("src-", "dest-") if action == "copy" else ("",), strict=True):
        if one.startswith("docker://"):
            flags += [f"--{option}cert-dir", str(trusted)]
            flags += [f"--{option}creds", given] if given else [f"--{option}no-creds"]
    argv = ("skopeo", "--insecure-policy", "--command-timeout", f"{timeout:g}s", action, *flags, *images)
    return region.run(machine, *argv, timeout=timeout + 10)
