"""The network of an isolated function: names, IPv6, and what becomes of functions where the kernel has none for them."""

import contextlib
import json
import shutil
import socket
import threading

import pytest

from support import functions
from test_isolation import NETWORK, house, pytestmark, run, server  # noqa: F401

# Namespaces are to be had, but for networks.
NO_NETWORKS = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$@\""


@contextlib.contextmanager
def saying(word, host):
    """A server of the machine's that says a word; its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as one:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with one.accept()[0] as called:
                        called.sendall(word.encode())

        threading.Thread(target=serve, daemon=True).start()
        yield one.getsockname()[1]


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="the machine has no IPv6")
def test_loopback_of_ipv6_is_the_machines_too(server, run):
    with saying("by 6", "::1") as by_6, saying("by 4", "127.0.0.1") as by_4:
        assert run(NETWORK + f"result = to('::1', {by_6})") == "by 6"
        # `localhost` is both addresses.
        assert run(NETWORK + f"result = to('::1', {by_4})") == "by 4"
    own = NETWORK + (
        "import threading\n"
        "one = socket.create_server(('::1', 9001), family=socket.AF_INET6)\n"
        "threading.Thread(target=lambda: one.accept()[0].sendall(b'own'), daemon=True).start()\n"
        "result = to('::1', 9001)"
    )
    assert run(own) == "own"
    # The server's own port is answered, but for what is not for functions; called or asked for as of a proxy.
    for proxies in ("", ", http=os.environ['HTTP_PROXY']"):
        ask = NETWORK + f"result = [admin('http://[::1]:{server.port}/_cosette/' + path{proxies}) for path in ('folder', 'packages/none')]"
        assert run(ask) == [403, 404]


@pytest.mark.skipif(not has_ipv6(), reason="the machine has no IPv6")
def test_elsewhere_by_ipv6_is_refused_and_told(server, run):
    assert run(NETWORK + "result = to('2001:db8::7', 5432)") in ("closed", "ConnectionResetError")
    record = server.admin("GET", "invocations?max=1")["invocations"][0]
    assert record["refused"] == ["[2001:db8::7]:5432"], record


@pytest.mark.skipif(shutil.which("getent") is None, reason="getent is not installed")
def test_a_name_has_one_address_whoever_asks(run):
    ask = """
import socket, subprocess
names = ['one.example.com', 'two.example.com']
by_libc = [subprocess.run(['getent', 'ahostsv4', name], capture_output=True, text=True).stdout.split()[0] for name in reversed(names)]
result = by_libc, [socket.gethostbyname(name) for name in reversed(names)]
"""
    by_libc, by_python = run(ask)
    assert by_libc == by_python and len(set(by_libc)) == 2


LOOK = """
import os, urllib.request, urllib.error

def get(url):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code

networks = open('/proc/net/dev').read().count(':')
result = os.getcwd(), os.path.exists(%r), networks, get('https://b-1250000000.cos.ap-guangzhou.myqcloud.com/'), get('http://www.example.com/')
"""


def test_where_there_are_no_networks_functions_share_the_machines(house):
    with house.server(before=["unshare", "-Ur", "sh", "-c", NO_NETWORKS, "sh"]) as server:
        invoke = house.deploy(server)
        secret = server.data_dir / "ca/ca.key"
        assert secret.exists()
        machines = open("/proc/net/dev").read().count(":")
        for _ in range(2):
            answer = invoke(LOOK % str(secret))
            # All else is isolated, and calls come home all the same.
            where, seen, networks, home, elsewhere = json.loads(answer["RetMsg"])
            assert (where, seen, networks) == ("/var/user", False, machines), answer
            assert home in (403, 404) and elsewhere == 403, answer
            assert "[egress] refused www.example.com:80" in functions.logs(functions.client(server), "trial")[-1]["Log"]
            invoke("import os; os._exit(1)")
        said = [line for line in server.log_text().splitlines() if "functions share the machine's network" in line]
        assert len(said) == 1 and "the kernel refuses namespaces" in said[0], said
        assert "not isolated" not in server.log_text()
