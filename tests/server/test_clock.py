"""The clock of a running server: shown, moved, frozen; what comes due is done before the answer."""

import concurrent.futures
import datetime
import json
import socket
import time
import urllib.error
import urllib.request

import pytest
from support import functions
from support.clients import cos_client, s3_client
from support.instance import Instance

FAILS = {"index.py": "def main_handler(event, context):\n    raise ValueError('always')\n"}


@pytest.fixture
def server(tmp_path):
    """Retries wait for an hour."""
    with Instance(None, "--retry-interval", "1h", log=tmp_path / "log") as instance:
        yield instance


def when(text):
    return datetime.datetime.fromisoformat(text)


def now(server):
    return when(server.admin("GET", "clock")["now"])


def move(server, **how):
    answer = server.admin("POST", "clock", how)
    assert answer["settled"], answer
    return when(answer["now"])


def refused(server, **how):
    request = urllib.request.Request(f"{server.url}/_cosette/clock", data=json.dumps(how).encode())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
    return caught.value.code, json.load(caught.value)["error"]


def until(condition, limit=60):
    ends = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not happen"


def test_a_retry_runs_when_the_clock_has_passed_its_time(server):
    scf, s3 = functions.client(server), s3_client(server)
    s3.create_bucket(Bucket="b-1250000000")
    functions.deploy(scf, "fails", FAILS)
    functions.bind(scf, "fails", "b-1250000000")
    s3.put_object(Bucket="b-1250000000", Key="k", Body=b"x")
    before = now(server)
    # Nothing to do at once but the first attempt: that is over when the answer comes.
    move(server, advance="1ms")
    (delivery,) = server.deliveries("fails")
    assert (delivery["state"], len(delivery["attempts"])) == ("retrying", 1)
    after = move(server, advance="150m")
    assert after - before >= datetime.timedelta(minutes=150)
    (delivery,) = server.deliveries("fails")
    assert (delivery["state"], len(delivery["attempts"])) == ("dead", 3)
    # Each ran when it was due, not all of them at the end.
    starts = [when(attempt["started"]) for attempt in delivery["attempts"]]
    for earlier, later in zip(starts, starts[1:]):
        assert datetime.timedelta(0) <= later - earlier - datetime.timedelta(hours=1) < datetime.timedelta(minutes=10)


def test_a_lifecycle_rule_runs_when_its_day_has_come(server):
    s3 = s3_client(server)
    s3.create_bucket(Bucket="b-1250000000")
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 2}}
    s3.put_bucket_lifecycle_configuration(Bucket="b-1250000000", LifecycleConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="b-1250000000", Key="tmp/a", Body=b"x")
    s3.put_object(Bucket="b-1250000000", Key="b", Body=b"x")
    move(server, advance="1d")
    assert len(s3.list_objects_v2(Bucket="b-1250000000")["Contents"]) == 2
    move(server, advance="2d")
    assert [row["Key"] for row in s3.list_objects_v2(Bucket="b-1250000000")["Contents"]] == ["b"]


def test_signatures_count_by_the_machines_clock(server):
    s3, cos, scf = s3_client(server), cos_client(server), functions.client(server)
    s3.create_bucket(Bucket="b-1250000000")
    s3.put_object(Bucket="b-1250000000", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "b-1250000000", "Key": "k"}, ExpiresIn=60)
    move(server, advance="400d")
    assert s3.get_object(Bucket="b-1250000000", Key="k")["Body"].read() == b"x"
    assert cos.head_object(Bucket="b-1250000000", Key="k")["Content-Length"] == "1"
    assert functions.call(scf, "ListFunctions")["TotalCount"] == 0
    assert urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).read() == b"x"
    put = s3.put_object(Bucket="b-1250000000", Key="later", Body=b"x")
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    written = s3.head_object(Bucket="b-1250000000", Key="later")["LastModified"]
    assert written - s3.head_object(Bucket="b-1250000000", Key="k")["LastModified"] > datetime.timedelta(days=399)


def test_frozen_time_moves_only_when_moved(server):
    s3 = s3_client(server)
    s3.create_bucket(Bucket="b-1250000000")
    frozen = move(server, freeze=True)
    assert server.admin("GET", "clock")["frozen"] and now(server) == frozen
    keys = [f"k{n}" for n in range(20)]
    for key in keys:
        s3.put_object(Bucket="b-1250000000", Key=key, Body=b"x")
    rows = s3.list_objects_v2(Bucket="b-1250000000")["Contents"]
    assert [row["Key"] for row in rows] == sorted(keys)
    assert len({row["LastModified"] for row in rows}) == 1
    assert move(server, set="2040-01-01T00:00:00Z") == when("2040-01-01T00:00:00+00:00") == now(server)
    assert not server.admin("POST", "clock", {"freeze": False})["frozen"]
    assert refused(server, set="2030-01-01T00:00:00Z") == (400, "the clock does not go back")
    for how in ({}, {"advance": "1h", "set": "2050-01-01T00:00:00Z"}, {"advance": "soon"}, {"advance": "9999999d"}, {"set": "x"}, {"other": 1}):
        assert refused(server, **how)[0] == 400, how


def test_moves_come_one_after_the_other(server):
    before = move(server, freeze=True)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: move(server, advance="1h"), range(200)))
    assert now(server) - before == datetime.timedelta(hours=200)


def test_a_move_ends_though_nobody_waits_for_its_answer(server):
    scf, s3 = functions.client(server), s3_client(server)
    s3.create_bucket(Bucket="b-1250000000")
    functions.deploy(scf, "slow", {"index.py": "import time\ndef main_handler(event, context):\n    time.sleep(60)\n"})
    functions.bind(scf, "slow", "b-1250000000")
    s3.put_object(Bucket="b-1250000000", Key="k", Body=b"x")
    until(lambda: [row["state"] for row in server.deliveries("slow")] == ["running"])
    before = now(server)
    body = json.dumps({"advance": "5h", "freeze": True, "timeout_ms": 2000}).encode()
    head = f"POST /_cosette/clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as leaves:
        leaves.sendall(head.encode() + body)
        until(lambda: server.admin("GET", "clock")["frozen"])
    until(lambda: now(server) - before >= datetime.timedelta(hours=5))


def test_the_command(server):
    before = when(server.cli("clock").stdout.strip())
    after = when(server.cli("clock", "--advance", "3h", "--freeze").stdout.removesuffix(" (frozen)\n"))
    assert datetime.timedelta(hours=3) <= after - before < datetime.timedelta(hours=4)
    assert json.loads(server.cli("clock", "--json").stdout)["frozen"]
    assert server.cli("clock", "--unfreeze").returncode == 0
    back = server.cli("clock", "--set", "2001-01-01T00:00:00Z", check=False)
    assert (back.returncode, "does not go back" in back.stderr) == (1, True), back.stderr


NOTES = {"index.py": "import json\ndef main_handler(event, context):\n    print(json.dumps(event))\n"}


def test_a_restore_is_completed_and_told_of(server):
    scf, cos = functions.client(server), cos_client(server)
    bucket = "b-1250000000"
    cos.create_bucket(Bucket=bucket)
    functions.deploy(scf, "notes", NOTES)
    functions.bind(scf, "notes", bucket, event="cos:ObjectRestore:Completed")
    for key in ("a", "never"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"cold", StorageClass="ARCHIVE")
        request = {"Days": "2", "CASJobParameters": {"Tier": "Expedited"}}
        cos.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
    cos.delete_object(Bucket=bucket, Key="never")
    move(server, advance="30s")
    assert not server.deliveries("notes")
    move(server, advance="2h")
    (delivery,) = server.deliveries("notes")
    (record,) = delivery["event"]["Records"]
    assert record["event"]["eventName"] == "cos:ObjectRestore:Completed"
    assert record["cos"]["cosObject"]["key"] == f"/{server.appid}/b/a"
    assert record["cos"]["cosObject"]["meta"]["x-cos-storage-class"] == "Archive"
    assert record["event"]["requestParameters"]["requestHeaders"] == {"Authorization": ""}
    # At its minute, not at the end of the journey.
    begun, told = (change for change in server.changes(bucket=bucket) if change["key"] == "a" and "Restore" in change["kind"])
    assert begun["kind"] == "cos:ObjectRestore:Post" and told["kind"] == "cos:ObjectRestore:Completed"
    assert when(told["time"]) - when(begun["time"]) < datetime.timedelta(minutes=2)
    assert told["requestId"] == begun["requestId"]
    assert 'ongoing-request="false"' in cos.head_object(Bucket=bucket, Key="a")["x-cos-restore"]
    assert cos.get_object(Bucket=bucket, Key="a")["Body"].get_raw_stream().read() == b"cold"
    move(server, advance="3d")
    assert "x-cos-restore" not in cos.head_object(Bucket=bucket, Key="a")
