"""Deliveries steered by hand: held, reordered, dropped, delayed, repeated."""

import pytest
from support import functions
from support.clients import s3_client
from support.functions import FUNCTIONS, base64_zip, bind, call, deploy, events_of
from support.instance import Instance

BUCKET = "b-1250000000"


@pytest.fixture
def server(tmp_path):
    """One function that listens to one bucket."""
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        s3_client(server).create_bucket(Bucket=BUCKET)
        scf = functions.client(server)
        deploy(scf, "echo", FUNCTIONS / "echo-python")
        bind(scf, "echo", BUCKET)
        yield server


def put(server, *keys):
    for key in keys:
        s3_client(server).put_object(Bucket=BUCKET, Key=key, Body=b"x")


def held(server, count):
    """Ids by key, once so many are held."""
    while True:
        after = server.head()
        found = {d["source"]["key"]: d["id"] for d in server.deliveries("echo") if d["state"] == "held"}
        if len(found) == count:
            return found
        server.admin("GET", f"changes?after={after}&wait_ms=100")


def keys(server):
    """In the order in which they ran."""
    events = events_of(functions.client(server), "echo")
    return [event["Records"][0]["cos"]["cosObject"]["key"].rsplit("/", 1)[1] for event in events]


def test_held_deliveries_run_in_the_order_they_are_released_in(server):
    assert server.admin("POST", "hold", {"function": "echo"})["holds"] == [{"function": "echo"}]
    put(server, "a", "b", "c")
    ids = held(server, 3)
    assert not server.is_quiet()
    order = [ids["c"], ids["a"], ids["b"]]
    assert server.admin("POST", "release", {"ids": order})["released"] == order
    server.wait()
    assert keys(server) == ["c", "a", "b"]
    put(server, "d")
    held(server, 1)
    assert server.admin("POST", "release", {})["holds"] == []
    server.wait()
    assert keys(server)[3:] == ["d"]


def test_a_seed_draws_an_order(server):
    server.admin("POST", "hold", {})
    put(server, *"abcdef")
    ids = held(server, 6)
    released = server.admin("POST", "release", {"seed": 7})["released"]
    server.wait()
    by_id = {id: key for key, id in ids.items()}
    assert sorted(released) == sorted(by_id) and keys(server) == [by_id[id] for id in released]


def test_what_is_dropped_or_delayed_stays_so_through_a_kill(tmp_path, server):
    server.admin("POST", "hold", {})
    put(server, "a", "b", "c")
    ids = held(server, 3)
    dropped = server.admin("POST", f"deliveries/{ids['a']}/drop", {})
    assert (dropped["state"], dropped["detail"]) == ("dead", "dropped by hand")
    assert server.admin("POST", f"deliveries/{ids['b']}/delay", {"by": "10h"})["state"] == "retrying"
    server.kill()
    with Instance(tmp_path / "data") as again:
        # The hold has gone with the process.
        while keys(again) != ["c"]:
            again.admin("GET", f"changes?after={again.head()}&wait_ms=100")
        assert again.admin("POST", "clock", {"advance": "9h"})["settled"] and keys(again) == ["c"]
        assert again.admin("POST", "clock", {"advance": "2h"})["settled"]
        again.wait()
        assert keys(again) == ["c", "b"]
        for what in ("drop", "delay"):
            with pytest.raises(AssertionError, match="409.*is finished"):
                again.admin("POST", f"deliveries/{ids['b']}/{what}", {"by": "1s"} if what == "delay" else {})


def test_a_duplicate_is_the_same_event_again(server):
    put(server, "a")
    server.wait()
    (original,) = server.deliveries("echo")
    new = server.admin("POST", f"deliveries/{original['id']}/duplicate", {})
    assert new["repeats"] == original["id"] and new["id"] != original["id"]
    server.wait(original["source"]["requestId"])
    first, second = events_of(functions.client(server), "echo")
    assert first == second == original["event"]


def test_an_edited_event_is_replayed_to_todays_code(server):
    put(server, "a")
    server.wait()
    (original,) = server.deliveries("echo")
    code = {"index.py": "def main_handler(event, context):\n    return ['new code', event]\n"}
    scf = functions.client(server)
    call(scf, "UpdateFunctionCode", FunctionName="echo", ZipFile=base64_zip(code))
    edited = original["event"]
    edited["Records"][0]["cos"]["cosObject"]["size"] = 12345
    new = server.admin("POST", f"deliveries/{original['id']}/replay", {"event": edited})
    server.wait()
    (replayed, _) = server.deliveries("echo")
    assert (replayed["id"], replayed["state"], replayed["event"]) == (new["id"], "succeeded", edited)
    (latest, _) = server.invocations("echo")
    assert '"new code"' in latest["result"] and "12345" in latest["result"]
    told = server.wait(original["source"]["requestId"])
    assert [one["repeats"] for one in told["deliveries"]] == [None, original["id"]]


def test_what_is_asked_wrongly_is_refused(server):
    for path, body, error in [
        ("hold", {"rule": "r", "function": "f"}, "400.*or neither"),
        ("release", {"ids": [], "seed": 1}, "400.*or neither"),
        ("release", {"ids": ["none"]}, "404.*no delivery none"),
        ("deliveries/none/drop", {}, "404.*no delivery none"),
        ("deliveries/none/replay", {"events": 1}, "400.*unknown field"),
        ("deliveries/none/delay", {"by": "soon"}, "400"),
        ("deliveries/none/paint", {}, "404.*there is no"),
    ]:
        with pytest.raises(AssertionError, match=error):
            server.admin("POST", path, body)
