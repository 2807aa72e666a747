"""How a cell comes up, and how it does not: the launcher's checks, the agent's port, what the console says."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kip_conformance.infra.cell.user_data import render
from kip_conformance.infra.lab.pki import Authority

from .client import AgentClient


def launched(world, host, **changes):
    """An instance with these settings; its id."""
    settings = world.settings(f"10.20.3.{host}", f"10.20.2.{host}", **changes)
    return world.launch(render(settings), settings_address(host), f"10.20.2.{host}")


def settings_address(host):
    return f"10.20.3.{host}"


def test_an_agent_with_another_digest_is_refused(world):
    instance = launched(world, 5, sha256="0" * 64)
    world.wait_said(instance, "boot: finished")
    world.end(instance)

    said = world.console(instance)
    assert f"/itzo-{world.version} is refused: its sha256 is {world.sha256}, not {'0' * 64}" in said
    assert "user data failed with exit code 1" in said


def test_an_agent_of_another_version_does_not_start(world):
    folder = world.control.folder.path / "web"
    (folder / "itzo-other").write_bytes((folder / f"itzo-{world.version}").read_bytes())
    instance = launched(world, 6, version="other")
    world.wait_said(instance, "was asked for")
    world.end(instance)

    assert f"this agent is version {world.version}, and other was asked for: it does not start" in world.console(
        instance
    )


def test_a_url_that_is_not_reached_is_named_with_address_and_subnet(world):
    instance = launched(world, 7, url=f"http://{world.server_address}:9")
    world.wait_said(instance, "trying again")
    world.end(instance)

    said = world.console(instance)
    assert f"http://{world.server_address}:9/itzo-{world.version} could not be fetched from 10.20.3.7/22: " in said


def test_settings_that_cannot_be_used_are_named(world):
    instance = launched(world, 8, certificate="none")
    world.wait_said(instance, "cannot be used")
    world.end(instance)

    assert "cell settings: ca, certificate or key cannot be used" in world.console(instance)


@pytest.fixture(scope="module")
def running(world):
    cell = world.cell()
    yield cell
    world.end(cell.instance)


def refused(agent):
    """Whether the agent ends the connection before it answers anything."""
    try:
        agent.get("/v1/ping")
    except (ssl.SSLError, ConnectionError) as error:
        return str(error)
    return ""


def test_the_agent_tells_its_version(world, running):
    said = running.agent.get("/v1/ping").json

    assert said["version"] == world.version
    assert datetime.datetime.fromisoformat(said["started"])


def test_no_session_is_offered_for_another_time(running):
    with running.agent.connect() as connection:
        connection.sendall(b"GET /v1/ping HTTP/1.1\r\nHost: cell\r\n\r\n")
        assert b"200 OK" in connection.recv(4096)
        assert not connection.session.has_ticket


def test_a_client_without_a_certificate_is_refused(running):
    assert refused(AgentClient(running.agent.port, running.address, running.agent.pki, identity=""))


def test_a_client_of_another_authority_is_refused(world, running):
    other = Authority.create(world.control.folder.path / "other-pki", "another")
    other.issue("provider", "provider")
    (other.folder / "ca.crt").write_bytes((world.authority.folder / "ca.crt").read_bytes())

    assert refused(AgentClient(running.agent.port, running.address, other.folder))


@pytest.mark.parametrize(
    ("name", "days", "usage"),
    [
        ("expired", (-10, -1), ExtendedKeyUsageOID.CLIENT_AUTH),
        ("not-yet", (1, 10), ExtendedKeyUsageOID.CLIENT_AUTH),
        ("for-servers", (-1, 10), ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_a_certificate_that_is_no_clients_now_is_refused(world, running, name, days, usage):
    issue(world.authority, name, days, usage)

    assert refused(AgentClient(running.agent.port, running.address, running.agent.pki, identity=name))


def issue(authority, name, days, usage):
    now, key = datetime.datetime.now(datetime.UTC), ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.own.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(authority.own.key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (authority.folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (authority.folder / f"{name}.key").write_bytes(secret)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/v1/pod", b"{", 400),
        ("PUT", "/v1/pod", b"[]", 400),
        ("PUT", "/v1/pod", {}, 400),
        ("PUT", "/v1/pod", {"pod": {"metadata": {}, "spec": {}}}, 400),
        ("POST", "/v1/stop", {"grace": 1}, 404),
        ("GET", "/v1/logs/c0", None, 404),
        ("DELETE", "/v1/pod", None, 405),
        ("GET", "/nothing", None, 404),
    ],
)
def test_bad_requests_are_answered_by_one_line(running, method, path, body, status):
    answer = running.agent.ask(method, path, body)

    assert answer.status == status
    assert answer.error
    assert "\n" not in answer.error


def test_a_status_before_there_is_a_pod(running):
    assert running.agent.status() == {"version": 0, "uid": "", "status": {}, "events": []}
