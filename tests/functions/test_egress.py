"""Calls of functions to elsewhere are refused and told, unless they are allowed; and the way home is open to other programs."""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.request

import pytest

from support import functions, web
from support.clients import cos_client
from support.instance import Instance, cosette
from support.networks import server  # noqa: F401

PYTHON = """
import http.client, json, os, socket, urllib.error, urllib.request

def get(url):
    try:
        return urllib.request.urlopen(url, timeout=20).read().decode()
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except Exception as error:
        return str(error)

def bare(kind, host, port):
    try:
        connection = kind(host, port, timeout=20)
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except Exception as error:
        return type(error).__name__

def raw(host, port):
    try:
        with socket.create_connection((host, port), timeout=20) as one:
            return one.recv(10).decode()
    except OSError as error:
        return type(error).__name__

def by_ipv6(host):
    try:
        return socket.getaddrinfo(host, 80, socket.AF_INET6)
    except OSError as error:
        return str(error)

def main_handler(event, context):
    return [eval(text) for text in event]
"""

NODE = """
const http = require('http'), http2 = require('http2'), https = require('https'), net = require('net'), tls = require('tls');
const get = (from, url) => new Promise((resolve) => {
  const request = from.get(url, { timeout: 20000 }, (response) => {
    let text = '';
    response.on('data', (piece) => (text += piece)).on('end', () => resolve([response.statusCode, text]));
  });
  request.on('error', (error) => resolve(error.name));
});
const raw = (host, port) => new Promise((resolve) => {
  const one = net.connect(port, host);
  one.on('error', (error) => resolve(error.name)).on('end', () => resolve('')).on('data', (data) => resolve(String(data)));
});
const secure = (...where) => new Promise((resolve) => {
  const one = tls.connect(...where, () => resolve('connected'));
  one.on('error', (error) => resolve(error.name)).on('close', () => resolve('closed'));
});
const second = (url) => new Promise((resolve) => http2.connect(url).on('error', (error) => resolve(error.name)));
exports.main_handler = async (event) => Promise.all(event.map((text) => eval(text)));
"""


@pytest.fixture
def neighbour():
    """A server of the user's own on this machine; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"neighbour {self.headers['Host']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_port
        one.shutdown()


def run(scf, name, event):
    answer = functions.call(scf, "Invoke", FunctionName=name, ClientContext=json.dumps(event))["Result"]
    assert answer["InvokeResult"] == 0, answer
    return json.loads(answer["RetMsg"]), answer["FunctionRequestId"]


def record(server, request_id):
    records = server.admin("GET", "invocations")["invocations"]
    return next(record for record in records if record["requestId"] == request_id)


@pytest.fixture
def python(scf, new_function):
    name = new_function("egress")
    functions.deploy(scf, name, {"index.py": PYTHON}, Timeout=60)
    return name


def test_elsewhere_is_refused_and_told(server, scf, python):
    calls = [
        "get('https://www.example.com/x')",
        "get('http://www.example.com/x')",
        "bare(http.client.HTTPSConnection, 'bare.example.com', 443)",
        "bare(http.client.HTTPConnection, 'bare.example.com', 80)",
        "bare(http.client.HTTPSConnection, '203.0.113.7', 443)",
        "raw('db.example.com', 5432)",
        "raw('203.0.113.9', 3306)",
        "bare(http.client.HTTPConnection, '169.254.169.254', 80)",
    ]
    answers, request_id = run(scf, python, calls)
    assert "403" in answers[0] and answers[1][0] == 403, answers
    assert "serve --allow-egress www.example.com:80" in answers[1][1]
    assert answers[2].startswith("SSL") and answers[4].startswith("SSL"), answers
    assert all("does not pass requests on" in answers[at] for at in (3, 7)), answers
    assert all(answer in ("", "ConnectionResetError") for answer in answers[5:7]), answers
    found = record(server, request_id)
    assert found["refused"] == [
        "www.example.com:443",
        "www.example.com:80",
        "bare.example.com:443",
        "bare.example.com:80",
        "203.0.113.7:443",
        "db.example.com:5432",
        "203.0.113.9:3306",
        "169.254.169.254:80",
    ]
    for target in found["refused"]:
        assert f"[egress] refused {target}: only the services that are here" in found["log"]
    # The next invocation of the instance has a record of its own.
    _, request_id = run(scf, python, ["get('http://www.example.org/')"])
    assert record(server, request_id)["refused"] == ["www.example.org:80"]


# Calls out once it has the whole of a request.
SERVER = """
import os, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print("begins", flush=True)
        self.rfile.read(int(self.headers["Content-Length"]))
        try:
            urllib.request.urlopen("http://www.example.com/", timeout=20)
        except urllib.error.HTTPError as error:
            self.send_response(error.code)
            self.end_headers()

ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_one_of_several_requests_is_refused(tmp_path):
    with Instance(None, log=tmp_path / "log") as server, contextlib.ExitStack() as stack:
        scf = functions.client(server)
        files = {"scf_bootstrap": "#!/bin/bash\nexec python3 app.py\n", "app.py": SERVER}
        web.deploy_web(scf, "web", files, InstanceConcurrencyConfig={"DynamicEnabled": "FALSE", "MaxConcurrency": 2})
        ask = web.Url(server, web.url(scf, "web"))
        first = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)))
        first.putrequest("POST", "/", skip_host=True)
        first.putheader("Host", ask.host)
        first.putheader("Content-Length", "1")
        first.endheaders()
        while not any("begins" in entry["Log"] for entry in functions.logs(scf, "web")):
            pass
        second = ask("POST")
        first.send(b"x")
        answer = first.getresponse()
        assert (answer.status, second.status_code) == (403, 403)
        ids = [answer.headers["X-Scf-Request-Id"], second.headers["X-Scf-Request-Id"]]
        told = [line for line in server.log_text().splitlines() if "refused a function's call" in line]
        # The first ran during both calls, the second not any more during the other.
        assert [[id in line for id in ids] for line in told] == [[True, True], [True, False]], told
        assert "one of " in told[0] and "one of " not in told[1]


def test_elsewhere_is_refused_in_node(server, scf, new_function):
    name = new_function("egress")
    functions.deploy(scf, name, {"index.js": NODE}, runtime="Nodejs18.15", Timeout=60)
    calls = [
        "get(https, 'https://a.example.com/')",
        "get(http, 'http://b.example.com/')",
        "raw('c.example.com', 25)",
        "get(https, 'https://d.example.com:8443/')",
        "secure(8443, 'e.example.com', {})",
        "secure({ host: '203.0.113.7', port: 443 })",
        "second('https://f.example.com')",
        "fetch('https://g.example.com:8443/').catch((error) => error.name)",
    ]
    answers, request_id = run(scf, name, calls)
    assert answers[0] == "Error" and answers[1][0] == 403 and answers[2] in ("", "Error"), answers
    found = record(server, request_id)
    assert not {"connected", "closed"}.intersection(map(str, answers[3:6])), answers
    assert sorted(found["refused"]) == [
        "203.0.113.7:443",
        "a.example.com:443",
        "b.example.com:80",
        "c.example.com:25",
        "d.example.com:8443",
        "e.example.com:8443",
        "f.example.com:443",
        "g.example.com:8443",
    ]
    assert found["log"].count("[egress] refused ") == 8


def test_node_comes_home_by_tls_at_any_port(server, scf, new_function):
    name = new_function("egress")
    functions.deploy(scf, name, {"index.js": NODE}, runtime="Nodejs18.15", Timeout=60)
    host = "b-1250000000.cos.ap-guangzhou.myqcloud.com"
    calls = [
        f"get(https, 'https://{host}:8443/')",
        f"get(https, 'https://{host}/')",
        f"secure(8443, '{host}', {{ servername: '{host}' }})",
        f"fetch('https://{host}:8443/').then((answer) => answer.status)",
    ]
    answers, request_id = run(scf, name, calls)
    assert answers[0][0] == answers[1][0] == answers[3] == 404 and answers[2] == "connected", answers
    assert record(server, request_id)["refused"] == []


def test_this_machine_is_no_elsewhere(server, scf, python, neighbour):
    calls = [
        f"get('http://127.0.0.1:{neighbour}/')",
        f"bare(http.client.HTTPConnection, 'localhost', {neighbour})",
        # A client that sends even this to the proxy.
        f"urllib.request.build_opener(urllib.request.ProxyHandler({{'http': os.environ['http_proxy']}}))"
        f".open(urllib.request.Request('http://127.0.0.1:{neighbour}/')).read().decode()",
    ]
    answers, request_id = run(scf, python, ["os.environ.pop('no_proxy') and os.environ.pop('NO_PROXY') and 0", *calls])
    host = f"127.0.0.1:{neighbour}"
    assert answers[1:] == [f"neighbour {host}", f"neighbour localhost:{neighbour}", f"neighbour {host}"]
    assert record(server, request_id)["refused"] == []


def test_what_is_allowed_is_passed_on(neighbour):
    # Not a loopback address in its usual form, so it takes an allowance; where it leads is on this machine.
    with Instance(None, "--allow-egress", f"127.1:{neighbour}") as server:
        scf = functions.client(server)
        functions.deploy(scf, "egress", {"index.py": PYTHON}, Timeout=60)
        calls = [
            f"get('http://127.1:{neighbour}/')",
            f"bare(http.client.HTTPConnection, '127.1', {neighbour})",
            "get('http://127.1:1/')",
        ]
        answers, request_id = run(scf, "egress", calls)
        assert answers[:2] == [f"neighbour 127.1:{neighbour}"] * 2
        assert answers[2][0] == 403
        assert record(server, request_id)["refused"] == ["127.1:1"]
        assert server.stop() == 0


def test_a_bound_name_is_home_whatever_is_allowed():
    with Instance(None, "--allow-egress", "*") as server:
        scf, cos = functions.client(server), cos_client(server)
        functions.deploy(scf, "egress", {"index.py": PYTHON}, Timeout=60)
        bucket = f"bound-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        rule = {"Status": "ENABLED", "Name": "files.example.com", "Type": "REST"}
        cos.put_bucket_domain(Bucket=bucket, DomainConfiguration={"DomainRule": [rule]})
        answers, _ = run(scf, "egress", ["get('http://Files.example.com/')"])
        assert answers[0][0] == 403 and "AccessDenied" in answers[0][1], answers
        assert server.stop() == 0


def test_other_programs_come_home_by_https(server, new_bucket):
    where = cosette("ca", "--data-dir", server.data_dir).stdout.strip()
    assert open(where).read() == cosette("ca", "--data-dir", server.data_dir, "--pem").stdout
    name = new_bucket()
    client = cos_client(
        server, "proxy", Scheme="https", Proxies={"https": server.url}, VerifySSL=where
    )
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="k", Body=b"by https")
    assert client.get_object(Bucket=name, Key="k")["Body"].get_raw_stream().read() == b"by https"


def test_others_are_not_passed_on(server, neighbour):
    for target in ("www.example.com:443", f"127.0.0.1:{neighbour}"):
        tunnel = http.client.HTTPConnection("127.0.0.1", server.port)
        tunnel.request("CONNECT", target)
        answer = tunnel.getresponse()
        assert answer.status == 403 and target.encode() in answer.read()
    # Nor in a tunnel to a service.
    context = ssl.create_default_context(cadata=cosette("ca", "--data-dir", server.data_dir, "--pem").stdout)
    inside = http.client.HTTPSConnection("127.0.0.1", server.port, context=context)
    inside.set_tunnel("cos.ap-guangzhou.myqcloud.com", 443)
    inside.request("GET", "/", headers={"Host": "www.example.com"})
    assert inside.getresponse().status == 403
    with pytest.raises(ssl.SSLCertVerificationError):
        other = http.client.HTTPSConnection("127.0.0.1", server.port)
        other.set_tunnel("cos.ap-guangzhou.myqcloud.com", 443)
        other.request("GET", "/")


CONNECT = b"CONNECT cos.ap-guangzhou.myqcloud.com:443 HTTP/1.1\r\nHost: cos.ap-guangzhou.myqcloud.com\r\n\r\n"


def connect(tunnel):
    """The answer's status."""
    tunnel.sendall(CONNECT)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = tunnel.recv(1)
        assert piece, head
        head += piece
    return int(head.split()[1])


def test_tunnels_in_tunnels_are_bounded(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as tunnel:
        assert [connect(tunnel) for _ in range(5)] == [200, 200, 200, 200, 400]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as tunnel:
        assert connect(tunnel) == 200
        with contextlib.suppress(ConnectionError):
            tunnel.sendall(b"PROXY TCP4 127.0.0.1 198.18.0.1 1 80\r\n" * 100_000)
            assert tunnel.recv(1) == b""
    assert server.health()


def test_idle_tunnels_do_not_hold_a_stop():
    with Instance(None) as server, contextlib.ExitStack() as tunnels:
        opened = [tunnels.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60)) for _ in range(3)]
        assert [connect(tunnel) for tunnel in opened] == [200, 200, 200]
        # One that has not yet begun with TLS, one that has, and one that has said half of a line.
        context = ssl.create_default_context(cadata=urllib.request.urlopen(f"{server.url}/_cosette/ca").read().decode())
        secured = tunnels.enter_context(context.wrap_socket(opened[1], server_hostname="cos.ap-guangzhou.myqcloud.com"))
        opened[2].sendall(b"PROXY TCP4 ")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        assert opened[0].recv(1) == b"" and secured.recv(1) == b""


def test_the_proxy_does_not_call_itself(server, scf, python):
    answers, _ = run(scf, python, ["get(os.environ['http_proxy'] + '/')", "by_ipv6('www.example.com')"])
    assert "[Errno" in answers[1], answers
    # In a network of its own the port is nobody's on this machine.
    assert answers[0][0] == 502 and any(why in answers[0][1] for why in ("is the proxy itself", "refused")), answers


def test_a_name_that_leads_here_runs_no_folder(server):
    page = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Host": f"page.example.com:{server.port}", "Content-Type": "application/json"}
    page.request("POST", "/_cosette/folder", json.dumps({"function": "f", "path": "/"}), headers)
    answer = page.getresponse()
    assert answer.status == 403 and b"localhost" in answer.read()
