"""From user data to a pod that runs: the launcher, the agent's port, the datapath."""

from __future__ import annotations

ECHO = (
    "import socketserver as s\n"
    "class H(s.BaseRequestHandler):\n"
    "    def handle(self): self.request.sendall(self.client_address[0].encode())\n"
    "s.ThreadingTCPServer.allow_reuse_address = True\n"
    "s.ThreadingTCPServer(('', 8080), H).serve_forever()\n"
)
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 8080), timeout=3).recv(99).decode())"


def test_a_pod_runs_at_its_address(world, cell):
    server = {"command": ["python3", "-c", ECHO], "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    assert cell.agent.put(world.pod(server)).status == 202
    status = cell.ready()

    assert status["podIP"] == cell.pod_address
    assert status["phase"] == "Running"
    asked = world.control.run(["/usr/bin/python3", "-c", ASK, cell.pod_address], machine=world.server)
    assert asked.stdout.decode().strip() == world.server_address, asked.stderr.decode()


def test_others_see_the_podip_of_who_asks(world, cell):
    world.control.daemon("echo", ["/usr/bin/python3", "-c", ECHO], machine=world.server)
    cell.agent.put(world.pod({"command": ["python3", "-c", f"{ASK}; input()", world.server_address], "stdin": True}))
    cell.running()

    world.until(lambda: cell.pod_address in cell.run("cat", "/var/lib/cell/logs/c0/0.log"), "no answer in the log")
