"""Asynchronous events: listed, asked for, and ended by hand, by the SDK and tccli."""

import json
import os

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support.functions import FUNCTIONS, bind, call, client, deploy
from support.instance import Instance
from support.process import gone

# Says who it is into a pipe and sleeps, as does its child.
SLEEPS = """
import os, subprocess, time

def main_handler(event, context):
    child = subprocess.Popen(["sleep", "600"])
    with open(event["pipe"], "w") as pipe:
        pipe.write(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""
FAILS = "def main_handler(event, context):\n    raise ValueError('always')\n"


def invoke(scf, name, event=None):
    asked = {"FunctionName": name, "InvocationType": "Event", "ClientContext": json.dumps(event or {})}
    return call(scf, "Invoke", **asked)["Result"]["FunctionRequestId"]


def status(scf, id):
    return call(scf, "GetAsyncEventStatus", InvokeRequestId=id)["Result"]


def code(scf, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as refused:
        call(scf, action, **parameters)
    return refused.value.code


def test_events_are_listed_and_filtered(server, scf, new_function, s3, bucket, tccli):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket)
    called = invoke(scf, name)
    server.wait(called)
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    server.wait(put)
    listed = call(scf, "ListAsyncEvents", FunctionName=name)
    newest, oldest = listed["EventList"]
    assert listed["TotalCount"] == 2
    assert (oldest["InvokeRequestId"], oldest["InvokeType"], oldest["Status"]) == (called, "API", "FINISHED")
    assert newest["InvokeType"] == "COS" and newest["Qualifier"] == "$DEFAULT"
    assert newest["StartTime"] <= newest["EndTime"] and newest["StartTime"][-4] == "."
    assert status(scf, called) == {"Status": "FINISHED", "StatusCode": 200, "InvokeRequestId": called}
    found = call(scf, "ListAsyncEvents", FunctionName=name, InvokeType=["COS"], Status=["FINISHED"])
    assert [event["InvokeRequestId"] for event in found["EventList"]] == [newest["InvokeRequestId"]]
    assert call(scf, "ListAsyncEvents", FunctionName=name, Status=["RUNNING"])["TotalCount"] == 0
    day = {"Start": "2000-01-01 00:00:00", "End": "2000-01-02 00:00:00"}
    assert call(scf, "ListAsyncEvents", FunctionName=name, StartTimeInterval=day)["TotalCount"] == 0
    by_command = tccli("ListAsyncEvents", FunctionName=name, Order="ASC", Limit="1")
    assert [event["InvokeRequestId"] for event in by_command["EventList"]] == [called]
    assert code(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=called) == "FailedOperation.AsyncEventStatus"
    assert code(scf, "GetAsyncEventStatus", InvokeRequestId="none") == "ResourceNotFound.AsyncEvent"


def test_one_that_runs_is_ended_with_all_it_has_started(tmp_path):
    # Its processes' numbers are the machine's.
    with Instance(None, "--isolation", "off") as server:
        is_ended_with_all_it_has_started(server, client(server), tmp_path / "pipe")


def is_ended_with_all_it_has_started(server, scf, pipe):
    name = "sleeper"
    deploy(scf, name, {"index.py": SLEEPS}, Timeout=900)
    os.mkfifo(pipe)
    id = invoke(scf, name, {"pipe": str(pipe)})
    processes = [int(pid) for pid in pipe.read_text().split()]
    assert status(scf, id)["Status"] == "RUNNING"
    call(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=id)
    assert status(scf, id) == {"Status": "ABORTED", "StatusCode": 499, "InvokeRequestId": id}
    for process in processes:
        assert gone(process)
    (record,) = [one for one in server.invocations(name) if one["requestId"] == id]
    assert record["status"] == 499


def test_one_that_waits_is_ended_and_never_runs(server, scf, new_function):
    name = new_function()
    deploy(scf, name, {"index.py": FAILS})
    server.admin("POST", "hold", {"function": name})
    id = invoke(scf, name)
    assert status(scf, id) == {"Status": "RUNNING", "StatusCode": 0, "InvokeRequestId": id}
    call(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=id)
    assert status(scf, id)["Status"] == "ABORTED"
    server.admin("POST", "release", {})
    server.wait(id)
    assert server.invocations(name) == []
    failed = invoke(scf, name)
    server.wait(failed)
    assert status(scf, failed) == {"Status": "FAILED", "StatusCode": 430, "InvokeRequestId": failed}


# Says that it runs; told to end, says so and ends well, or does not know how.
ENDS = """
import os, signal, sys, time

def main_handler(event, context):
    if event.get("handles"):
        def end(number, frame):
            print("asked to end", flush=True)
            raise SystemExit
        signal.signal(signal.SIGTERM, end)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print("begun", os.environ["SCF_ASYNC_RUN_ENABLE"], flush=True)
    try:
        with open(event["pipe"], "w") as pipe:
            pipe.write("x")
        time.sleep(600)
    except SystemExit:
        return "ended"
"""


def test_one_that_runs_is_asked_to_end(server, scf, new_function, tmp_path):
    name = new_function()
    deploy(scf, name, {"index.py": ENDS}, Timeout=900)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for handles, outcome in ((True, ("FINISHED", 200)), (False, ("FAILED", 439))):
        id = invoke(scf, name, {"pipe": str(pipe), "handles": handles})
        pipe.read_text()
        call(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=id, GraceShutdown=True)
        server.wait(id)
        ended = status(scf, id)
        assert (ended["Status"], ended["StatusCode"]) == outcome
        (entry,) = call(scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=id)["Data"]
        assert "[PLATFORM] Signal received successfully\n" in entry["Log"]
        assert ("asked to end\n" in entry["Log"]) == handles
        assert (entry["RetMsg"] == '"ended"') == handles


def test_a_function_that_runs_asynchronously_for_every_caller(server, scf, new_function, tmp_path):
    name = new_function()
    deploy(scf, name, {"index.py": ENDS}, Timeout=86_400, AsyncRunEnable="TRUE", TraceEnable="TRUE")
    got = call(scf, "GetFunction", FunctionName=name)
    assert (got["AsyncRunEnable"], got["TraceEnable"], got["Timeout"]) == ("TRUE", "TRUE", 86_400)
    only = [{"Name": "AsyncRunEnable", "Values": ["TRUE"]}]
    assert name in [one["FunctionName"] for one in call(scf, "ListFunctions", Filters=only, Limit=1000)["Functions"]]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    event = json.dumps({"pipe": str(pipe)})
    calls = [("Invoke", {"ClientContext": event}), ("InvokeFunction", {"Event": event})]
    for action, parameters in calls:
        answer = call(scf, action, FunctionName=name, **parameters)["Result"]
        id = answer["FunctionRequestId"]
        assert (answer["RetMsg"], answer["Log"], answer["Duration"]) == ("", "", 0), "it does not wait"
        pipe.read_text()
        (entry,) = call(scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=id)["Data"]
        assert entry["InvokeFinished"] == 0 and entry["Log"].endswith("begun 1\n"), "the log so far"
        assert status(scf, id)["Status"] == "RUNNING"
        call(scf, "TerminateAsyncEvent", FunctionName=name, InvokeRequestId=id)
        assert status(scf, id)["Status"] == "ABORTED"
    # Nothing is tried again.
    failed = call(scf, "Invoke", FunctionName=name, ClientContext="{}")["Result"]["FunctionRequestId"]
    server.wait(failed)
    assert status(scf, failed) == {"Status": "FAILED", "StatusCode": 430, "InvokeRequestId": failed}
    assert len(call(scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=failed)["Data"]) == 1
    config = {"AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 60}}
    refused = code(scf, "UpdateFunctionEventInvokeConfig", FunctionName=name, **config)
    assert refused == "UnsupportedOperation.AsyncRunEnable"
    with pytest.raises(TencentCloudSDKException) as caught:
        deploy(scf, new_function(), {"index.py": ENDS}, Timeout=901)
    assert caught.value.code == "LimitExceeded.Timeout"
