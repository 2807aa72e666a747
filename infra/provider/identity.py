"""Who this provider is, over restarts: its controller id and the CA of its agents, kept in a Secret of the cluster.

Only what this CA signed may speak to an agent, and only agents with a certificate of it are spoken to. Keys are P-256:
they are small, and user data is short.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.provider.kube_client import KubeClient, path_of

__all__ = ["Identity", "load_identity", "new_identity"]

_YEAR = datetime.timedelta(days=365)
# A cell whose clock is behind must not find its own certificate "not yet valid".
_BACKDATED = datetime.timedelta(days=1)
_CLIENT = "kip-provider"


@dataclass(frozen=True, slots=True)
class Identity:
    """`controller` is in the tags of everything this provider makes. PEM all the rest."""

    controller: str
    ca: str
    ca_key: str

    def issue(self, name: str, *, address: str = "", lifetime: datetime.timedelta = 5 * _YEAR) -> tuple[str, str]:
        """A certificate and its key: with `address` for a server there, without for a client."""
        signer = x509.load_pem_x509_certificate(self.ca.encode())
        signing = serialization.load_pem_private_key(self.ca_key.encode(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if address else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _unsigned(_named(name), signer.subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
            )
        )  # fmt: skip
        if address:
            alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(alternative, critical=False)
        return _pem(builder.sign(signing, hashes.SHA256())), _key_pem(key)

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
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(f"kip-{controller}")
    certificate = (
        _unsigned(name, name, key.public_key(), 10 * _YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(controller, _pem(certificate), _key_pem(key))


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


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()
