"""Two machines of one VPC on real namespaces, with the services of their link-local addresses."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest
from kip_conformance.infra.cloud.facts import (
    InstanceFacts,
    InterfaceFacts,
    LeaseFacts,
    Upstream,
    ZoneFacts,
    private_name,
)
from kip_conformance.infra.cloud.link_local.client import LinkLocal, start_link_local
from kip_conformance.infra.fabric.compile import machine_namespace, nic_namespace
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import Interface, NetworkState, RouteTable, Subnet, Vpc
from kip_conformance.infra.lab.control import Control

AGENT = str(Path(__file__).with_name("agent.py"))
PYTHON = "/usr/bin/python3"
REGION = "eu-central-1"
MACHINES = {"left": ("10.20.1.11", "10.20.1.12"), "right": ("10.20.16.12", "10.20.16.13")}
SUBNETS = {"left": "10.20.1.0/24", "right": "10.20.16.0/22"}
BASE_PLUS_TWO = "10.20.0.2"


@pytest.fixture(scope="session")
def control(supervised) -> Iterator[Control]:
    """A supervisor with the network of two machines, which do not run."""
    with supervised() as control:
        reconcile(Fabric(control, control.folder.path / "fabric.json"), network())
        control.add_netns({"outside": {}})
        yield control


def network() -> NetworkState:
    subnets = tuple(Subnet(name, cidr, "main") for name, cidr in SUBNETS.items())
    vpc = Vpc("main", ("10.20.0.0/16",), subnets, (RouteTable("main"),))
    return NetworkState((vpc,), tuple(Interface(name, name, name, found, ()) for name, found in MACHINES.items()))


@pytest.fixture(scope="session")
def outside(control: Control) -> Iterator[None]:
    """The resolver of the outside world."""
    held = control.open([PYTHON, AGENT, "serve", "127.0.0.1"], netns="outside")
    assert os.read(held.stdout, 16) == b"ready\n"
    yield
    held.close()


@pytest.fixture(scope="session")
def machines(control: Control) -> Control:
    """Both machines run, without anything that boots."""
    for name in MACHINES:
        control.boot(name, machine_namespace(name), {}, has_own_root=True)
    return control


@pytest.fixture(scope="session")
def services(control: Control) -> LinkLocal:
    return start_link_local(control)


@pytest.fixture
def served(services: LinkLocal, outside: None) -> Iterator[LinkLocal]:
    """Both instances are served as `facts` and `zone` have them; tests may put others in their place."""
    services.put(*(facts(name) for name in MACHINES), zones=[zone()])
    yield services
    services.remove(*(facts(name).instance_id for name in MACHINES))


def facts(name: str, **changes: Any) -> InstanceFacts:
    addresses = MACHINES[name]
    interface = InterfaceFacts(
        interface_id=name,
        netns=nic_namespace(name),
        device_number=0,
        mac="02:00:" + ":".join(f"{int(part):02x}" for part in addresses[0].split(".")),
        subnet_id=f"subnet-{name}",
        subnet_cidr=SUBNETS[name],
        vpc_id="vpc-main",
        vpc_cidrs=("10.20.0.0/16",),
        addresses=addresses,
    )
    made = InstanceFacts(
        instance_id=f"i-{name}",
        instance_type="t3.micro",
        image_id="ami-1",
        region=REGION,
        zone=f"{REGION}a",
        zone_id="euc1-az2",
        account="123456789012",
        hostname=private_name(addresses[0], REGION),
        interfaces=(interface,),
    )
    return dataclasses.replace(made, **changes)


def zone(**changes: Any) -> ZoneFacts:
    addresses = tuple(address for found in MACHINES.values() for address in found)
    made = ZoneFacts("vpc-main", REGION, ("10.20.0.0/16",), addresses, upstream=Upstream("outside", "127.0.0.1"))
    return dataclasses.replace(made, **changes)


def lease(name: str) -> LeaseFacts:
    return LeaseFacts(MACHINES[name][0], 24, "10.20.1.1", (BASE_PLUS_TWO,), f"{REGION}.compute.internal")


Ask = Callable[..., list[Any]]


@pytest.fixture
def ask(machines: Control) -> Ask:
    """Run the agent's jobs on a machine, or in a namespace of its own inside that machine."""

    def asked(machine: str, *jobs: dict[str, Any], nested: str | None = None) -> list[Any]:
        inside = ["nsenter", f"--net=/run/netns/{nested}"] if nested else []
        done = machines.run([*inside, PYTHON, AGENT], machine=machine, stdin=json.dumps(jobs).encode())
        assert done.returncode == 0, done.stderr.decode()
        found: list[Any] = json.loads(done.stdout)
        return found

    return asked


def http(*requests: tuple[str, str, dict[str, str]], **options: Any) -> dict[str, Any]:
    """A job: requests over one connection. The header value TOKEN is what the first one, a PUT, answered."""
    return {"kind": "http", "requests": requests, **options}


def question(name: str, kind: str = "A", *, over: str = "udp", host: str = BASE_PLUS_TWO, **options: Any) -> Any:
    """A job: one DNS question."""
    timeout = options.pop("timeout", 5)
    wire = dns.message.make_query(name, kind, **options).to_wire()
    return {"kind": over, "host": host, "wire": wire.hex(), "timeout": timeout}


def said(answer: str) -> Any:
    """The addresses or names of an answer in hex, its code in words, or what the agent said instead."""
    try:
        message = dns.message.from_wire(bytes.fromhex(answer))
    except ValueError:
        return answer
    if message.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(message.rcode())
    return sorted(record.to_text() for found in message.answer for record in found)


def processes(control: Control, word: str) -> list[str]:
    """Command lines of the lab's programs that have a word in them."""
    lines = control.run(["ps", "axo", "args"]).stdout.decode().splitlines()
    return [line for line in lines if word in line]
