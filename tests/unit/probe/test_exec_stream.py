"""The exec stream against a small API server of our own that runs what it is told as a local process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from kip_conformance.infra.errors import HarnessError, UsageError
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.kubeconfig import load_kubeconfig
from kip_conformance.infra.probe.pod_facts import summarize
from kip_conformance.infra.targets.protocol import Place, PodRef
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response


class ApiServer(threading.Thread):
    """Speaks the exec endpoint of one or both versions; output leaves in frames that end anywhere."""

    def __init__(self, *versions: str, frame: int = 32768) -> None:
        super().__init__(daemon=True)
        self.versions, self.frame = versions, frame
        self.frames: list[int] = []
        self.spoken: list[str] = []
        self.authorizations: list[str | None] = []
        self.processes: list[asyncio.subprocess.Process] = []
        self.url = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self.start()
        self._ready.wait(5)

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with serve(
            self._exec,
            "127.0.0.1",
            0,
            subprotocols=self.versions,
            process_request=self._refuse,
            max_size=None,
            compression=None,
        ) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._ready.set()
            await self._over.wait()
            for process in self.processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.authorizations.append(request.headers.get("Authorization"))
        if "/pods/absent/" in request.path:
            body = json.dumps({"kind": "Status", "message": 'pods "absent" not found'}).encode()
            return Response(404, "Not Found", Headers({"Content-Length": str(len(body))}), body)
        return None

    async def _exec(self, socket: ServerConnection) -> None:
        query = parse_qs(urlsplit(socket.request.path).query)
        argv = [str(Path(prober.__file__).resolve()) if word == "/prober.py" else word for word in query["command"]]
        argv[0] = sys.executable if argv[0] == "/usr/bin/python3" else argv[0]
        self.spoken.append(socket.subprotocol)
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.processes.append(process)
        outputs = [
            asyncio.create_task(self._forward(socket, number, stream))
            for number, stream in ((1, process.stdout), (2, process.stderr))
        ]
        feeding = asyncio.create_task(self._feed(socket, process))
        await asyncio.gather(*outputs)
        code = await process.wait()
        status = {"status": "Success"} if code == 0 else {
            "status": "Failure", "message": f"command terminated with {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code if code > 0 else 128 - code)}]},
        }  # fmt: skip
        with contextlib.suppress(Exception):
            await socket.send(b"\x03" + json.dumps(status).encode())
            await socket.close()
        feeding.cancel()

    async def _forward(self, socket: ServerConnection, number: int, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(self.frame):
            with contextlib.suppress(Exception):
                await socket.send(bytes([number]) + data)

    async def _feed(self, socket: ServerConnection, process: asyncio.subprocess.Process) -> None:
        async for message in socket:
            self.frames.append(len(message) - 1)
            if message == b"\xff\0":
                process.stdin.close()
            elif message[0] == 0:
                process.stdin.write(message[1:])
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
        # As the real thing: an exec whose stream was aborted lives on.

    def call(self, function) -> None:
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        self.call(self._over.set)
        self.join(10)


@pytest.fixture(scope="module", params=["v5.channel.k8s.io", "v4.channel.k8s.io"])
def server(request) -> Iterator[ApiServer]:
    api = ApiServer(request.param)
    yield api
    api.close()


def kubeconfig(folder: Path, url: str, user: str = "token: secret") -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        f"current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n"
        f"clusters: [{{name: k, cluster: {{server: '{url}'}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
    )
    return path


def as_pod(place: Place, name: str | None = None) -> Place:
    pod = PodRef("kip-conformance", name or place.name, "uid-1")
    return Place(place.name, "pod", place.machine, place.address, place.sources, place.ports, place.socket, pod)


@pytest.fixture
def driver(village, server, tmp_path) -> Iterator[Driver]:
    with Driver([as_pod(one.place) for one in village], {}, kubeconfig(tmp_path, server.url)) as made:
        yield made


def test_a_grid_over_exec_streams(driver, server):
    grid = driver.all(driver.places, driver.places, "tcp")
    assert grid == every_pair(driver.places, driver.places, is_open())
    assert set(server.spoken) == set(server.versions)
    assert set(server.authorizations) == {"Bearer secret"}


def test_large_batches_leave_in_small_frames(driver, server):
    target = driver.at("bob").udp()
    grid = driver.through([driver.at("ada")], target, attempts=1500)
    assert grid["ada", "bob"].is_open
    assert 16000 < max(server.frames) <= 16384


def test_the_newer_protocol_is_preferred(village, tmp_path):
    api = ApiServer("v5.channel.k8s.io", "v4.channel.k8s.io")
    try:
        with Driver([as_pod(village[0].place)], {}, kubeconfig(tmp_path, api.url)) as driver:
            driver.open()
        assert api.spoken == ["v5.channel.k8s.io"]
    finally:
        api.close()


def test_a_pod_that_is_not_there_is_a_harness_error_with_the_servers_words(village, server, tmp_path):
    place = as_pod(village[0].place, "absent")
    with Driver([place], {}, kubeconfig(tmp_path, server.url)) as driver:
        with pytest.raises(
            HarnessError, match=r'exec into kip-conformance/absent was refused: HTTP 404 pods "absent" not found'
        ):
            driver.open()


def test_an_api_server_that_is_not_there_is_a_harness_error(village, tmp_path):
    with Driver([as_pod(village[0].place)], {}, kubeconfig(tmp_path, "http://127.0.0.1:9")) as driver:
        with pytest.raises(HarnessError, match=r"through http://127\.0\.0\.1:9 failed"):
            driver.open()


def test_a_killed_process_shows_its_exit_code(resident, server, tmp_path):
    gone = resident("gone")
    with Driver([as_pod(gone.place)], {}, kubeconfig(tmp_path, server.url)) as driver:
        driver.open()
        gone.kill()
        with pytest.raises(HarnessError, match=r"place gone: no verdict.*(exit code 3|died|cannot be reached)"):
            driver.one(driver.at("gone"), driver.at("gone").tcp())


def test_a_cut_stream_is_opened_again(driver, server):
    driver.open()
    opened = len(server.processes)
    process = server.processes[-1]
    server.call(process.kill)
    ada = driver.at("ada")
    for _ in range(200):
        assert all((driver.at(name) >> ada.tcp()).is_open for name in ("bob", "cyd"))
        if len(server.processes) > opened:
            break
    assert len(server.processes) > opened


def test_a_command_runs_to_its_end(driver):
    pod = driver.places[0].pod
    script = "import sys; print('out'); print('err', file=sys.stderr); raise SystemExit(3)"
    done = driver.execute(pod, ["/usr/bin/python3", "-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert driver.execute(pod, ["/usr/bin/python3", "-c", "print('x' * 100000)"]).stdout == b"x" * 100000 + b"\n"


def test_a_command_reads_its_input(driver, server):
    # v4 cannot close stdin, so the command must know how much it wants.
    script = "import sys; print(sys.stdin.read(5)[::-1])"
    if server.versions == ("v5.channel.k8s.io",):
        script = "import sys; print(sys.stdin.read()[::-1])"
    done = driver.execute(driver.places[0].pod, ["/usr/bin/python3", "-c", script], stdin=b"hello")
    assert (done.returncode, done.stdout) == (0, b"olleh\n")


def test_a_command_that_does_not_end_is_a_harness_error(driver):
    with pytest.raises(HarnessError, match=r"did not end within 0\.3 s"):
        driver.execute(driver.places[0].pod, ["/bin/sleep", "60"], timeout=0.3)


def test_kubeconfig_takes_a_token_from_a_file(tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    access = load_kubeconfig(kubeconfig(tmp_path, "http://127.0.0.1:1/", "tokenFile: token"))
    assert access.headers == {"Authorization": "Bearer from-file"}
    assert access.server == "http://127.0.0.1:1"
    assert access.tls is None


def test_a_broken_kubeconfig_is_a_usage_error(tmp_path):
    path = tmp_path / "kubeconfig"
    with pytest.raises(UsageError, match="cannot be read"):
        load_kubeconfig(path)
    path.write_text("current-context: nowhere\ncontexts: []\n")
    with pytest.raises(UsageError, match="contexts has no entry nowhere"):
        load_kubeconfig(path)
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", "client-certificate: absent.pem, client-key: absent.key")
    with pytest.raises(UsageError, match="cannot be used"):
        load_kubeconfig(path)


def test_pod_facts_tell_a_restart_from_a_replacement():
    pod = PodRef("n", "p", "uid-1")
    terminated = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = {"phase": "Running", "containerStatuses": [{"name": "prober", "restartCount": 2, "lastState": terminated}]}
    found = {"metadata": {"uid": "uid-1"}, "status": status}
    assert summarize(found, pod) == "its pod is Running, restarted 2 times, last ended with 137 (OOMKilled)"
    assert summarize({**found, "metadata": {"uid": "uid-2"}}, pod) == "its pod was replaced (uid uid-2, was uid-1)"
