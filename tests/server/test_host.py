"""By what name the admin API is asked: a page whose name was made to lead here (DNS rebinding) reads nothing."""

import http.client
import json
import socket

import pytest

from support.instance import Instance


@pytest.fixture(scope="module")
def named():
    with Instance(None, "--host-name", "Build.example.com,box.example.com") as instance:
        yield instance


def asked(server, host, path="/_cosette/health", method="GET", **headers):
    """As a browser that finds `host` at the server's address."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    client.request(method, path, headers={"Host": host.format(server.port), **headers})
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def test_names_that_lead_here_for_sure(named):
    hosts = ["127.0.0.1:{}", "[::1]:{}", "localhost:{}", "x.localhost:{}", "cosette:{}", socket.gethostname(), "192.168.1.7"]
    for host in [*hosts, "build.example.com:{}", "box.example.com", "host.docker.internal:{}"]:
        status, text = asked(named, host)
        assert (status, json.loads(text)["status"]) == (200, "ok"), host


def test_a_page_whose_name_leads_here(named):
    for host in ("evil.example.com:{}", "127.0.0.1.example.com:{}", "localhost.example.com", "a.build.example.com"):
        for path in ("health", "invocations", "changes", "ca", "webhooks"):
            status, text = asked(named, host, f"/_cosette/{path}")
            assert (status, "--host-name" in json.loads(text)["error"]) == (403, True), (host, path)
    # What comes with words of its own, from a page of any name, changes nothing either.
    for host in ("evil.example.com", "127.0.0.1:{}"):
        for origin in ("http://evil.example.com", "null", "http://127.0.0.1"):
            assert asked(named, host, "/_cosette/hold", "POST", Origin=origin)[0] == 403
    assert json.loads(asked(named, "localhost", "/_cosette/hold")[1]) == {"holds": []}
    # A client that says no name is no browser.
    with socket.create_connection(("127.0.0.1", named.port), timeout=60) as client:
        client.sendall(b"GET /_cosette/health HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")


def test_other_doors_answer_to_other_names(named):
    # A link to a package, and a function's URL by path, are for whoever knows them.
    for path in ("packages/none", "url/abcdefghij/"):
        assert asked(named, "evil.example.com", f"/_cosette/{path}")[0] == 404
    # Names of the services have none of our own below them.
    for path in ("/_cosette/health", "/_console", "/_console/a", "/_console.txt"):
        status, text = asked(named, "b-1250000000.cos.ap-guangzhou.myqcloud.com", path)
        assert (status, "NoSuchBucket" in text) == (404, True), path
