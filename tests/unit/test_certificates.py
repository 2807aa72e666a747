"""Certificates as TLS takes them, at its strictest."""

from __future__ import annotations

import datetime
import ssl

import pytest
from kip_conformance.infra.certificates import Certificate, new_authority, private_key

DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return new_authority("us", lifetime=DAY)


def context(purpose, trusted, own, folder):
    made = ssl.SSLContext(purpose)
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=trusted.pem)
    chain = folder / "chain.pem"
    chain.write_text(own.pem + own.key_pem)
    made.load_cert_chain(chain)
    return made


def shake_hands(authority, server, client, folder, *, name):
    """Raises ssl.SSLError when one of the two does not take the other."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = context(ssl.PROTOCOL_TLS_CLIENT, authority, client, folder)
    answering = context(ssl.PROTOCOL_TLS_SERVER, authority, server, folder)
    ends = [
        asking.wrap_bio(back, there, server_hostname=name),
        answering.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"hello")
    assert ends[1].read() == b"hello"


@pytest.mark.parametrize(("names", "asked"), [(["10.0.0.1"], "10.0.0.1"), (["a.example", "10.0.0.1"], "a.example")])
def test_server_and_client_of_one_authority_take_each_other(authority, tmp_path, names, asked):
    server = authority.issue("server", lifetime=DAY, names=names, is_server=True)
    client = authority.issue("client", lifetime=DAY, is_client=True)
    shake_hands(authority, server, client, tmp_path, name=asked)


def test_one_for_servers_is_none_for_clients(authority, tmp_path):
    server = authority.issue("server", lifetime=DAY, names=["a.example"], is_server=True)
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        shake_hands(authority, server, server, tmp_path, name="a.example")


def test_one_of_another_authority_is_refused(authority, tmp_path):
    server = authority.issue("server", lifetime=DAY, names=["a.example"], is_server=True)
    foreign = new_authority("us", lifetime=DAY).issue("client", lifetime=DAY, is_client=True)
    with pytest.raises(ssl.SSLError):
        shake_hands(authority, server, foreign, tmp_path, name="a.example")


def test_an_authority_is_read_back(authority, tmp_path):
    again = Certificate.of_pem(authority.pem, authority.key_pem)
    server = again.issue("server", lifetime=DAY, names=["a.example"], is_server=True)
    client = authority.issue("client", lifetime=DAY, is_client=True)
    shake_hands(authority, server, client, tmp_path, name="a.example")


def test_groups_are_organizations(authority):
    made = authority.issue("admin", lifetime=DAY, groups=["system:masters"], is_client=True)
    assert made.certificate.subject.rfc4514_string() == "CN=admin,O=system:masters"


def test_what_is_no_key_is_refused(authority):
    with pytest.raises(ValueError, match="PEM"):
        Certificate.of_pem(authority.pem, "nothing")


def test_a_bare_key_has_the_form_that_api_servers_read():
    assert private_key().startswith("-----BEGIN EC PRIVATE KEY-----")
    assert private_key() != private_key()
