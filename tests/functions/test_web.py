"""Web functions: servers of real frameworks behind function URLs, and what becomes of each kind of failure."""

import concurrent.futures
import json
import re
import shutil
import socket
import subprocess

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, web
from support.functions import call
from support.instance import ISOLATION, ROOT, clean_environment

FLASK = """
import os, sys, threading, uuid
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
who = str(uuid.uuid4())
meet = threading.Barrier(2)

@app.route("/echo/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
def echo(rest):
    print("asked for", rest, flush=True)
    answer = jsonify(
        who=who, method=request.method, path=request.full_path, headers=dict(request.headers),
        body=request.get_data(as_text=True), form=request.form.to_dict(),
    )
    answer.status_code = 201
    answer.headers["X-Own"] = "kept"
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2")
    return answer

@app.route("/stream")
def stream():
    def parts():
        for n in range(3):
            yield f"data: {n}\\n\\n"
            gate.acquire()
    return Response(parts(), mimetype="text/event-stream")

gate = threading.Semaphore(0)

@app.route("/on")
def on():
    gate.release()
    return "on"

@app.route("/meet")
def together():
    meet.wait()
    return who

@app.route("/held")
def held():
    print("held begins", flush=True)
    gate.acquire()
    print("held ends", flush=True)
    return "held"

@app.route("/hang")
def hang():
    print("hangs", flush=True)
    threading.Event().wait()

@app.route("/exit")
def end():
    os._exit(7)

@app.route("/eat")
def eat():
    return str(len(bytearray(os.urandom(1) * (300 << 20))))

@app.route("/large/<int:size>")
def large(size):
    return Response((b"x" * 65536 for _ in range(size // 65536)), mimetype="text/plain")

@app.route("/size", methods=["POST", "HEAD"])
def size():
    if request.method == "HEAD":
        return Response(headers={"Content-Length": str(7 << 20)})
    return str(len(request.get_data()))

app.run("0.0.0.0", int(os.environ["PORT"]), threaded=True)
"""

FLASK_PACKAGES = ("flask", "werkzeug", "jinja2", "click", "blinker", "itsdangerous", "markupsafe")


def flask():
    return {
        "scf_bootstrap": "#!/bin/bash\nexec python3 -u app.py\n",
        "app.py": FLASK,
        **web.vendored(*FLASK_PACKAGES),
    }


@pytest.fixture
def new_web(scf, server, new_function):
    """Makes web functions with URLs; without code, one of Flask."""

    def make(files=None, **configuration):
        name = new_function("web")
        web.deploy_web(scf, name, files or flask(), **configuration)
        found = web.Url(server, web.url(scf, name))
        found.name = name
        return found

    return make


def log(scf, name):
    return web.finished(scf, name)[-1]


def test_flask(scf, server, new_web):
    ask = new_web()
    answer = ask("POST", "/echo/a%20b/c?d=e&f", data={"g": "ü"}, headers={"X-Mine": "1", "X-Scf-Name": "forged"})
    assert answer.status_code == 201
    assert answer.headers["X-Own"] == "kept"
    assert answer.cookies.get_dict() == {"one": "1", "two": "2"}
    said = answer.json()
    assert (said["method"], said["path"]) == ("POST", "/echo/a b/c?d=e&f")
    assert said["form"] == {"g": "ü"}
    headers = said["headers"]
    assert (headers["Host"], headers["X-Mine"]) == (ask.host, "1")
    assert headers["X-Scf-Name"] == ask.name
    assert headers["X-Scf-Memory"] == "256"
    assert headers["X-Scf-Version"] == "$LATEST"
    assert headers["X-Scf-Namespace"] == "default"
    assert (headers["X-Scf-Region"], headers["X-Scf-Appid"]) == (server.region, server.appid)
    assert headers["X-Scf-Request-Id"] == answer.headers["X-Scf-Request-Id"]
    assert all(headers[f"X-Scf-{name}"] for name in ("Secret-Id", "Secret-Key", "Session-Token"))
    again = ask("GET", "/echo/again").json()
    assert again["who"] == said["who"], "the instance is warm"
    # As seen afterwards.
    first, second = web.finished(scf, ask.name)
    assert first["RequestId"] == headers["X-Scf-Request-Id"]
    assert "asked for a b/c" in first["Log"] and "Init Report" in first["Log"]
    assert "asked for again" in second["Log"] and "Init Report" not in second["Log"]
    assert (first["RetCode"], json.loads(first["RetMsg"])["statusCode"]) == (0, 201)
    seen = server.invocations(ask.name)[0]
    assert (seen["source"], seen["requestId"]) == ("HTTP", second["RequestId"])


def test_each_kind_of_address(server, new_web, localhost_names):
    ask = new_web()
    session = web.open_session()
    by_path = session.get(f"{ask.by_path}/echo/x?y=z")
    assert by_path.json()["path"] == "/echo/x?y=z"
    named = session.get(f"http://{ask.id}.scf.localhost:{server.port}/echo/x")
    assert named.json()["path"] == "/echo/x?"
    page = session.get(f"{ask.by_path}/echo/x", headers={"Sec-Fetch-Site": "none"}, allow_redirects=False)
    assert page.status_code == 307
    assert page.headers["Location"] == f"http://{ask.id}.scf.localhost:{server.port}/echo/x"
    inside = ask.host.replace(f".{server.region}.", f".in.{server.region}.")
    assert ask("GET", "/echo/x", headers={"Host": inside}).status_code == 201
    for host in (
        ask.host.replace(ask.id, "aaaaaaaaaa"),
        ask.host.replace(server.region, "ap-shanghai"),
        ask.host.replace(server.appid, "1250000001"),
    ):
        assert failure(ask("GET", "/echo/x", headers={"Host": host}))[0] == 404, host


def test_an_answer_comes_as_it_is_sent(new_web):
    ask = new_web(InstanceConcurrencyConfig={"DynamicEnabled": "FALSE", "MaxConcurrency": 2})
    answer = ask("GET", "/stream", stream=True)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    parts = answer.iter_content(None)
    for n in range(3):
        # The next is not sent before this one is here.
        assert next(parts) == f"data: {n}\n\n".encode()
        ask("GET", "/on")
    assert list(parts) == []


def test_several_requests_at_once(scf, new_web):
    ask = new_web(InstanceConcurrencyConfig={"DynamicEnabled": "FALSE", "MaxConcurrency": 2})
    got = call(scf, "GetFunction", FunctionName=ask.name)
    assert (got["Type"], got["InstanceConcurrencyConfig"]["MaxConcurrency"]) == ("HTTP", 2)
    # They share the memory of one instance.
    memory = call(scf, "GetFunction", FunctionName=ask.name)["MemorySize"]
    call(scf, "PutReservedConcurrencyConfig", FunctionName=ask.name, ReservedConcurrencyMem=memory)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [pool.submit(ask, "GET", "/meet") for _ in range(2)]
        answers = {one.result().text for one in both}
    assert len(answers) == 1
    alone = new_web()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [pool.submit(alone, "GET", "/echo/x") for _ in range(2)]
        assert {one.result().status_code for one in both} == {201}


def test_whoever_has_an_answer_may_ask_again(scf, server, new_web):
    ask = new_web()
    memory = call(scf, "GetFunction", FunctionName=ask.name)["MemorySize"]
    call(scf, "PutReservedConcurrencyConfig", FunctionName=ask.name, ReservedConcurrencyMem=memory)
    # All at once on one connection: each is taken up as soon as the answer before it is out.
    kinds = ["GET /echo/x", "HEAD /echo/x", "GET /large/65536"] * 10
    asked = [f"{kind} HTTP/1.1\r\nHost: {ask.host}\r\n" for kind in kinds]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*asked, "GET /echo/x HTTP/1.1"]).encode())
        connection.sendall(f"\r\nHost: {ask.host}\r\nConnection: close\r\n\r\n".encode())
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = re.findall(rb"HTTP/1.1 (\d+)", said)
    assert statuses == [b"201", b"201", b"200"] * 10 + [b"201"]
    assert len(set(re.findall(rb'"who": ?"([^"]+)"', said))) == 1


def test_what_several_print_is_in_the_log_of_each(scf, new_web):
    ask = new_web(InstanceConcurrencyConfig={"DynamicEnabled": "FALSE", "MaxConcurrency": 2})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = pool.submit(ask, "GET", "/held")
        while True:
            entries = functions.logs(scf, ask.name)
            if entries and "held begins" in entries[0]["Log"]:
                break
        assert entries[0]["InvokeFinished"] == 0
        assert ask("GET", "/echo/meanwhile").status_code == 201
        ask("GET", "/on")
        assert held.result().text == "held"
    logs = [entry["Log"] for entry in web.finished(scf, ask.name)]
    assert len(logs) == 3
    # Who caused the start has its report, though another ended first.
    assert ["Init Report" in log for log in logs] == [True, False, False]
    assert all(line in logs[0] for line in ("held begins", "asked for meanwhile", "held ends"))
    assert "asked for meanwhile" in logs[1] and "held" not in logs[1]


def test_express(scf, server, new_web):
    code = """
        const express = require('express')
        const app = express()
        app.use(express.json())
        app.all('/items/:id', (request, response) => {
          console.log('item', request.params.id)
          response.status(202).json({ id: request.params.id, query: request.query, body: request.body })
        })
        app.listen(process.env.PORT || 9000, '0.0.0.0')
    """
    files = {
        "scf_bootstrap": "#!/bin/bash\nexec node app.js\n",
        "app.js": code,
        **web.node_modules("express"),
    }
    ask = new_web(files, runtime="Nodejs18.15")
    answer = ask("PUT", "/items/7?a=b", json={"c": "ü"})
    assert answer.status_code == 202
    assert answer.json() == {"id": "7", "query": {"a": "b"}, "body": {"c": "ü"}}
    assert "item 7" in log(scf, ask.name)["Log"]


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_go(scf, new_web, tmp_path):
    program = tmp_path / "server"
    env = clean_environment(CGO_ENABLED="0")
    build = ["go", "build", "-o", program, "./web"]
    subprocess.run(build, cwd=ROOT / "tests/go", check=True, timeout=600, env=env)
    start = "#!/bin/bash\nchmod +x server 2>/dev/null\nexec ./server\n"
    ask = new_web({"scf_bootstrap": start, "server": program.read_bytes()}, runtime="Go1")
    answer = ask("POST", "/x/y?z=1", data="body")
    assert (answer.status_code, answer.text) == (200, "POST /x/y?z=1 body")
    assert "asked for /x/y" in log(scf, ask.name)["Log"]


WEBSOCKETS = """
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))
from websockets.sync.server import serve

def echo(socket):
    print("opened", socket.request.path, flush=True)
    for message in socket:
        socket.send(message + message)

with serve(echo, "0.0.0.0", int(os.environ["PORT"])) as server:
    server.serve_forever()
"""


def websockets():
    return {
        "scf_bootstrap": "#!/bin/bash\nexec python3 -u app.py\n",
        "app.py": WEBSOCKETS,
        **web.vendored("websockets"),
    }


def test_websockets(scf, server, new_web):
    from websockets.sync.client import connect

    files = websockets()
    ask = new_web(files, ProtocolType="WS", ProtocolParams={"WSParams": {"IdleTimeOut": 10}})
    got = call(scf, "GetFunction", FunctionName=ask.name)
    assert (got["ProtocolType"], got["ProtocolParams"]["WSParams"]["IdleTimeOut"]) == ("WS", 10)
    place = f"ws://127.0.0.1:{server.port}/_cosette/url/{ask.id}/chat?a=b"
    with connect(place, proxy=None) as line:
        for text in ("one", "ü" * 70_000):
            line.send(text)
            assert line.recv() == text + text
    entry = log(scf, ask.name)
    assert "opened /chat?a=b" in entry["Log"]
    assert json.loads(entry["RetMsg"])["statusCode"] == 101
    # One that does not say so has none.
    plain = new_web(files)
    with pytest.raises(Exception, match="426|HTTP"):
        connect(f"ws://127.0.0.1:{server.port}/_cosette/url/{plain.id}/", proxy=None)


def test_a_websocket_in_which_nothing_is_said_is_ended(scf, server, new_web):
    from websockets.exceptions import ConnectionClosedError
    from websockets.sync.client import connect

    ask = new_web(websockets(), ProtocolType="WS", ProtocolParams={"WSParams": {"IdleTimeOut": 10}})
    with connect(f"ws://127.0.0.1:{server.port}/_cosette/url/{ask.id}/", proxy=None) as line:
        with pytest.raises(ConnectionClosedError):
            line.recv()
    entry = log(scf, ask.name)
    assert entry["RetCode"] == 455
    assert "nothing was said for 10 seconds" in entry["Log"]


def failure(answer):
    document = answer.json()
    assert document["statusCode"] == answer.status_code
    assert document["requestId"] == answer.headers["X-Scf-Request-Id"]
    return answer.status_code, document["errorMessage"]


def test_failures(scf, new_web):
    ask = new_web(Timeout=1)
    who = ask("GET", "/echo/x").json()["who"]
    assert failure(ask("GET", "/hang")) == (433, "Invoking task timed out after 1 seconds")
    entry = log(scf, ask.name)
    assert (entry["RetCode"], "hangs" in entry["Log"]) == (433, True)
    assert ask("GET", "/echo/x").json()["who"] != who, "it has ended"
    status, text = failure(ask("GET", "/exit"))
    assert (status, text.startswith("User process exit when running")) == (439, True)
    # Its own failures are its own answers.
    assert ask("GET", "/nothing").status_code == 404


def test_memory(new_web):
    ask = new_web()
    assert failure(ask("GET", "/eat")) == (434, "Memory limit of 256 MB reached")
    assert ask("GET", "/echo/x").status_code == 201


def test_sizes(new_web):
    ask = new_web()
    most = 6 << 20
    assert ask("GET", f"/large/{most}").content == b"x" * most
    assert ask("POST", "/size", data=b"x" * most).text == str(most)
    assert failure(ask("POST", "/size", data=b"x" * (most + 1)))[0] == 406
    # The length of what GET would have.
    assert ask("HEAD", "/size").headers["Content-Length"] == str(7 << 20)
    with pytest.raises(Exception):
        # The head is there before it is known.
        assert len(ask("GET", f"/large/{most + 65536}").content) > most


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({"app.py": ""}, 445, "there is no file scf_bootstrap in"),
        ({"scf_bootstrap": "#!/bin/bash\necho here\nexit 3\n"}, 405, "exited during initialization"),
        ({"scf_bootstrap": "#!/bin/bash\necho here\nsleep 60\n"}, 446, "nothing listens at port 9000"),
    ],
)
def test_what_does_not_start(scf, new_web, files, status, words):
    ask = new_web(files, InitTimeout=3)
    found, text = failure(ask("GET", "/"))
    # Where port 9000 is somebody else's that may be the reason.
    assert found in (status, 446) and words in text, text
    assert ("\nhere\n" in log(scf, ask.name)["Log"]) == ("scf_bootstrap" in files)


def test_what_web_functions_do_not_have(scf, new_web, new_function):
    ask = new_web()
    for action, more in (
        ("Invoke", {}),
        ("InvokeFunction", {}),
        ("CreateTrigger", {"Type": "timer", "TriggerName": "t", "TriggerDesc": "0 0 8 * * * *"}),
    ):
        with pytest.raises(TencentCloudSDKException) as refused:
            call(scf, action, FunctionName=ask.name, **more)
        assert refused.value.code == "UnsupportedOperation", action
    with pytest.raises(TencentCloudSDKException) as refused:
        functions.deploy(
            scf, new_function(), {"index.py": ""}, InstanceConcurrencyConfig={"MaxConcurrency": 2}
        )
    assert refused.value.code == "UnsupportedOperation"


PLAIN = """
from http.server import BaseHTTPRequestHandler, HTTPServer
import os

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"NUMBER")

HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_new_code_is_what_answers(scf, new_web):
    start = "#!/bin/bash\nexec python3 app.py\n"
    package = lambda number: {"scf_bootstrap": start, "app.py": PLAIN.replace("NUMBER", number)}
    ask = new_web(package("one"))
    assert ask("GET", "/").text == "one"
    call(scf, "UpdateFunctionCode", FunctionName=ask.name, ZipFile=functions.base64_zip(package("two")))
    assert ask("GET", "/").text == "two"


PROGRAM = """#!/usr/bin/env python3
import os, urllib.request

api = f"http://{os.environ['SCF_RUNTIME_API']}:{os.environ['SCF_RUNTIME_API_PORT']}/runtime/"
ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
ask(api + "init/ready", b"")
while True:
    ask(api + "invocation/next").read()
    ask(api + "invocation/response", b'"done"')
"""


@pytest.mark.skipif(ISOLATION == "off", reason="functions see the machine's own paths")
def test_interpreters_are_where_the_service_has_them(server, new_web):
    for runtime, start in (
        ("Python3.9", "exec /var/lang/python39/bin/python3.9 app.py"),
        ("Python3.10", "exec /var/lang/python310/bin/python3.10 app.py"),
        ("Nodejs16.13", "/var/lang/node16/bin/node --version >/dev/null && exec python3 app.py"),
    ):
        ask = new_web({"scf_bootstrap": f"#!/bin/bash\n{start}\n", "app.py": PLAIN}, runtime=runtime)
        answer = ask("GET", "/")
        if "functions are not isolated" in server.log_text():
            pytest.skip("the kernel refuses namespaces")
        assert answer.text == "NUMBER", runtime


def test_by_the_command_line(server, tmp_path, new_function):
    name = new_function()
    folder = tmp_path / "site"
    folder.mkdir()
    text = PLAIN.replace("NUMBER", "one")
    (folder / "scf_bootstrap").write_text("#!/bin/bash\nexec python3 app.py\n")
    (folder / "app.py").write_text(text)
    deployed = server.cli("function", "deploy", folder, "--name", name, "--runtime", "Python3.9")
    url = deployed.stdout.strip()
    session = web.open_session()
    assert session.get(url).text == "one"
    assert server.cli("function", "url", name).stdout.strip() == url
    (folder / "app.py").write_text(PLAIN.replace("NUMBER", "two"))
    again = server.cli("function", "deploy", folder, "--name", name, "--runtime", "Python3.9")
    assert again.stdout.strip() == url
    assert session.get(url).text == "two"
    server.cli("function", "url", name, "--auth", "cam")
    assert session.get(url).status_code == 401
    server.cli("function", "url", name, "--delete")
    assert session.get(url).status_code == 404
    refused = server.cli("function", "url", name, "--delete", check=False)
    assert (refused.returncode, "has no URL" in refused.stderr) == (1, True)


def test_what_the_package_is_decides_what_is_made(server, scf, tmp_path, new_function):
    def zipped(name, files):
        path = tmp_path / name
        path.write_bytes(functions.zip_of(files))
        return path

    name = new_function()
    site = {"scf_bootstrap": "#!/bin/bash\nexec python3 app.py\n", "app.py": PLAIN.replace("NUMBER", "zip")}
    deployed = server.cli("function", "deploy", zipped("site.zip", site), "--name", name)
    assert "web function (Type HTTP); runtime CustomRuntime" in deployed.stderr
    got = call(scf, "GetFunction", FunctionName=name)
    assert (got["Type"], got["Runtime"]) == ("HTTP", "CustomRuntime")
    assert web.open_session().get(deployed.stdout.strip()).text == "zip"

    name = new_function()
    program = zipped("program.zip", {"bootstrap": PROGRAM})
    deployed = server.cli("function", "deploy", program, "--name", name)
    assert "CustomRuntime function; runtime CustomRuntime" in deployed.stderr
    assert (deployed.stdout, call(scf, "GetFunction", FunctionName=name)["Type"]) == ("", "Event")
    assert server.cli("function", "invoke", name).stdout.strip() == '"done"'
    # It stays what it is.
    again = server.cli("function", "deploy", zipped("other.zip", {**site, "bootstrap": PROGRAM}), "--name", name)
    assert "no web function and stays that" in again.stderr
    assert server.cli("function", "invoke", name).stdout.strip() == '"done"'

    handler = zipped("handler.zip", {"index.py": "def main_handler(event, context): return 1"})
    refused = server.cli("function", "deploy", handler, "--name", new_function(), check=False)
    assert (refused.returncode, "needs --runtime and --handler" in refused.stderr) == (2, True)
