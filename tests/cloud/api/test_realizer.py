"""A Realizer in the server's own process (infra/cloud/api/realizer.py): what it is told, and when."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, pathlib, sys, threading
from kip_conformance.infra.cloud.api.server import listen, serve
from kip_conformance.infra.cloud.api.settings import Settings

class Machines:
    '''Writes down what it is told and does it on a thread, as machines would.'''
    def __init__(self, reports):
        self.reports = reports
        self.told = open(sys.argv[1] + "/told", "a", buffering=1)
    def note(self, what, ids, state):
        self.told.write(json.dumps([what, list(ids)]) + "\\n")
        if state and ids:
            threading.Thread(target=self.reports.report, args=(ids, state)).start()
    def start(self, ids): self.note("start", ids, "running")
    def stop(self, ids): self.note("stop", ids, "stopped")
    def terminate(self, ids): self.note("terminate", ids, "terminated")
    def reboot(self, ids): self.note("reboot", ids, None)
    def changed(self, version): pass
    def console(self, instance_id): return b"console of " + instance_id.encode()

with listen("127.0.0.1", 0) as listener:
    serve(listener, Settings(pathlib.Path(sys.argv[1])), Machines)
"""


@pytest.fixture
def program_server(tmp_path, server_of):
    """A server with the machines above."""
    return server_of(tmp_path, [sys.executable, "-c", PROGRAM, str(tmp_path)])


def test_machines_are_told_once_and_report_from_a_thread(program_server, cloud_of, tmp_path):
    cloud = cloud_of(program_server.client())
    cloud.vpc = cloud.make_vpc()
    made = [one["InstanceId"] for one in cloud.run_many(3, cloud.subnet())]
    cloud.ec2.get_waiter("instance_running").wait(InstanceIds=made, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    assert cloud.ec2.get_console_output(InstanceId=made[0])["Output"] == f"console of {made[0]}"
    cloud.ec2.reboot_instances(InstanceIds=made[:1])
    cloud.ec2.stop_instances(InstanceIds=made)
    cloud.ec2.get_waiter("instance_stopped").wait(InstanceIds=made, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    cloud.ec2.terminate_instances(InstanceIds=made)
    cloud.ec2.get_waiter("instance_terminated").wait(InstanceIds=made, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [entry for entry in told if entry[1]] == [
        ["start", made],
        ["reboot", made[:1]],
        ["stop", made],
        ["terminate", made],
    ]


def refusal_of(*options):
    """Exit code and lines of a server that cannot start."""
    command = [sys.executable, "-m", "kip_conformance.infra.cloud.api", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.splitlines()


def test_two_servers_never_share_a_folder(own_server):
    server = own_server()
    code, lines = refusal_of("--folder", str(server.folder))
    assert code == 10
    assert lines == [f"cloud API: another server has the folder {server.folder}: end it, or give another folder"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--public-pool", "203.0.113.1/24"], 4, "the public pool 203.0.113.1/24 is no IPv4 range"),
        (["--region", "mars-north-1"], 4, "mars-north-1 is not how a region is called"),
        (["--host", "203.0.113.9"], 10, "cannot listen at 203.0.113.9"),
    ],
    ids=["pool", "region", "host"],
)
def test_what_cannot_be_served_is_one_clear_line(tmp_path, options, code, says):
    found, lines = refusal_of("--folder", str(tmp_path / "cloud"), *options)
    assert found == code
    assert len(lines) == 1
    assert says in lines[0]


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    code, lines = refusal_of("--folder", str(tmp_path / "file" / "cloud"))
    assert code == 10
    assert lines == [f"cloud API: the folder {tmp_path}/file/cloud cannot be used: Not a directory"]
