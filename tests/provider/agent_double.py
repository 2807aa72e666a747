"""An agent in a few lines, for tests of the provider: it speaks what an agent speaks and runs nothing.

It stands where the real one would: downloaded by the cell's user data, with its certificate, on the instance. What it
should do is said by annotations of the pod, below `double/`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SETTINGS = json.loads(Path(sys.argv[sys.argv.index("--settings") + 1]).read_text())
NEWS = threading.Condition()
STATE = {"version": 1, "pod": None, "body": None, "events": [], "stopped": False, "deploys": 0}


def status():
    pod = STATE["pod"]
    if pod is None:
        return {}
    wanted = pod["metadata"].get("annotations") or {}
    phase = "Succeeded" if STATE["stopped"] else wanted.get("double/phase", "Running")
    over = phase in ("Succeeded", "Failed")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    code = 1 if phase == "Failed" else 0
    ended = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": stamp}}
    running = {"running": {"startedAt": STATE["since"]}}
    address = SETTINGS.get("pod_address", "")
    ready = "False" if over else "True"
    return {
        "phase": phase,
        "startTime": STATE["since"],
        "podIP": address,
        "podIPs": [{"ip": address}] if address else [],
        "conditions": [
            {"type": kind, "status": "True" if kind == "Initialized" else ready}
            for kind in ("Initialized", "ContainersReady", "Ready", "PodReadyToStartContainers")
        ],
        "containerStatuses": [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": "double",
                "ready": not over,
                "started": not over,
                "restartCount": int(wanted.get("double/restarts", 0)),
                "state": ended if over else running,
            }
            for one in pod["spec"]["containers"]
        ],
    }


def keep():
    """What was given last, where tests look."""
    passing = Path("/var/lib/double-body.new")
    passing.write_text(json.dumps({**STATE["body"], "deploys": STATE["deploys"]}))
    passing.rename("/var/lib/double-body.json")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        if parts.path == "/v1/ping":
            return self.answer(200, {"version": SETTINGS["version"], "started": STATE.get("since", "")})
        if parts.path == "/v1/status":
            with NEWS:
                NEWS.wait_for(lambda: STATE["version"] > int(query["after"]), float(query["wait"]))
                uid = STATE["pod"]["metadata"]["uid"] if STATE["pod"] else ""
                said = {"version": STATE["version"], "uid": uid, "status": status(), "events": STATE["events"]}
            return self.answer(200, said)
        if parts.path.startswith("/v1/logs/"):
            data = f"log of {parts.path.rpartition('/')[2]} {parts.query}\n".encode()
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
            return None
        if parts.path.startswith("/v1/exec/"):
            return self.exec(parse_qs(parts.query))
        if parts.path == "/v1/portforward":
            return self.forward(int(query["ports"]))
        return self.answer(404, {"error": f"{parts.path} is nothing here"})

    def upgrade(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()
        self.close_connection = True

    def exec(self, query):
        """A websocket: the command and what came on stdin go back on stdout, and the exit code is 7."""
        self.upgrade()
        given = b""
        while query["stdin"] == ["true"]:
            message = self.message()
            if message[:2] in (b"\xff\0", b""):
                break
            given += message[1:]
        self.send(b"\1" + str(query["command"]).encode() + b" " + given)
        causes = {"causes": [{"reason": "ExitCode", "message": "7"}]}
        ended = {"kind": "Status", "status": "Failure", "reason": "NonZeroExitCode", "details": causes}
        self.send(b"\3" + json.dumps(ended).encode())
        self.wfile.write(b"\x88\2\x03\xe8")

    def forward(self, port):
        """One connection to the pod's address; both channels begin with the port's number."""
        self.upgrade()
        for channel in (b"\0", b"\1"):
            self.send(channel + port.to_bytes(2, "little"))
        try:
            made = socket.create_connection((SETTINGS["pod_address"], port), timeout=10)
        except OSError as error:
            self.send(b"\1" + f"error forwarding port {port} to pod: {error.strerror}".encode())
            self.wfile.write(b"\x88\2\x03\xe8")
            return

        def back():
            while data := made.recv(16384):
                self.send(b"\0" + data)
            self.wfile.write(b"\x88\2\x03\xe8")

        threading.Thread(target=back, daemon=True).start()
        while (message := self.message()) and message[:2] != b"\x03\xe8":
            if message == b"\xff\0":
                made.shutdown(socket.SHUT_WR)
            else:
                made.sendall(message[1:])
        made.close()

    def message(self):
        _, second = self.rfile.read(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(self.rfile.read(2))
        elif size == 127:
            size = int.from_bytes(self.rfile.read(8))
        mask, data = self.rfile.read(4), self.rfile.read(size)
        return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))

    def send(self, data):
        if len(data) < 126:
            size = bytes([len(data)])
        else:
            size = b"\x7e" + len(data).to_bytes(2) if len(data) < 65536 else b"\x7f" + len(data).to_bytes(8)
        self.wfile.write(b"\x82" + size + data)

    def do_PUT(self):
        body = self.body()
        if self.path == "/v1/policy":
            with NEWS:
                STATE["body"]["policy"] = body
                keep()
            return self.answer(202, {})
        wanted = body["pod"]["metadata"].get("annotations") or {}
        if "double/refuse" in wanted:
            return self.answer(400, {"error": wanted["double/refuse"]})
        with NEWS:
            if STATE["pod"] is None and SETTINGS.get("pod_address"):
                subprocess.run(["ip", "addr", "add", SETTINGS["pod_address"] + "/32", "dev", "lo"], check=False)
                serve(body["pod"])
            STATE.setdefault("since", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            STATE["pod"], STATE["body"] = body["pod"], body
            STATE["deploys"] += 1
            keep()
            if STATE["deploys"] == 1:
                event = {
                    "id": 1,
                    "type": "Normal",
                    "reason": "Started",
                    "message": "Started container",
                    "fieldPath": "",
                }
                STATE["events"].append(event)
            STATE["version"] += 1
            NEWS.notify_all()
        return self.answer(202, {})

    def do_POST(self):
        self.body()
        with NEWS:
            STATE["stopped"] = True
            STATE["version"] += 1
            NEWS.notify_all()
        return self.answer(202, {})

    def log_message(self, *words):
        pass


def serve(pod):
    """Every container port answers with the pod's name and the client's address, over TCP or UDP.

    One that is named echo sends back all that came, in capitals, once the client has said that nothing more comes.
    """
    name = pod["metadata"]["name"]
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            is_udp = port.get("protocol") == "UDP"
            kind = socketserver.ThreadingUDPServer if is_udp else socketserver.ThreadingTCPServer

            class Answer(socketserver.BaseRequestHandler):
                is_echo = port.get("name") == "echo"

                def handle(self):
                    if self.is_echo:
                        with self.request.makefile("rb") as said:
                            self.request.sendall(said.read().upper())
                        return
                    said = f"{name} {self.client_address[0]}".encode()
                    if isinstance(self.request, tuple):
                        self.request[1].sendto(said, self.client_address)
                    else:
                        self.request.sendall(said)

            server = kind((SETTINGS["pod_address"], port["containerPort"]), Answer)
            threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=SETTINGS["ca"])
    with tempfile.NamedTemporaryFile() as chain:
        chain.write((SETTINGS["certificate"] + SETTINGS["key"]).encode())
        chain.flush()
        context.load_cert_chain(chain.name)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, address):
            # The handshake belongs to the connection's own thread: one that says nothing must not stop the others.
            try:
                with context.wrap_socket(request, server_side=True) as wrapped:
                    super().finish_request(wrapped, address)
            except OSError as error:
                print(f"double: {address}: {error}", flush=True)

        def handle_error(self, request, address):
            print(f"double: {address}: {sys.exc_info()[1]}", flush=True)

    print("double: serving", flush=True)
    Server(("0.0.0.0", 6421), Handler).serve_forever()


main()
