"""What the tests run in a machine: questions from stdin as JSON, answers to stdout. Standard library only.

Or, with an argument, a resolver of the outside world: `agent.py serve`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import socket
import struct
import sys


def over_http(job):
    connection = http.client.HTTPConnection(job.get("host", "169.254.169.254"), timeout=job.get("timeout", 5))
    try:
        for name, (method, path, headers) in enumerate(job["requests"]):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
            token = said if name == 0 and method == "PUT" else None
            for later in job["requests"][name + 1 :] if token else ():
                later[2] = {key: token if value == "TOKEN" else value for key, value in later[2].items()}
            yield [answer.status, dict(answer.getheaders()), said]
    except TimeoutError:
        yield "silent"
    except OSError as error:
        yield error.strerror
    finally:
        connection.close()


def over_udp(job):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(job.get("timeout", 5))
        asking.connect((job["host"], job.get("port", 53)))
        try:
            asking.send(bytes.fromhex(job["wire"]))
            return asking.recv(65535).hex()
        except TimeoutError:
            return "silent"
        except OSError as error:
            return error.strerror


def over_tcp(job):
    wire = bytes.fromhex(job["wire"])
    with socket.socket() as asking:
        asking.settimeout(job.get("timeout", 5))
        try:
            asking.connect((job["host"], job.get("port", 53)))
            asking.sendall(struct.pack("!H", len(wire)) + wire)
            said = b""
            while len(said) < 2 or len(said) < 2 + struct.unpack_from("!H", said)[0]:
                part = asking.recv(65535)
                if not part:
                    return "closed"
                said += part
            return said[2:].hex()
        except TimeoutError:
            return "silent"
        except OSError as error:
            return error.strerror


def serve(address):
    """Every name has 198.51.100.7, but for those that begin with `silent`, which get no answer.

    `large` has many records: over UDP only the flag that says so.
    """

    def answer(wire, is_tcp):
        labels = wire[12:].split(b"\0", 1)[0]
        if labels[1:].startswith(b"silent"):
            return None
        end = 12 + len(labels) + 5
        record = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 5, 4) + socket.inet_aton("198.51.100.7")
        count = 200 if labels[1:].startswith(b"large") else 1
        if count > 1 and not is_tcp:
            return wire[:2] + b"\x83\x80" + b"\0\1" + b"\0" * 6 + wire[12:end]
        head = wire[:2] + b"\x81\x80\0\1" + struct.pack("!HI", count, 0)
        return head + wire[12:end] + record * count

    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    for each in (udp, tcp):
        each.bind((address, 53))
    tcp.listen()
    print("ready", flush=True)
    with selectors.DefaultSelector() as both:
        both.register(udp, selectors.EVENT_READ)
        both.register(tcp, selectors.EVENT_READ)
        while True:
            for key, _ in both.select():
                if key.fileobj is udp:
                    wire, peer = udp.recvfrom(4096)
                    if (said := answer(wire, is_tcp=False)) is not None:
                        udp.sendto(said, peer)
                else:
                    asking, _ = tcp.accept()
                    with asking, contextlib.suppress(OSError):
                        wire = asking.recv(4096)[2:]
                        if (said := answer(wire, is_tcp=True)) is not None:
                            asking.sendall(struct.pack("!H", len(said)) + said)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[2])
    else:
        ways = {"http": lambda job: list(over_http(job)), "udp": over_udp, "tcp": over_tcp}
        json.dump([ways[job["kind"]](job) for job in json.load(sys.stdin)], sys.stdout)
