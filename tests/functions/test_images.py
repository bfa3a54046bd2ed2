"""Functions of images, for which a command of this machine stands."""

import json

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, web
from support.functions import call
from support.instance import ISOLATION, Instance

SERVER = """
import json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"page " + self.path.encode())

    def do_POST(self):
        event = self.rfile.read(int(self.headers["Content-Length"]))
        print("got", self.path, self.headers["X-Scf-Name"], bool(self.headers["X-Scf-Secret-Id"]), flush=True)
        if b"wait" in event:
            print("waits", flush=True)
            asked.wait()
            event = b'"ended as asked"'
        if b"Timer" in event:
            print("by", self.headers["X-Scf-Trigger-Src"], flush=True)
        self.answer(500 if b"fail" in event else 200, event)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

def end(number, frame):
    print("got signal", number, flush=True)
    asked.set()

asked = threading.Event()
signal.signal(signal.SIGTERM, end)
server = HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler)
# Signals come to the main thread, which the server would keep.
threading.Thread(target=server.serve_forever).start()
"""

URI = "ccr.ccs.tencentyun.com/team/app:v1@sha256:00"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that has a command for an image."""
    where = tmp_path_factory.mktemp("images")
    (where / "app").mkdir()
    program = where / "app/server.py"
    program.write_text(SERVER)
    arguments = ["--image", "team/other=false", "--image", f"app=python3 {program}"]
    arguments += ["--share", str(where / "app"), "--isolation", ISOLATION]
    with Instance(where / "data", *arguments, log=where / "log") as instance:
        yield instance
        assert instance.stop() == 0


def create(scf, name, uri=URI, image=None, **more):
    config = {"ImageType": "personal", "ImageUri": uri, **(image or {})}
    return call(scf, "CreateFunction", FunctionName=name, Code={"ImageConfig": config}, Timeout=30, MemorySize=256, **more)


def test_events(scf, server, new_function):
    name = new_function()
    create(scf, name)
    got = call(scf, "GetFunction", FunctionName=name)
    assert (got["Runtime"], got["Type"], got["ImageConfig"]["ImageUri"]) == ("CustomImage", "Event", URI)
    result = call(scf, "Invoke", FunctionName=name, ClientContext='{"a": 1}', LogType="Tail")["Result"]
    assert (result["InvokeResult"], json.loads(result["RetMsg"])) == (0, {"a": 1})
    assert f"got /event-invoke {name} True" in result["Log"]
    failed = call(scf, "Invoke", FunctionName=name, ClientContext='{"fail": 1}')["Result"]
    assert (failed["InvokeResult"], json.loads(failed["RetMsg"])["statusCode"]) == (1, 430)


def test_an_event_is_seen_while_it_runs_and_asked_to_end(scf, server, new_function):
    name = new_function()
    create(scf, name)
    asked = {"FunctionName": name, "InvocationType": "Event", "ClientContext": '{"wait": 1}'}
    id = call(scf, "Invoke", **asked)["Result"]["FunctionRequestId"]
    while True:
        entries = functions.logs(scf, name)
        if entries and "waits" in entries[0]["Log"]:
            break
        assert all(entry["InvokeFinished"] == 0 for entry in entries), entries
    assert (entries[0]["InvokeFinished"], entries[0]["Log"].startswith(f"START RequestId:{id}")) == (0, True)
    call(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=id, GraceShutdown=True)
    server.wait(id)
    (entry,) = functions.logs(scf, name)
    assert (entry["RetCode"], entry["RetMsg"]) == (0, '"ended as asked"')
    assert "waits\n[PLATFORM] Signal received successfully\ngot signal 15\n" in entry["Log"]


def test_an_image_is_told_of_its_timer(scf, server, new_function):
    name = new_function()
    create(scf, name)
    timer = {"Type": "timer", "TriggerName": "T", "TriggerDesc": "0 0 * * * * *", "Enable": "OPEN"}
    call(scf, "CreateTrigger", FunctionName=name, **timer)
    server.admin("POST", "clock", {"advance": "1h"})
    server.wait()
    call(scf, "DeleteTrigger", FunctionName=name, Type="timer", TriggerName="T")
    assert "by timer\n" in functions.logs(scf, name)[0]["Log"]
    call(scf, "Invoke", FunctionName=name, ClientContext='"Timer"')
    assert "by None\n" in functions.logs(scf, name)[-1]["Log"]


def test_requests(scf, server, new_function):
    name = new_function()
    create(scf, name, Type="HTTP")
    ask = web.Url(server, web.url(scf, name))
    assert ask("GET", "/x?y").text == "page /x?y"
    other = URI.replace("v1", "v2")
    code = {"ImageConfig": {"ImageType": "personal", "ImageUri": other}}
    call(scf, "UpdateFunctionCode", FunctionName=name, Code=code)
    assert call(scf, "GetFunction", FunctionName=name)["ImageConfig"]["ImageUri"] == other
    assert ask("GET", "/").text == "page /"


def test_what_is_refused(scf, server, new_function):
    def refused(**arguments):
        with pytest.raises(TencentCloudSDKException) as error:
            create(scf, new_function(), **arguments)
        return error.value

    unknown = refused(uri="ccr.ccs.tencentyun.com/team/unknown:v1")
    assert unknown.code == "UnsupportedOperation"
    assert "serve --image unknown=COMMAND" in unknown.message
    assert refused(image={"Command": "python3"}).code == "UnsupportedOperation"
    assert refused(image={"ImagePort": -1}).code == "UnsupportedOperation"
    name = new_function()
    functions.deploy(scf, name, {"index.py": ""})
    with pytest.raises(TencentCloudSDKException) as error:
        code = {"ImageConfig": {"ImageType": "personal", "ImageUri": URI}}
        call(scf, "UpdateFunctionCode", FunctionName=name, Code=code)
    assert error.value.code == "InvalidParameterValue.Code"
