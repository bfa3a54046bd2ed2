"""Timer triggers, made by tccli and the SDK, fire by the server's clock."""

import datetime
import json
import signal

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions
from support.functions import FUNCTIONS, call, deploy, events_of
from support.instance import Instance

UTC8 = datetime.timezone(datetime.timedelta(hours=8))


@pytest.fixture
def server(tmp_path):
    """Its clock can be moved without disturbing others."""
    with Instance(tmp_path / "data", "--retry-interval", "1h", log=tmp_path / "log") as instance:
        yield instance


def move(server, **how):
    answer = server.admin("POST", "clock", how)
    assert answer["settled"], answer
    return datetime.datetime.fromisoformat(answer["now"])


def to_the_next_day(server):
    """Stops the clock at 00:00:30 of a day in UTC+8."""
    now = move(server, freeze=True).astimezone(UTC8)
    midnight = now.replace(hour=0, minute=0, second=30, microsecond=0) + datetime.timedelta(days=1)
    return move(server, set=midnight.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))


def create(scf, function, name, cron, **more):
    more = {"Type": "timer", "TriggerName": name, "TriggerDesc": cron, "Enable": "OPEN", **more}
    return call(scf, "CreateTrigger", FunctionName=function, **more)["TriggerInfo"]


def times(scf, function):
    """When each event says it was due, in UTC+8."""
    due = [datetime.datetime.fromisoformat(event["Time"]) for event in events_of(scf, function)]
    return [at.astimezone(UTC8).strftime("%H:%M:%S") for at in due]


def test_a_moved_clock_fires_what_is_due_in_order(server):
    scf = functions.client(server)
    deploy(scf, "tick", FUNCTIONS / "echo-python")
    to_the_next_day(server)
    made = create(scf, "tick", "EveryHour", "0 0 */1 * * * *", CustomArgument="one", Qualifier="$DEFAULT")
    assert json.loads(made["TriggerDesc"]) == {"cron": "0 0 */1 * * * *"}
    assert (made["Type"], made["Enable"], made["CustomArgument"]) == ("timer", 1, "one")
    create(scf, "tick", "HalfPast", json.dumps({"cron": "0 30 1-2 * * * *"}), CustomArgument="half")
    move(server, advance="0s")
    assert times(scf, "tick") == [], "a clock that stands still fires nothing"
    move(server, advance="3h")
    assert times(scf, "tick") == ["01:00:00", "01:30:00", "02:00:00", "02:30:00", "03:00:00"]
    first, second = events_of(scf, "tick")[:2]
    assert (first["Type"], first["TriggerName"], first["Message"]) == ("Timer", "EveryHour", "one")
    assert (second["TriggerName"], second["Message"]) == ("HalfPast", "half")
    assert first["Time"].endswith("Z") and set(first) == {"Type", "TriggerName", "Time", "Message"}
    delivery = server.deliveries("tick")[-1]
    assert (delivery["timer"], delivery["state"], delivery["source"]) == ("EveryHour", "succeeded", None)
    # Each ran at its time.
    started = [datetime.datetime.fromisoformat(d["attempts"][0]["started"]) for d in server.deliveries("tick")]
    assert [at.astimezone(UTC8).hour for at in reversed(started)] == [1, 1, 2, 2, 3]


def test_triggers_are_listed_changed_and_removed(server):
    scf = functions.client(server)
    deploy(scf, "tick", FUNCTIONS / "echo-python")
    to_the_next_day(server)
    create(scf, "tick", "T", "0 0 * * * * *")
    one = {"FunctionName": "tick", "Type": "timer", "TriggerName": "T"}
    call(scf, "UpdateTriggerStatus", **one, Enable="CLOSE")
    move(server, advance="2h")
    assert times(scf, "tick") == []
    with pytest.raises(TencentCloudSDKException) as refused:
        call(scf, "UpdateTriggerStatus", **one, Enable="CLOSE")
    assert refused.value.code == "FailedOperation.UpdateTriggerStatus"
    call(scf, "UpdateTrigger", **one, Enable="OPEN", TriggerDesc="0 15 * * * * *", CustomArgument="new")
    (listed,) = call(scf, "ListTriggers", FunctionName="tick")["Triggers"]
    assert (listed["Enable"], listed["CustomArgument"]) == (1, "new")
    (shown,) = call(scf, "GetFunction", FunctionName="tick")["Triggers"]
    assert json.loads(shown["TriggerDesc"]) == {"cron": "0 15 * * * * *"}
    move(server, advance="1h")
    assert times(scf, "tick") == ["02:15:00"]
    # What a TriggerDesc says must be so of the one that is named.
    for action in [{"action": "DeleteTrigger"}, {"action": "UpdateTriggerStatus", "Enable": "CLOSE"}]:
        for other, code in [
            ("0 0 * * * * *", "ResourceNotFound.Trigger"),
            ('{"crown":"0 15 * * * * *"}', "InvalidParameterValue.TriggerDesc"),
        ]:
            with pytest.raises(TencentCloudSDKException) as refused:
                call(scf, **action, **one, TriggerDesc=other)
            assert refused.value.code == code
    call(scf, "UpdateTriggerStatus", **one, Enable="CLOSE", TriggerDesc=shown["TriggerDesc"])
    call(scf, "DeleteTrigger", **one, TriggerDesc="0  15 * * * * *")
    assert call(scf, "ListTriggers", FunctionName="tick")["TotalCount"] == 0
    move(server, advance="2h")
    assert len(times(scf, "tick")) == 1
    with pytest.raises(TencentCloudSDKException) as refused:
        call(scf, "DeleteTrigger", **one)
    assert refused.value.code == "ResourceNotFound.Trigger"
    for cron in ["* * *", "61 * * * * * *", "{}"]:
        with pytest.raises(TencentCloudSDKException) as refused:
            create(scf, "tick", "bad", cron)
        assert refused.value.code == "InvalidParameterValue.TriggerDesc"


def test_a_failed_firing_is_tried_again_and_survives_a_kill(server, tmp_path):
    scf = functions.client(server)
    deploy(scf, "fails", {"index.py": "def main_handler(event, context):\n    raise ValueError('always')\n"})
    to_the_next_day(server)
    create(scf, "fails", "T", "0 0 1 * * * *")
    move(server, advance="1h")
    (delivery,) = server.deliveries("fails")
    assert (delivery["state"], len(delivery["attempts"])) == ("retrying", 1)
    server.stop(signal.SIGKILL)
    with Instance(tmp_path / "data", "--retry-interval", "1h", log=tmp_path / "log") as again:
        (same,) = again.deliveries("fails")
        assert same["id"] == delivery["id"]
        # The machine's clock is behind the moved one by then.
        move(again, advance="3d")
        assert again.deliveries("fails")[-1]["state"] == "dead"
        assert len(again.deliveries("fails")[-1]["attempts"]) == 3


def test_tccli(server, tccli):
    deploy(functions.client(server), "tick", FUNCTIONS / "echo-python")
    made = tccli(
        "CreateTrigger", FunctionName="tick", Type="timer", TriggerName="T", TriggerDesc="0 0 0 1 1 * *", Enable="OPEN"
    )
    assert made["TriggerInfo"]["TriggerName"] == "T"
    tccli("UpdateTrigger", FunctionName="tick", Type="timer", TriggerName="T", CustomArgument="x")
    assert tccli("ListTriggers", FunctionName="tick")["Triggers"][0]["CustomArgument"] == "x"
    tccli("DeleteTrigger", FunctionName="tick", Type="timer", TriggerName="T")


def test_what_is_said_of_a_trigger_has_an_end(server, unique):
    scf = functions.client(server)
    name = unique("fn")
    deploy(scf, name, FUNCTIONS / "echo-python")
    create(scf, name, "long", "0 0 8 * * * *", Description="x" * 1000)
    with pytest.raises(TencentCloudSDKException) as refused:
        create(scf, name, "longer", "0 0 8 * * * *", Description="x" * 1001)
    assert refused.value.code == "InvalidParameterValue.Description"
