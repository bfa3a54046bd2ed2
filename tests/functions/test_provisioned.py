"""Provisioned concurrency: instances that are there before any event comes, by the SDK and tccli."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import signal

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support.functions import call, client, deploy
from support.instance import Instance
from support.process import gone

# Notes each start in a folder; an event may have it wait for a pipe, or end itself.
NOTES = """
import os, time

print("made ready")
open(os.path.join(os.environ["NOTES"], str(os.getpid())), "w").close()

def main_handler(event, context):
    if event.get("end"):
        os._exit(1)
    if event.get("told"):
        with open(event["told"], "w") as told:
            told.write("x")
        with open(event["until"]) as until:
            until.read()
    return os.getpid()
"""


@pytest.fixture
def house(tmp_path):
    """A server of its own, whose functions' processes have the machine's numbers."""
    with Instance(tmp_path / "data", "--isolation", "off") as server:
        yield server


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def make(scf, notes, name="kept", **configuration):
    deploy(scf, name, {"index.py": NOTES}, env={"NOTES": notes}, Timeout=60, **configuration)
    return call(scf, "PublishVersion", FunctionName=name)["FunctionVersion"]


def put(scf, number, name="kept", version="1"):
    asked = {"FunctionName": name, "Qualifier": version, "VersionProvisionedConcurrencyNum": number}
    call(scf, "PutProvisionedConcurrencyConfig", **asked)


def shown(scf, name="kept", **more):
    return call(scf, "GetProvisionedConcurrencyConfig", FunctionName=name, **more)


def done(scf, name="kept"):
    """The only one, once nothing is under way."""
    while True:
        (one,) = shown(scf, name)["Allocated"]
        if one["Status"] != "InProgress":
            return one


def started(notes):
    return {int(name) for name in os.listdir(notes)}


def alive(pids):
    return {pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()}


def invoke(scf, event=None, name="kept", version="1"):
    asked = {"FunctionName": name, "Qualifier": version, "ClientContext": json.dumps(event or {}), "LogType": "Tail"}
    return call(scf, "Invoke", **asked)["Result"]


def code(scf, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as refused:
        call(scf, action, FunctionName="kept", **parameters)
    return refused.value.code


def test_instances_are_there_before_the_first_event(house, notes):
    scf = client(house)
    make(scf, notes)
    put(scf, 2)
    assert done(scf) == {
        "Qualifier": "1",
        "AllocatedProvisionedConcurrencyNum": 2,
        "AvailableProvisionedConcurrencyNum": 2,
        "Status": "Done",
        "StatusReason": "",
        "TriggerActions": [],
    }
    ready = started(notes)
    assert len(ready) == 2
    first = invoke(scf)
    assert json.loads(first["RetMsg"]) in ready
    assert "Coldstart" not in first["Log"] and "made ready" in first["Log"], "what it printed is in its first log"
    assert "made ready" not in invoke(scf)["Log"]
    assert started(notes) == ready

    # One that ends is replaced.
    assert invoke(scf, {"end": True})["InvokeResult"] == -1
    while len(alive(started(notes))) < 2 or done(scf)["AvailableProvisionedConcurrencyNum"] < 2:
        pass
    assert len(started(notes)) == 3
    # One that is killed while it waits, too.
    os.kill(min(alive(started(notes))), signal.SIGKILL)
    while len(started(notes)) < 4:
        pass

    put(scf, 1)
    assert done(scf)["AvailableProvisionedConcurrencyNum"] == 1
    while len(alive(started(notes))) > 1:
        pass
    call(scf, "DeleteProvisionedConcurrencyConfig", FunctionName="kept", Qualifier="1")
    assert shown(scf)["Allocated"] == []
    assert all(gone(pid) for pid in started(notes))


def test_those_whose_keys_end_are_replaced_before_the_next_event(house, notes):
    scf = client(house)
    make(scf, notes)
    put(scf, 2)
    assert done(scf)["AvailableProvisionedConcurrencyNum"] == 2
    ready = started(notes)
    house.admin("POST", "clock", {"advance": "7h"})
    while alive(ready) or done(scf)["AvailableProvisionedConcurrencyNum"] < 2:
        pass
    result = invoke(scf)
    assert json.loads(result["RetMsg"]) in started(notes) - ready
    assert "Coldstart" not in result["Log"]
    assert len(started(notes)) == 4


def test_they_are_there_again_after_a_restart_and_go_with_their_version(tmp_path, notes):
    for life in range(2):
        with Instance(tmp_path / "data", "--isolation", "off") as server:
            scf = client(server)
            if life == 0:
                make(scf, notes)
                put(scf, 1)
            assert done(scf)["Status"] == "Done"
            assert len(started(notes)) == life + 1
            if life == 1:
                call(scf, "DeleteFunctionVersion", FunctionName="kept", Qualifier="1")
                assert shown(scf)["Allocated"] == []
                assert all(gone(pid) for pid in started(notes))
        assert not alive(started(notes))


def test_what_cannot_start_says_why(house, notes):
    scf = client(house)
    deploy(scf, "kept", {"index.py": "import nothing_of_this_name\n"})
    call(scf, "PublishVersion", FunctionName="kept")
    put(scf, 1)
    failed = done(scf)
    assert (failed["Status"], failed["AvailableProvisionedConcurrencyNum"]) == ("Failed", 0)
    assert "nothing_of_this_name" in failed["StatusReason"]


def test_their_memory_counts_as_used(house, notes, tmp_path):
    scf = client(house)
    make(scf, notes)
    call(scf, "PutReservedConcurrencyConfig", FunctionName="kept", ReservedConcurrencyMem=256)
    assert shown(scf)["UnallocatedConcurrencyNum"] == 2
    wanted = {"Qualifier": "1", "VersionProvisionedConcurrencyNum": 3}
    assert code(scf, "PutProvisionedConcurrencyConfig", **wanted) == "FailedOperation.ProvisionedExceedReserved"
    put(scf, 1)
    assert shown(scf)["UnallocatedConcurrencyNum"] == 1
    refused = code(scf, "PutReservedConcurrencyConfig", ReservedConcurrencyMem=127)
    assert refused == "FailedOperation.ProvisionedExceedReserved"
    assert call(scf, "ListFunctions")["Functions"][0]["TotalProvisionedConcurrencyMem"] == 128

    # Of the two that fit, one is kept for the version: $LATEST has the other.
    told, until = tmp_path / "told", tmp_path / "until"
    os.mkfifo(told)
    os.mkfifo(until)
    event = {"told": str(told), "until": str(until)}
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(invoke, scf, event, version="$LATEST")
        told.read_text()
        exceeded = invoke(scf, version="$LATEST")
        assert exceeded["ErrMsg"] == "Function [ kept ] concurrency exceeded reserved quota 256 MB"
        assert invoke(scf)["InvokeResult"] == 0, "what is provisioned is free"
        until.write_text("go")
        assert running.result()["InvokeResult"] == 0


def test_refusals(house, notes):
    scf = client(house)
    make(scf, notes)
    for qualifier in ("$LATEST", "$DEFAULT", "none"):
        wanted = {"Qualifier": qualifier, "VersionProvisionedConcurrencyNum": 1}
        assert code(scf, "PutProvisionedConcurrencyConfig", **wanted) == "InvalidParameterValue.Qualifier"
    wanted = {"Qualifier": "1", "VersionProvisionedConcurrencyNum": 11}
    too_many = "LimitExceeded.FunctionTotalProvisionedConcurrencyNum"
    assert code(scf, "PutProvisionedConcurrencyConfig", **wanted) == too_many
    wanted["VersionProvisionedConcurrencyNum"] = 0
    assert code(scf, "PutProvisionedConcurrencyConfig", **wanted) == "InvalidParameterValue"
    wanted["VersionProvisionedConcurrencyNum"] = 1
    tracking = {**wanted, "ProvisionedType": "ConcurrencyUtilizationTracking", "TrackingTarget": 0.5}
    assert code(scf, "PutProvisionedConcurrencyConfig", **tracking) == "UnsupportedOperation"
    assert code(scf, "PutProvisionedConcurrencyConfig", **{**wanted, "Qualifier": "2"}) == "ResourceNotFound.Qualifier"
    assert shown(scf)["Allocated"] == []


def action(name, number, cron):
    return {"TriggerName": name, "TriggerProvisionedConcurrencyNum": number, "TriggerCronConfig": cron}


def to_midnight(server):
    """Stops the clock at the next midnight in UTC+8, which is 16:00 in UTC."""
    now = datetime.datetime.fromisoformat(server.admin("POST", "clock", {"freeze": True})["now"])
    midnight = now.replace(hour=16, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)
    server.admin("POST", "clock", {"set": midnight.strftime("%Y-%m-%dT%H:%M:%SZ")})


def wanted_after(server, scf, hours):
    assert server.admin("POST", "clock", {"advance": f"{hours}h"})["settled"]
    (one,) = shown(scf)["Allocated"]
    return one["AllocatedProvisionedConcurrencyNum"]


def test_actions_set_the_number_at_their_times(tmp_path, notes):
    actions = [
        action("morning", 2, "0 0 8 * * * *"),
        action("noon", 3, "0 0 12 * * * *"),
        action("night", 0, "0 0 22 * * * *"),
    ]
    with Instance(tmp_path / "data", "--isolation", "off") as server:
        scf = client(server)
        make(scf, notes)
        to_midnight(server)
        of = {"FunctionName": "kept", "Qualifier": "1"}
        call(scf, "PutProvisionedConcurrencyConfig", **of, VersionProvisionedConcurrencyNum=0, TriggerActions=actions)
        assert done(scf)["AvailableProvisionedConcurrencyNum"] == 0
        assert wanted_after(server, scf, 7) == 0
        assert wanted_after(server, scf, 2) == 2
        assert done(scf)["AvailableProvisionedConcurrencyNum"] == 2
        assert len(alive(started(notes))) == 2
        assert json.loads(invoke(scf)["RetMsg"]) in started(notes)
        # Of all that a move passes over the last counts: noon, night, and the morning of the next day.
        assert wanted_after(server, scf, 10) == 3
        assert wanted_after(server, scf, 4) == 0
        assert all(gone(pid) for pid in started(notes))
        # By hand until the next action.
        call(scf, "PutProvisionedConcurrencyConfig", **of, VersionProvisionedConcurrencyNum=1, TriggerActions=actions)
        assert done(scf)["AvailableProvisionedConcurrencyNum"] == 1
        assert wanted_after(server, scf, 8) == 1
        assert wanted_after(server, scf, 2) == 2
        # One that finds no room leaves the number as it is and says so, until one does.
        call(scf, "PutReservedConcurrencyConfig", FunctionName="kept", ReservedConcurrencyMem=256)
        assert wanted_after(server, scf, 4) == 2
        failed = done(scf)
        assert failed["Status"] == "Failed" and "384 MB are provisioned, of 256 MB" in failed["StatusReason"]
        assert wanted_after(server, scf, 10) == 0
        assert done(scf)["Status"] == "Done"
        call(scf, "PutProvisionedConcurrencyConfig", **of, VersionProvisionedConcurrencyNum=1, TriggerActions=actions)
    with Instance(tmp_path / "data", "--isolation", "off") as server:
        scf = client(server)
        again = done(scf)
        assert again["TriggerActions"] == [{**one, "ProvisionedType": "Default"} for one in actions]
        to_midnight(server)
        assert wanted_after(server, scf, 9) == 2
        # Said without them there are none.
        put(scf, 1)
        assert wanted_after(server, scf, 24) == 1
        assert shown(scf)["Allocated"][0]["TriggerActions"] == []


@pytest.mark.parametrize(
    "wrong, refusal",
    [
        ([action("a", 1, "0 8 * * *")], "InvalidParameterValue.TriggerCronConfig"),
        ([action("a", 1, "0 0 25 * * * *")], "InvalidParameterValue.TriggerCronConfig"),
        ([action("a", 11, "0 0 8 * * * *")], "InvalidParameterValue.TriggerProvisionedConcurrencyNum"),
        ([action("8", 1, "0 0 8 * * * *")], "InvalidParameterValue.ProvisionTriggerName"),
        ([action("a", 1, f"0 0 {hour} * * * *") for hour in (8, 9)], "InvalidParameterValue.ProvisionTriggerNameDuplicate"),
        ([action(name, 1, "0 0 8 * * * *") for name in "ab"], "InvalidParameterValue.ProvisionTriggerCronConfigDuplicate"),
        ([action(f"a{hour}", 1, f"0 0 {hour} * * * *") for hour in range(11)], "LimitExceeded.ProvisionTriggerAction"),
        ([{**action("a", 1, "0 0 8 * * * *"), "ProvisionedType": "Other"}], "InvalidParameterValue.ProvisionType"),
        ([{"TriggerName": "a", "TriggerCronConfig": "0 0 8 * * * *"}], "MissingParameter"),
    ],
)
def test_what_is_no_action(scf, new_function, wrong, refusal):
    name = new_function()
    deploy(scf, name, {"index.py": "def main_handler(event, context):\n    return 1\n"})
    call(scf, "PublishVersion", FunctionName=name)
    with pytest.raises(TencentCloudSDKException) as refused:
        of = {"FunctionName": name, "Qualifier": "1", "VersionProvisionedConcurrencyNum": 1}
        call(scf, "PutProvisionedConcurrencyConfig", **of, TriggerActions=wrong)
    assert refused.value.code == refusal
    assert shown(scf, name)["Allocated"] == []


def test_by_tccli(tccli, scf, new_function):
    name = new_function()
    deploy(scf, name, {"index.py": "def main_handler(event, context):\n    return 1\n"})
    call(scf, "PublishVersion", FunctionName=name)
    of = {"FunctionName": name, "Qualifier": "1"}
    tccli("PutProvisionedConcurrencyConfig", VersionProvisionedConcurrencyNum="1", **of)
    assert done(scf, name)["Status"] == "Done"
    assert tccli("GetProvisionedConcurrencyConfig", FunctionName=name)["Allocated"][0]["Qualifier"] == "1"
    tccli("DeleteProvisionedConcurrencyConfig", **of)
    assert tccli("GetProvisionedConcurrencyConfig", FunctionName=name)["Allocated"] == []
