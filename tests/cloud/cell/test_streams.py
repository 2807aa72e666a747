"""exec, attach, logs and port forwarding of one pod, as kubelet's clients use them."""

from __future__ import annotations

import json
import threading

import pytest

from .streams import V4, V5, Said, collect, execute, open_stream

TALKS = "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; echo oops >&2; printf unfinished; cat"
# Port 9000 answers line by line; 9002 once it has read to the end.
LISTENS = (
    "import socketserver as s, threading as t\n"
    "class H(s.StreamRequestHandler):\n"
    "    def handle(self):\n"
    "        for line in self.rfile: self.wfile.write(line.upper())\n"
    "class E(s.StreamRequestHandler):\n"
    "    def handle(self): self.wfile.write(b'%d bytes' % len(self.rfile.read()))\n"
    "t.Thread(target=s.ThreadingTCPServer(('127.0.0.1', 9002), E).serve_forever).start()\n"
    "s.ThreadingTCPServer(('127.0.0.1', 9000), H).serve_forever()\n"
)
COUNTS = "import sys; print(len(sys.stdin.buffer.read()))"
WAITS = f"while [ ! -e /tmp/go ]; do sleep 0.1; done; exec python3 -c '{COUNTS}'"


@pytest.fixture(scope="module")
def pod(world):
    """A pod of three containers: one talks and listens to stdin, one is on a terminal, one serves on loopback."""
    cell = world.cell()
    talks = {"command": ["sh", "-c", TALKS], "stdin": True}
    terminal = {"command": ["sh", "-i"], "stdin": True, "tty": True}
    serves = {"command": ["python3", "-c", LISTENS], "readinessProbe": {"exec": {"command": ["sh", "-c", "echo | nc 127.0.0.1 9000"]}, "periodSeconds": 1}}  # fmt: skip  # noqa: E501
    assert cell.agent.put(world.pod(talks, terminal, serves)).status == 202
    cell.ready()
    yield cell
    world.end(cell.instance)


def test_exec_gives_outputs_and_the_exit_code(pod):
    said = execute(pod.agent, "sh", "-c", "echo out; echo err >&2; exit 7")

    assert (said.out, said.err, said.exit_code, said.close_code) == ("out\n", "err\n", 7, 1000)
    assert said.status["reason"] == "NonZeroExitCode"
    assert execute(pod.agent, "true").status == {"metadata": {}, "status": "Success"}


def test_exec_takes_stdin_to_its_end(pod):
    data = bytes(range(256)) * 4096
    said = execute(
        pod.agent, "python3", "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", stdin=data
    )

    assert said.channels[1] == data
    assert said.exit_code == 0


def test_exec_by_v4_has_no_half_close(pod):
    with open_stream(pod.agent, "/v1/exec/c0", V4, command=["sh"], stdin="true", stdout="true") as stream:
        assert stream.subprotocol == V4
        stream.send(b"\0echo hello; exit 3\n")
        said = collect(stream)

    assert (said.out, said.exit_code) == ("hello\n", 3)


def test_exec_on_a_terminal_of_some_size(pod):
    asked = {"command": ["sh"], "stdin": "true", "stdout": "true", "tty": "true"}
    with open_stream(pod.agent, "/v1/exec/c0", V5, **asked) as stream:
        stream.send(b"\4" + json.dumps({"Width": 91, "Height": 33}).encode())
        stream.send(b"\0stty size; exit 4\n")
        said = collect(stream)

    assert "33 91" in said.out
    assert said.exit_code == 4


def test_exec_of_what_is_not_there_says_so(pod):
    said = execute(pod.agent, "/no/such/program")

    assert said.status["status"] == "Failure"
    assert "/no/such/program" in said.status["message"]
    assert "no such file" in said.status["message"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/exec/nobody?command=true", 404, "container nobody: the pod has c0, c1, c2"),
        ("/v1/exec/c0", 400, "command"),
        ("/v1/exec/c0?command=true", 400, "this path needs a WebSocket upgrade"),
        ("/v1/portforward?ports=x", 400, "ports=x: one or more numbers from 1 to 65535 are needed"),
        ("/v1/logs/c0?tailLines=-1", 400, "tailLines=-1: a number is needed"),
        ("/v1/logs/c0?sinceTime=noon", 400, "sinceTime=noon: an RFC 3339 time is needed"),
        ("/v1/logs/c0?previous=true", 400, "previous terminated container"),
        ("/v2/ping", 404, "/v2/ping: there is no such path"),
    ],
)
def test_what_cannot_be_asked_is_one_line(pod, path, status, said):
    answer = pod.agent.ask("GET", path)

    assert answer.status == status
    assert said in answer.error
    assert "\n" not in answer.error


def test_a_shell_that_is_attached_to(pod):
    with open_stream(pod.agent, "/v1/attach/c1", stdin="true", stdout="true", tty="true") as stream:
        stream.send(b"\0echo a$((20+3))b\n")
        said = collect(stream, lambda one: "a23b" in one.out)

    assert "a23b" in said.out


def test_attach_has_what_comes_from_now_on(pod):
    with open_stream(pod.agent, "/v1/attach/c0", stdin="true", stdout="true", stderr="true") as stream:
        stream.send(b"\0heard\n")
        said = collect(stream, lambda one: "heard" in one.out)

    assert "line 1" not in said.out


def test_logs_and_their_options(pod):
    whole = pod.agent.get("/v1/logs/c0").body.decode()
    assert whole.startswith("line 0\nline 1\n")
    assert "oops\n" in whole
    assert "unfinished" in whole

    assert pod.agent.get("/v1/logs/c0", limitBytes=9).body == b"line 0\nli"
    assert pod.agent.get("/v1/logs/c0", tailLines=0).body == b""
    stamped = pod.agent.get("/v1/logs/c0", timestamps="true").body.decode().splitlines()
    assert stamped[0].endswith("Z line 0")
    assert len(stamped[0].split(" ")[0]) == len("2026-01-01T00:00:00.123456789Z")
    assert pod.agent.get("/v1/logs/c0", sinceTime="2999-01-01T00:00:00Z").body == b""
    assert pod.agent.get("/v1/logs/c0", sinceSeconds=3600).body.decode() == pod.agent.get("/v1/logs/c0").body.decode()


def test_ports_are_forwarded_to_the_pods_loopback(pod):
    with open_stream(pod.agent, "/v1/portforward", V4, ports=[9000, 9001]) as stream:
        stream.send(b"\0hello\n")
        said = collect(stream, lambda one: b"HELLO" in one.channels.get(0, b"") and len(one.channels.get(3, b"")) > 2)

    assert said.channels[0] == (9000).to_bytes(2, "little") + b"HELLO\n"
    assert b"refused" in said.channels[3].lower()


def test_the_end_of_what_a_client_says_reaches_the_pod_and_the_answer_comes_back(pod):
    """With v5; the connection ends when the pod's program has answered."""
    with open_stream(pod.agent, "/v1/portforward", V5, ports=9002) as stream:
        assert stream.subprotocol == V5
        for _ in range(10):
            stream.send(b"\0" + bytes(100_000))
        stream.send(b"\xff\0")
        said = collect(stream)

    assert said.channels[0] == (9002).to_bytes(2, "little") + b"1000000 bytes"
    assert said.close_code == 1000


def test_what_a_program_does_not_read_waits_at_the_client(pod):
    """The agent holds a mebibyte of it, not all: a cell's memory is the pod's."""
    megabytes, sent = 64, [0]
    before = peak(pod)
    asked = {"command": ["sh", "-c", WAITS], "stdin": "true", "stdout": "true"}
    with open_stream(pod.agent, "/v1/exec/c0", V5, **asked) as stream:

        def send() -> None:
            for _ in range(megabytes * 16):
                stream.send(b"\0" + bytes(65536))
                sent[0] += 1
            stream.send(b"\xff\0")

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        known = -1
        while known != sent[0] or not known:  # until nothing more is taken for the length of a whole exec
            known = sent[0]
            assert execute(pod.agent, "true").exit_code == 0
        assert known < megabytes * 16
        assert execute(pod.agent, "touch", "/tmp/go").exit_code == 0
        said: Said = collect(stream)
        sender.join(10)

    assert said.out.strip() == str(megabytes << 20)
    assert peak(pod) - before < 16 << 10


def peak(pod) -> int:
    """The most memory that the agent has had so far, in KiB."""
    found = pod.run("sh", "-c", "cat /proc/$(pgrep -f 'settings.json agent$' | head -1)/status")
    return int(found.partition("VmHWM:")[2].split()[0])
