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
