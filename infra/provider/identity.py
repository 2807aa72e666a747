"""Who this provider is, over restarts: its controller id and the CA of its agents, kept in a Secret of the cluster.

Only what this CA signed may speak to an agent, and only agents with a certificate of it are spoken to.
"""

from __future__ import annotations

import base64
import datetime
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from kip_conformance.infra.certificates import Certificate, new_authority
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.kube_client import KubeClient, path_of

__all__ = ["Identity", "load_identity", "new_identity"]

_YEAR = datetime.timedelta(days=365)
_CLIENT = "kip-provider"


@dataclass(frozen=True, slots=True)
class Identity:
    """`controller` is in the tags of everything this provider makes. PEM all the rest."""

    controller: str
    ca: str
    ca_key: str

    def issue(self, name: str, *, address: str = "", lifetime: datetime.timedelta = 5 * _YEAR) -> tuple[str, str]:
        """A certificate and its key: with `address` for a server there, without for a client."""
        names = [address] if address else []
        authority = Certificate.of_pem(self.ca, self.ca_key)
        made = authority.issue(name, lifetime=lifetime, names=names, is_server=bool(names), is_client=not names)
        return made.pem, made.key_pem

    def client_tls(self) -> ssl.SSLContext:
        """For connections to agents: TLS 1.2 and newer, with a certificate of our own, made for this process."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=self.ca)
        certificate, key = self.issue(_CLIENT, lifetime=_YEAR)
        # The ssl module reads chains from files only; this one exists for the length of the call, for us alone.
        with tempfile.NamedTemporaryFile() as chain:
            chain.write(f"{certificate}\n{key}".encode())
            chain.flush()
            context.load_cert_chain(chain.name)
        return context


def new_identity() -> Identity:
    """Another provider than any that there was."""
    controller = secrets.token_hex(6)
    made = new_authority(f"kip-{controller}", lifetime=10 * _YEAR)
    return Identity(controller, made.pem, made.key_pem)


async def load_identity(kube: KubeClient, namespace: str, name: str) -> Identity:
    """The identity in the Secret, which is made when there is none. Raises HarnessError for a Secret without it."""
    for _ in range(2):
        found = await kube.find(path_of("secrets", name, namespace))
        if found is not None:
            return _identity_in(found.get("data") or {}, f"Secret {namespace}/{name}")
        made = new_identity()
        data = {"controller-id": made.controller, "ca.crt": made.ca, "ca.key": made.ca_key}
        try:
            await kube.create(
                path_of("secrets", namespace=namespace),
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name},
                    "type": "Opaque",
                    "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
                },
            )
            return made
        except ApiRefusal as error:
            if error.status != 409:  # another instance of this provider was faster: its Secret holds
                raise
    raise HarnessError(f"Secret {namespace}/{name} comes and goes")


def _identity_in(data: Mapping[str, str], where: str) -> Identity:
    try:
        controller, ca, key = (base64.b64decode(data[one]).decode() for one in ("controller-id", "ca.crt", "ca.key"))
    except (KeyError, ValueError) as error:
        raise HarnessError(f"{where} is no identity of a provider ({error}): remove it to get a new one") from error
    return Identity(controller, ca, key)
