"""What a message says of one connection goes no further (RFC 9110, 7.6.1): to web functions, and from functions."""

import http.client
import http.server
import json
import threading

import pytest

from support import functions, web

SERVER = """
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b""
        if self.headers["Transfer-Encoding"] == "chunked":
            while length := int(self.rfile.readline(), 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        text = json.dumps({"headers": {name.lower(): value for name, value in self.headers.items()}, "body": body.decode()}).encode()
        self.send_response(200)
        for name, value in [("Connection", "X-Private"), ("X-Private", "1"), ("X-Own", "2"), ("Content-Length", str(len(text)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET
"""

# What a client says of its connection, and what it says to all.
SAID = {"Connection": "X-Hop, x-scf-name, Host", "X-Hop": "1", "Keep-Alive": "timeout=5", "X-All": "2", "Transfer-Encoding": "chunked"}
GONE = {"x-hop", "keep-alive"}


def check(answer):
    assert answer.status == 200 and answer.getheader("X-Own") == "2", answer.read()
    assert answer.getheader("X-Private") is None
    said = json.loads(answer.read())
    assert not GONE.intersection(said["headers"]) and "x-hop" not in said["headers"].get("connection", "").lower()
    assert said["headers"]["x-all"] == "2" and said["body"] == "hello"
    return said["headers"]


def test_a_web_function(server, scf, new_function):
    name = new_function("hops")
    start = "\nhttp.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler).serve_forever()\n"
    web.deploy_web(scf, name, {"scf_bootstrap": "#!/bin/bash\nexec python3 -u app.py\n", "app.py": SERVER + start})
    ask = web.Url(server, web.url(scf, name))
    for method in ("GET", "POST"):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        client.request(method, "/", [b"hello"], {**SAID, "Host": ask.host}, encode_chunked=True)
        headers = check(client.getresponse())
        # Those of the service are not the client's to take away.
        assert (headers["x-scf-name"], headers["host"]) == (name, ask.host)


FUNCTION = """
import http.client, os

def main_handler(event, context):
    proxy = os.environ["HTTP_PROXY"].rsplit(":", 1)
    client = http.client.HTTPConnection("127.0.0.1", int(proxy[1]), timeout=60)
    client.request("GET", event["url"], [b"hello"], event["headers"], encode_chunked=True)
    answer = client.getresponse()
    return [answer.status, dict(answer.headers), answer.read().decode()]
"""


@pytest.fixture
def neighbour():
    """The same server, as one of the user's own on this machine; its port."""
    scope = {}
    exec(SERVER, scope)  # noqa: S102
    scope["Handler"].log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), scope["Handler"]) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_port
        one.shutdown()


def test_a_function_that_asks_its_proxy(scf, new_function, neighbour):
    name = new_function("hops")
    functions.deploy(scf, name, {"index.py": FUNCTION}, Timeout=60)
    # The target says whom it is for, whatever is said beside it (RFC 9112, 3.2.2).
    said = {**SAID, "Host": "elsewhere.example.com", "Proxy-Authorization": "Basic eA=="}
    event = {"url": f"http://127.0.0.1:{neighbour}/", "headers": said}
    answer = functions.call(scf, "Invoke", FunctionName=name, ClientContext=json.dumps(event))["Result"]
    assert answer["InvokeResult"] == 0, answer
    status, headers, text = json.loads(answer["RetMsg"])
    said = json.loads(text)
    assert status == 200 and headers["X-Own"] == "2" and "X-Private" not in headers
    assert not {"proxy-authorization", *GONE}.intersection(said["headers"])
    assert said["headers"]["x-all"] == "2" and said["body"] == "hello"
    assert said["headers"]["host"] == f"127.0.0.1:{neighbour}"
