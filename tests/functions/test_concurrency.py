"""How much may run at once: what a function has reserved, what an account has in a region, and 432 beyond it."""

import concurrent.futures
import json
import socket

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions
from support.functions import call

# Says that it runs, and runs until it is told to end.
HELD = """
import socket

def main_handler(event, context):
    if event.get("port"):
        with socket.create_connection(("127.0.0.1", event["port"])) as line:
            line.recv(1)
    return "ran"
"""


class Gate:
    """Where functions say that they run."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.event = json.dumps({"port": self.listener.getsockname()[1]})

    def arrived(self):
        return self.listener.accept()[0]

    def close(self):
        self.listener.close()


@pytest.fixture
def gate():
    one = Gate()
    yield one
    one.close()


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool


def deploy(scf, name, **more):
    functions.deploy(scf, name, {"index.py": HELD}, Timeout=60, **more)


def invoke(scf, name, event="{}"):
    return call(scf, "Invoke", FunctionName=name, ClientContext=event)["Result"]


def exceeded(result):
    """The text of a 432."""
    assert result["InvokeResult"] == -1
    assert json.loads(result["RetMsg"])["statusCode"] == 432
    return result["ErrMsg"]


def test_a_function_has_no_more_than_it_reserved(server, scf, new_function, gate, threads):
    name = new_function()
    deploy(scf, name)
    assert call(scf, "GetReservedConcurrencyConfig", FunctionName=name)["ReservedMem"] is None
    call(scf, "PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem=255)
    assert call(scf, "GetReservedConcurrencyConfig", FunctionName=name)["ReservedMem"] == 255
    assert call(scf, "ListFunctions", SearchKey=name)["Functions"][0]["ReservedConcurrencyMem"] == 255

    first = threads.submit(invoke, scf, name, gate.event)
    held = gate.arrived()
    refused = invoke(scf, name)
    assert exceeded(refused) == f"Function [ {name} ] concurrency exceeded reserved quota 255 MB"
    # An asynchronous event is tried until there is room.
    later = call(scf, "Invoke", FunctionName=name, InvocationType="Event", ClientContext="{}")["Result"]
    by_id = {"FunctionName": name, "FunctionRequestId": later["FunctionRequestId"]}
    while not call(scf, "GetFunctionLogs", **by_id)["Data"]:
        pass
    held.close()
    assert first.result()["RetMsg"] == '"ran"'
    server.wait()
    codes = [entry["RetCode"] for entry in call(scf, "GetFunctionLogs", Order="asc", **by_id)["Data"]]
    assert set(codes[:-1]) == {432} and codes[-1] == 0, codes

    call(scf, "DeleteReservedConcurrencyConfig", FunctionName=name)
    assert call(scf, "GetReservedConcurrencyConfig", FunctionName=name)["ReservedMem"] is None
    both = [threads.submit(invoke, scf, name, gate.event) for _ in range(2)]
    lines = [gate.arrived() for _ in both]
    for line in lines:
        line.close()
    assert [one.result()["InvokeResult"] for one in both] == [0, 0]


def test_whoever_has_a_result_may_ask_again(scf, new_function):
    name = new_function()
    deploy(scf, name)
    call(scf, "PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem=128)
    # Every other fails: its place is free as soon.
    results = [
        call(scf, "Invoke", FunctionName=name, ClientContext=event, LogType="Tail")["Result"]
        for event in ("{}", "[]") * 100
    ]
    assert [json.loads(result["RetMsg"]) == "ran" for result in results] == [True, False] * 100
    assert {result["InvokeResult"] for result in results} == {0, 1}
    assert sum("Init Report" in result["Log"] for result in results) == 1, "one instance had them all"


def test_none_reserved_lets_nothing_run(scf, new_function):
    name = new_function()
    deploy(scf, name)
    call(scf, "PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem=0)
    assert exceeded(invoke(scf, name)).endswith("reserved quota 0 MB")
    call(scf, "DeleteFunction", FunctionName=name)
    deploy(scf, name)
    assert invoke(scf, name)["InvokeResult"] == 0, "it went with the function"


def test_the_others_share_what_is_left_of_the_region(server, unique, gate, threads):
    scf = functions.client(server, region="ap-chengdu")
    names = [unique("fn") for _ in range(2)]
    for name in names:
        deploy(scf, name)
    shared, own = names
    call(scf, "PutTotalConcurrencyConfig", TotalConcurrencyMem=512)
    call(scf, "PutReservedConcurrencyConfig", FunctionName=own, ReservedConcurrencyMem=384)
    with pytest.raises(TencentCloudSDKException) as caught:
        call(scf, "PutReservedConcurrencyConfig", FunctionName=shared, ReservedConcurrencyMem=129)
    assert caught.value.get_code() == "LimitExceeded.FunctionReservedConcurrencyMemory"
    for bad in (383, 128_001):
        with pytest.raises(TencentCloudSDKException) as caught:
            call(scf, "PutTotalConcurrencyConfig", TotalConcurrencyMem=bad)
        assert caught.value.get_code() == "LimitExceeded.TotalConcurrencyMemory"

    first = threads.submit(invoke, scf, shared, gate.event)
    held = gate.arrived()
    text = f"Function [ {shared} ] concurrency exceeded region unreserved quota 128 MB"
    assert exceeded(invoke(scf, shared)) == text
    assert invoke(scf, own)["InvokeResult"] == 0, "it has its own part"
    held.close()
    assert first.result()["InvokeResult"] == 0
    for name in names:
        call(scf, "DeleteFunction", FunctionName=name)
    call(scf, "PutTotalConcurrencyConfig", TotalConcurrencyMem=128_000)


def test_by_tccli(tccli, scf, new_function):
    name = new_function()
    deploy(scf, name)
    tccli("PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem="256")
    assert tccli("GetReservedConcurrencyConfig", FunctionName=name)["ReservedMem"] == 256
    tccli("DeleteReservedConcurrencyConfig", FunctionName=name)
    tccli("PutTotalConcurrencyConfig", TotalConcurrencyMem="128000")
