"""The life of an instance, as its function sees it: what it is given, what it keeps, when another takes its place."""

import concurrent.futures
import json
import pathlib
import re
import socket

import pytest

from support.functions import base64_zip, call, client, deploy
from support.instance import ISOLATION, Instance
from support.process import gone


def invoke(scf, name, event=None, **more):
    return call(scf, "Invoke", FunctionName=name, ClientContext=json.dumps(event or {}), LogType="Tail", **more)["Result"]


def test_the_environment_is_the_services(server, scf, new_function):
    """scf.md 5.9, but for what docs/functions.md says."""
    name = new_function()
    code = "import os\ndef main_handler(event, context):\n    return dict(os.environ), os.getcwd()\n"
    deploy(scf, name, {"index.py": code}, env={"MINE": "1"})
    told, where = json.loads(invoke(scf, name)["RetMsg"])
    wanted = {
        "MINE": "1",
        "TENCENTCLOUD_RUNENV": "SCF",
        "TENCENTCLOUD_REGION": server.region,
        "TENCENTCLOUD_APPID": server.appid,
        "TENCENTCLOUD_UIN": server.uin,
        "TENCENTCLOUD_TZ": "UTC",
        "SCF_RUNTIME": "Python3.9",
        "SCF_FUNCTIONNAME": name,
        "SCF_FUNCTIONVERSION": "$LATEST",
        "SCF_NAMESPACE": "default",
        "SCF_ASYNC_RUN_ENABLE": "0",
        "_SCF_SERVER_PORT": "28902",
        "USER": "qcloud",
        "LOGNAME": "qcloud",
        "SHELL": "/bin/bash",
        "SHLVL": "3",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "x",
        "USER_CODE_ROOT": f"{where}/",
        "PWD": where,
    }
    if where == "/var/user":
        wanted |= {
            "HOME": "/home/qcloud",
            "TMPDIR": "/tmp",
            "PYTHONPATH": "/var/user:/opt",
            "NODE_PATH": "/var/user:/var/user/node_modules:/opt:/opt/node_modules",
        }
    assert {key: told.get(key) for key in wanted} == wanted
    for key in ("SECRETID", "SECRETKEY", "SESSIONTOKEN"):
        assert told[f"TENCENTCLOUD_{key}"]
    assert told["HOSTNAME"]
    assert told["PATH"].startswith("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    # Those of a custom runtime.
    assert not {"SCF_RUNTIME_API", "SCF_RUNTIME_API_PORT", "_HANDLER"} & set(told)


LINE = len("line 0000000\n")


def test_the_log_has_an_end_and_says_what_is_missing(scf, new_function):
    name = new_function()
    code = """
import sys

def main_handler(event, context):
    for n in range(event["lines"]):
        print(f"line {n:07}", file=(sys.stdout, sys.stderr)[n % 2])
    return "all"
"""
    deploy(scf, name, {"index.py": code}, Timeout=60)
    result = invoke(scf, name, {"lines": 30_000})
    assert result["RetMsg"] == '"all"'
    assert len(result["Log"].encode()) <= 4096 and result["Log"].rstrip().endswith("MB")
    (entry,) = call(scf, "GetFunctionLogs", FunctionName=name)["Data"]
    assert 200 << 10 < len(entry["Log"]) <= 256 << 10
    lines = re.findall(r"^line (\d{7})$", entry["Log"], re.M)
    assert lines == [f"{n:07}" for n in range(len(lines))], "in order, whichever stream they went by"
    (missing,) = re.findall(r"^\[(\d+) more bytes of output were not kept\]$", entry["Log"], re.M)
    # A line that was begun is cut anywhere.
    assert 0 <= (30_000 - len(lines)) * LINE - int(missing) < LINE


KEPT = """
import os, socket, uuid

WHO = str(uuid.uuid4())
print("is loaded")

def main_handler(event, context):
    if event.get("port"):
        with socket.create_connection(("127.0.0.1", event["port"])) as line:
            line.recv(1)
    if event.get("note"):
        with open("/tmp/note", "w") as note:
            note.write(event["note"])
    note = os.path.exists("/tmp/note") and open("/tmp/note").read()
    return {"who": WHO, "note": note, "word": os.environ.get("WORD"), "code": CODE}

CODE = 1
"""


@pytest.fixture
def gate():
    """Where a function says that it runs, and is held."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def test_one_that_runs_ends_its_event_and_a_new_one_has_what_is_new(scf, new_function, gate):
    name = new_function()
    deploy(scf, name, {"index.py": KEPT}, Timeout=60, env={"WORD": "old"})
    told = lambda result: json.loads(result["RetMsg"])
    cold, warm = invoke(scf, name), invoke(scf, name)
    assert told(cold) == told(warm)
    for result, is_cold in ((cold, True), (warm, False)):
        assert ("Init Report " in result["Log"], "is loaded" in result["Log"]) == (is_cold, is_cold)
    changes = (
        ("UpdateFunctionCode", {"ZipFile": base64_zip({"index.py": KEPT.replace("CODE = 1", "CODE = 2")})}),
        ("UpdateFunctionConfiguration", {"Environment": {"Variables": [{"Key": "WORD", "Value": "new"}]}}),
    )
    before = told(cold)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for action, change in changes:
            running = pool.submit(invoke, scf, name, {"port": gate.getsockname()[1]})
            held = gate.accept()[0]
            call(scf, action, FunctionName=name, **change)
            after = told(invoke(scf, name))
            assert after["who"] != before["who"] and (after["code"], after["word"]) != (before["code"], before["word"])
            held.close()
            assert told(running.result()) == before, "it had begun before"
            assert told(invoke(scf, name)) == after
            before = after
    assert (before["code"], before["word"]) == (2, "new")


@pytest.mark.skipif(ISOLATION == "off", reason="they see the machine's /tmp")
def test_what_it_keeps_in_tmp_is_its_own(server, scf, new_function, gate):
    name = new_function()
    deploy(scf, name, {"index.py": KEPT}, Timeout=60)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = []
        for note in ("one", "two"):
            both.append(pool.submit(invoke, scf, name, {"port": gate.getsockname()[1], "note": note}))
            both.append(gate.accept()[0])
        if "functions are not isolated" in server.log_text():
            pytest.skip("the kernel refuses namespaces")
        both[1].close(), both[3].close()
        one, two = (json.loads(both[n].result()["RetMsg"]) for n in (0, 2))
    assert one["who"] != two["who"] and (one["note"], two["note"]) == ("one", "two")
    again = json.loads(invoke(scf, name)["RetMsg"])
    assert again["note"] == {one["who"]: "one", two["who"]: "two"}[again["who"]]


def test_one_without_work_ends_after_five_minutes():
    """Its process is gone, and what it had started; the next event is a cold start."""
    code = """
import os, subprocess
child = subprocess.Popen(["sleep", "86400"])
def main_handler(event, context):
    return os.getpid(), child.pid
"""
    # So that its numbers are the machine's.
    with Instance(None, "--isolation", "off") as server:
        scf = client(server)
        deploy(scf, "idle", {"index.py": code})

        def run():
            result = invoke(scf, "idle")
            return json.loads(result["RetMsg"]), "Coldstart" in result["Log"]

        def alive(pids):
            return [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]

        server.admin("POST", "clock", {"freeze": True})
        first, is_cold = run()
        assert is_cold
        # Each event lets it wait anew.
        for _ in range(3):
            server.admin("POST", "clock", {"advance": "299s"})
            assert run() == (first, False)
        assert alive(first) == first
        server.admin("POST", "clock", {"advance": "300s"})
        assert all(gone(pid) for pid in first)
        second, is_cold = run()
        assert is_cold and second != first
