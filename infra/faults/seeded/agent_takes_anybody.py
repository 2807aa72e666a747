"""The agent of cell-b answers any client from a pod of a node, whatever certificate it has."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster

# With the agent's own certificate, and without asking for one.
_SERVER = """
import json, socket, ssl, tempfile
told = json.load(open("/var/lib/cell/settings.json"))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile("w") as chain:
    chain.write(told["certificate"] + chr(10) + told["key"])
    chain.flush()
    context.load_cert_chain(chain.name)
with socket.create_server(("", 6422)) as listener:
    print("listening", flush=True)
    while True:
        plain, _ = listener.accept()
        try:
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1000)
                secured.sendall(b"HTTP/1.1 200 OK")
        except OSError:
            pass
"""


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["cell-b"]
    held = machine.open(["/usr/bin/python3", "-I", "-c", _SERVER])
    try:
        with open(held.stdout, closefd=False) as said:
            said.readline()  # it says one line once it listens
        chain = (
            "chain prerouting { type nat hook prerouting priority dstnat; policy accept;"
            f" ip saddr {PLAN.pods} tcp dport 6421 redirect to :6422; }}"
        )
        with nft_table(machine, chain):
            yield
    finally:
        held.close()


FAULT = Fault(
    name="agent-takes-anybody",
    sentence="the agent of cell-b answers clients without the provider's certificate",
    plant=_plant,
    kills=("MGT-02",),
    on_cells=True,
)
