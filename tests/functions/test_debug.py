"""`cosette function debug`: the languages' own debuggers attach, and see the handler stop."""

import json
import pathlib
import shutil
import socket
import subprocess
import sysconfig
import threading
import urllib.error
import urllib.request
import uuid

import pytest

from support.functions import call, client, deploy
from support.instance import Instance
from support.process import isolates

PATIENCE_S = 60


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Debugged:
    """A function whose next run waits for a debugger, and that run."""

    def __init__(self, server, scf, name):
        self.server, self.scf, self.name, self.port = server, scf, name, free_port()
        answer = server.cli("function", "debug", name, "--port", str(self.port), "--json")
        self.root = json.loads(answer.stdout)["root"]
        self.result = None
        self.run = threading.Thread(target=self.invoke)
        self.run.start()

    def invoke(self):
        self.result = call(self.scf, "Invoke", FunctionName=self.name, ClientContext='{"n": 20}')["Result"]

    def connect(self):
        """The debugger listens once the process is up; nothing else tells."""
        while self.run.is_alive():
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
            except ConnectionRefusedError:
                pass
        raise AssertionError(f"it never waited: {self.result}")

    def ended(self):
        self.run.join(PATIENCE_S)
        self.server.cli("function", "debug", self.name, "--stop")
        return self.result["RetMsg"]


@pytest.fixture
def debugged(server):
    def make(source, runtime, handler="index.main_handler", server=server, **more):
        scf, name = client(server), f"debugged-{uuid.uuid4().hex[:8]}"
        # Time and memory are too little for it: they do not count.
        deploy(scf, name, source, runtime=runtime, handler=handler, Timeout=1, MemorySize=64, **more)
        return Debugged(server, scf, name)

    return make


class Prompt:
    """A debugger with a command line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=0
        )
        self.shown = ""

    def until(self, text):
        timer = threading.Timer(PATIENCE_S, self.process.kill)
        timer.start()
        begun = len(self.shown)
        while text not in self.shown[begun:]:
            one = self.process.stdout.read(1)
            assert one, f"no {text!r} in {self.shown!r}"
            self.shown += one
        timer.cancel()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_node_stops_in_the_inspector(debugged):
    code = "exports.main_handler = async (event) => {\n  const twice = 2 * event.n;\n  debugger;\n  return twice;\n};\n"
    one = debugged({"index.js": code}, "Nodejs18.15")
    one.connect().close()
    with Prompt("node", "inspect", f"127.0.0.1:{one.port}") as inspector:
        inspector.until("break in")
        inspector.until("debug> ")
        inspector.say("exec('twice + 2')")
        inspector.until("42")
        inspector.say("cont")
        assert one.ended() == "40"


def test_java_stops_in_jdb(debugged, tmp_path):
    if shutil.which("jdb") is None:
        pytest.skip("a JDK is not installed")
    source = tmp_path / "Twice.java"
    source.write_text(
        "public class Twice {\n    public int twice(java.util.Map<String, Integer> event) {\n"
        "        int n = event.get(\"n\");\n        return 2 * n;\n    }\n}\n"
    )
    subprocess.run(["javac", "-g", "-d", tmp_path / "classes", source], check=True, timeout=120)
    one = debugged(tmp_path / "classes", "Java17", "Twice::twice")
    # The first to connect has it; a connection without a greeting is one that failed.
    while f":{one.port:04X} " not in pathlib.Path("/proc/net/tcp").read_text():
        assert one.run.is_alive(), one.result
    with Prompt("jdb", "-connect", f"com.sun.jdi.SocketAttach:hostname=127.0.0.1,port={one.port}") as jdb:
        jdb.until("main[1] ")
        jdb.say("stop at Twice:4")
        jdb.until("main[1] ")
        jdb.say("cont")
        jdb.until("Breakpoint hit")
        jdb.until("main[1] ")
        jdb.say("print n + 22")
        jdb.until("= 42")
        jdb.say("cont")
        assert one.ended() == "40"


class Dap:
    """The debug adapter protocol, which debugpy speaks."""

    def __init__(self, connection):
        self.connection, self.reader, self.sent, self.events = connection, connection.makefile("rb"), 0, []

    def send(self, command, **arguments):
        self.sent += 1
        body = json.dumps({"seq": self.sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self.connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self.sent

    def read(self):
        size = 0
        while line := self.reader.readline().strip():
            size = int(line.split(b":")[1])
        return json.loads(self.reader.read(size))

    def event(self, name):
        while True:
            for found in self.events:
                if found["event"] == name:
                    self.events.remove(found)
                    return found["body"] if "body" in found else {}
            message = self.read()
            if message["type"] == "event":
                self.events.append(message)
            else:
                assert message.get("success", True), message

    def answer(self, seq):
        while True:
            message = self.read()
            if message["type"] == "event":
                self.events.append(message)
            elif message.get("request_seq") == seq:
                assert message["success"], message
                return message.get("body", {})

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))


@pytest.mark.parametrize("isolation", ["auto", "off"])
def test_python_stops_in_debugpy(debugged, isolation):
    packages = sysconfig.get_paths()["purelib"]
    with Instance(None, "--isolation", isolation, "--share", packages) as server:
        stops_in_debugpy(debugged, server, packages)


def stops_in_debugpy(debugged, server, packages):
    code = "def main_handler(event, context):\n    twice = 2 * event['n']\n    return twice\n"
    one = debugged({"index.py": code}, "Python3.9", server=server, env={"PYTHONPATH": packages})
    with one.connect() as connection:
        dap = Dap(connection)
        dap.ask("initialize", adapterID="test", pathFormat="path")
        attached = dap.send("attach", justMyCode=False)
        dap.event("initialized")
        dap.ask("setBreakpoints", source={"path": f"{one.root}/index.py"}, breakpoints=[{"line": 3}])
        dap.ask("configurationDone")
        dap.answer(attached)
        thread = dap.event("stopped")["threadId"]
        frame = dap.ask("stackTrace", threadId=thread)["stackFrames"][0]
        assert (frame["name"], frame["line"]) == ("main_handler", 3)
        assert dap.ask("evaluate", expression="twice + 2", frameId=frame["id"], context="watch")["result"] == "42"
        dap.ask("continue", threadId=thread)
        assert one.ended() == "40"


@pytest.mark.skipif(not isolates(), reason="the kernel gives no network of its own")
def test_a_port_that_somebody_has_is_named(server, scf, new_function):
    name = new_function()
    deploy(scf, name, {"index.js": "exports.main_handler = async () => 7"}, runtime="Nodejs18.15")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server.cli("function", "debug", name, "--port", str(port))
        result = call(scf, "Invoke", FunctionName=name)["Result"]
    server.cli("function", "debug", name, "--stop")
    assert f"port {port} of 127.0.0.1, for the debugger: Address already in use" in result["ErrMsg"], result


def test_what_cannot_be_debugged_is_refused(server, scf, new_function):
    name, other, third, port = new_function(), new_function(), new_function(), str(free_port())
    deploy(scf, name, {"index.php": ""}, runtime="Php7.4")
    for one in (other, third):
        deploy(scf, one, {"index.js": "exports.main_handler = async () => 7"}, runtime="Nodejs18.15")
    refused = server.cli("function", "debug", name, check=False)
    assert refused.returncode != 0 and "functions of Php7.4 cannot be debugged" in refused.stderr, refused
    server.cli("function", "debug", other, "--port", port)
    refused = server.cli("function", "debug", third, "--port", port, check=False)
    assert refused.returncode != 0 and "another function is debugged at port" in refused.stderr, refused
    server.cli("function", "debug", other, "--stop")
    # A page in a browser may post text to anybody.
    page = urllib.request.Request(
        f"{server.url}/_cosette/debug", data=json.dumps({"function": other}).encode(), headers={"Origin": "http://a.example"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(page, timeout=PATIENCE_S)
    # It runs as ever, and waits for nobody.
    assert call(scf, "Invoke", FunctionName=other)["Result"]["RetMsg"] == "7"
    assert server.cli("function", "debug", "no-such-function", check=False).returncode != 0
