"""What is around the cloud changes while it runs; a crash of whoever makes the machines is made good."""

from __future__ import annotations

import dataclasses
import signal
import sys

import pytest
from kip_conformance.infra.cloud.outside import OUTSIDE, OutsideMachine, Program, read_outside
from kip_conformance.infra.cloud.start import change_outside
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.state import Host

ADDRESS = "198.51.100.77"
SERVE = "import http.server as s, sys; s.test(s.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='0.0.0.0')"


@pytest.fixture
def around(region):
    """What is around now; as it was when the test ends."""
    before = read_outside(region.control.folder)
    yield before
    change_outside(region.control, region.url, before)
    region.until(lambda: "later" not in region.control.status()["machines"], "the machine stays")


def with_later(around, port: int = 80):
    """One host more, whose machine serves files at a port, under a name."""
    program = Program("files", (sys.executable, "-c", SERVE, str(port)))
    return dataclasses.replace(
        around,
        hosts=(*around.hosts, Host("later", OUTSIDE.name, ADDRESS)),
        machines=(*around.machines, OutsideMachine("later", (program,), {"/etc/motd": "of later\n"})),
        names={**around.names, "later.example": ADDRESS},
    )


def status(region, machine: str, url: str) -> str:
    argv = ("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url)
    return str(region.run(machine, *argv).stdout.decode())


def test_a_machine_comes_with_its_programs_and_its_name_and_goes(region, public, around):
    change_outside(region.control, region.url, with_later(around))
    region.until(lambda: status(region, public, "http://later.example/") == "200", "it is not there")
    assert region.control.run(["cat", "/etc/motd"], machine="later").stdout == b"of later\n"

    change_outside(region.control, region.url, with_later(around, port=81))
    region.until(lambda: status(region, public, "http://later.example:81/") == "200", "its program is the old one")
    assert status(region, public, f"http://{ADDRESS}/") == "000"

    change_outside(region.control, region.url, around)
    region.until(lambda: "later" not in region.control.status()["machines"], "it stays")
    region.until(lambda: region.resolved(public, "later.example") == "NXDOMAIN", "its name stays")
    assert not region.control.folder.machine("later").exists()
    assert status(region, public, "http://web.example/") == "200"


def test_whoever_makes_the_machines_may_be_killed_meanwhile(region, public, around):
    change_outside(region.control, region.url, with_later(around))
    region.control.signal(None, "cloud-network", signal.SIGKILL)
    region.until(lambda: status(region, public, "http://later.example/") == "200", "it is not there")
    assert status(region, public, "http://web.example/") == "200"


def test_what_cannot_be_is_refused_and_changes_nothing(region, public, around):
    wrong = dataclasses.replace(around, hosts=(*around.hosts, Host("later", OUTSIDE.name, "10.0.0.1")))
    with pytest.raises(HarnessError, match=r"10\.0\.0\.1 is no host address of outside"):
        change_outside(region.control, region.url, wrong)
    assert read_outside(region.control.folder) == around
    assert status(region, public, "http://web.example/") == "200"
