"""Requests out of bytes: what is taken, what ends the connection."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cloud.link_local.http import MAX_BODY, MAX_HEAD, BadRequest, RequestReader

GET = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"


def read(data):
    return RequestReader().feed(data)


def test_a_request_byte_by_byte():
    reader = RequestReader()
    found = [request for index in range(len(GET)) for request in reader.feed(GET[index : index + 1])]

    assert [(request.method, request.path) for request in found] == [("GET", "/latest/meta-data/")]
    assert found[0].headers == {"host": "169.254.169.254"}


def test_requests_one_after_the_other_and_a_body_in_between():
    put = b"PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"

    assert [request.method for request in read(put + GET + GET)] == ["PUT", "GET", "GET"]
    reader = RequestReader()
    assert reader.feed(put[:-1]) == []
    assert [request.method for request in reader.feed(put[-1:] + GET)] == ["PUT", "GET"]


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_who_ends_the_connection(line, keeps):
    assert read(line)[0].keeps_alive is keeps


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/latest/user-data?x=1", "/latest/user-data"),
        (b"/latest/meta-data/tags/instance/a%20b", "/latest/meta-data/tags/instance/a b"),
        (b"http://169.254.169.254/latest/", "/latest/"),
    ],
)
def test_what_is_asked_for(target, path):
    assert read(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0].path == path


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET latest HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"G=T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / SMTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 65 + b"\r\n", 431),
        (b"GET /" + b"a" * (MAX_HEAD + 1), 431),
        (b"GET /" + b"a" * (MAX_HEAD + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    ],
)
def test_what_is_refused(data, status):
    with pytest.raises(BadRequest) as refused:
        read(data)

    assert refused.value.status == status
