"""The main job: a client changes an object, the bound function runs with the service's own event."""

import json
import os
import select
import subprocess
import threading
import time

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from support import functions, raw
from support.clients import cos_client
from support.functions import EXAMPLES, FUNCTIONS, bind, call, deploy, description, domain, events_of
from support.instance import BINARY, Instance, clean_environment
from support.process import gone

MIB = 1 << 20
ECHO = [("echo-python", "Python3.9"), ("echo-node", "Nodejs16.13")]
KEYS = ["a b.txt", "100%.txt", "plus+minus.txt", "hash#question?.txt", "照片/2024 年.jpg", "!*'().txt", "a/b//c"]


def short(bucket):
    return bucket.rpartition("-")[0]


def expected(function, bucket, key, event, meta, size, authorization, when):
    """scf.md 1.6, the canonical modern form."""
    cos = {
        "cosBucket": {
            "appid": "1250000000",
            "cosRegion": "ap-guangzhou",
            "name": short(bucket),
            "region": "gz",
            "s3Region": "ap-guangzhou",
        },
        "cosNotificationId": "unkown",
        "cosObject": {
            "key": f"/1250000000/{short(bucket)}/{key}",
            "meta": meta,
            "size": size,
            "url": f"http://{bucket}.cos.ap-guangzhou.myqcloud.com/{raw.quote(key, '/')}",
            "vid": "",
        },
        "cosSchemaVersion": "1.0",
    }
    about = {
        "eventName": event,
        "eventQueue": f"qcs:0:scf:ap-guangzhou:appid/1250000000:default.{function}.$DEFAULT",
        "eventSource": "qcs::cos",
        "eventTime": when,
        "eventVersion": "1.0",
        "reqid": 0,
        "requestParameters": {
            "requestHeaders": {"Authorization": authorization},
            "requestSourceIP": "127.0.0.1",
        },
        "reservedInfo": "",
    }
    return {"Records": [{"cos": cos, "event": about}]}


@pytest.fixture
def change(server, bucket):
    """A COS-signed change whose `Authorization` is known; keeps what the event should say of it."""

    def run(method, key, query=(), headers=None, body=b""):
        host = {"Host": f"{bucket}.cos.ap-guangzhou.myqcloud.com", **(headers or {})}
        signed = raw.cos_authorization(server, method, f"/{key}", query, host)
        sent = {**host, "Authorization": signed, "Content-Length": str(len(body))}
        answer = raw.send(server, method, raw.target_of("/" + raw.quote(key, "/"), query), sent, body)
        assert answer.status in (200, 204), answer
        answer.authorization = signed
        return answer

    return run


@pytest.mark.parametrize("code, runtime", ECHO)
def test_every_event_is_the_services_own(server, scf, bucket, new_function, change, code, runtime):
    created, removed = new_function("created"), new_function("removed")
    for name, event in ((created, "cos:ObjectCreated:*"), (removed, "cos:ObjectRemove:*")):
        deploy(scf, name, FUNCTIONS / code, runtime)
        bind(scf, name, bucket, event)
    key, copy, big = "dir/报告 a+b.txt", "copy of #1.txt", "big.zip"
    before = int(time.time())

    about = {"Content-Type": "text/plain", "x-cos-meta-mykey": "myvalue"}
    put = change("PUT", key, headers=about, body=b"hello")
    source = f"{bucket}.cos.ap-guangzhou.myqcloud.com/{raw.quote(key, '/')}"
    copied = change("PUT", copy, headers={"x-cos-copy-source": source})
    start = change("POST", big, [("uploads", "")], {"Content-Type": "application/zip"})
    upload = start.xml().findtext("UploadId")
    parts = [b"p" * MIB, b"end"]
    etags = []
    for number, body in enumerate(parts, 1):
        query = [("partNumber", str(number)), ("uploadId", upload)]
        etags.append(change("PUT", big, query, body=body).header("etag"))
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in enumerate(etags, 1))
    document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    completed = change("POST", big, [("uploadId", upload)], body=document)
    deleted = change("DELETE", key)
    change("DELETE", "was never there")

    server.wait()
    after = int(time.time())
    hello = f'"{raw.md5(b"hello")}"'
    put_meta = {**about, "ETag": hello, "x-cos-storage-class": "Standard"}

    def identified(meta, answer):
        return {**meta, "x-cos-request-id": answer.header("x-cos-request-id")}

    wanted = {
        "cos:ObjectCreated:Put": (created, key, identified(put_meta, put), 5, put),
        "cos:ObjectCreated:Copy": (created, copy, identified(put_meta, copied), 5, copied),
        "cos:ObjectCreated:CompleteMultipartUpload": (
            created,
            big,
            identified(
                {
                    "Content-Type": "application/zip",
                    "ETag": completed.xml().findtext("ETag"),
                    "x-cos-storage-class": "Standard",
                },
                completed,
            ),
            MIB + 3,
            completed,
        ),
        "cos:ObjectRemove:Delete": (removed, key, identified({"Content-Type": ""}, deleted), 5, deleted),
    }
    got = {event["Records"][0]["event"]["eventName"]: event for event in events_of(scf, created) + events_of(scf, removed)}
    assert set(got) == set(wanted), "each change once, and nothing for parts or for what was not there"
    for event, (function, key, meta, size, answer) in wanted.items():
        when = got[event]["Records"][0]["event"]["eventTime"]
        assert before <= when <= after
        exact = expected(function, bucket, key, event, meta, size, answer.authorization, when)
        assert got[event] == exact
        assert json.dumps(got[event]) == json.dumps(exact, sort_keys=True), "names are in alphabetical order"


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_every_kind_arrive_raw_and_encoded(server, scf, cos, bucket, new_function, key):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket, "cos:ObjectCreated:Put")
    cos.put_object(Bucket=bucket, Key=key, Body=b"x")
    server.wait()
    (event,) = events_of(scf, name)
    thing = event["Records"][0]["cos"]["cosObject"]
    assert thing["key"] == f"/1250000000/{short(bucket)}/{key}"
    assert thing["url"] == f"http://{bucket}.cos.ap-guangzhou.myqcloud.com/{raw.quote(key, '/')}"


def test_every_client_causes_events(server, scf, cos, s3, node, bucket, new_function, tmp_path):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-node", "Nodejs16.13")
    bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="by-cos", Body=b"x")
    s3.put_object(Bucket=bucket, Key="by-s3", Body=b"x", Metadata={"from": "boto3"})
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "by-s3"})
    (tmp_path / "big").write_bytes(b"m" * (9 * MIB))
    s3.upload_file(str(tmp_path / "big"), bucket, "by-transfer")
    node(
        "proxy.cjs",
        {"sdk": "cos-nodejs-sdk-v5", "bucket": bucket, "proxy": server.url, "id": server.secret_id, "key": server.secret_key},
    )
    server.wait()
    got = {e["Records"][0]["cos"]["cosObject"]["key"].split("/", 3)[3]: e["Records"][0] for e in events_of(scf, name)}
    assert {key: record["event"]["eventName"].rpartition(":")[2] for key, record in got.items()} == {
        "by-cos": "Put",
        "by-s3": "Put",
        "copied": "Copy",
        "by-transfer": "CompleteMultipartUpload",
        "目录/a b+c.txt": "Put",
    }
    assert got["by-s3"]["cos"]["cosObject"]["meta"]["x-cos-meta-from"] == "boto3"
    assert got["by-transfer"]["cos"]["cosObject"]["size"] == 9 * MIB


def test_delete_many_is_an_event_a_key(server, scf, s3, bucket, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket, "cos:ObjectRemove:Delete")
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in "abc"]})
    server.wait()
    keys = [event["Records"][0]["cos"]["cosObject"]["key"][-1] for event in events_of(scf, name)]
    assert sorted(keys) == ["a", "b", "c"]


@pytest.mark.parametrize("example, runtime", [("hello-python", "Python3.9"), ("hello-node", "Nodejs16.13")])
def test_the_examples_say_what_happened(server, tccli, cos, bucket, new_function, example, runtime):
    name = new_function(example)
    tccli(
        "CreateFunction",
        FunctionName=name,
        Runtime=runtime,
        Handler="index.main_handler",
        Code={"ZipFile": functions.base64_zip(EXAMPLES / example)},
    )
    tccli(
        "CreateTrigger",
        FunctionName=name,
        Type="cos",
        TriggerName=domain(bucket),
        TriggerDesc=description("cos:ObjectCreated:*", "up/"),
        Enable="OPEN",
    )
    request_id = cos.put_object(Bucket=bucket, Key="up/照片 1.jpg", Body=b"hello")["x-cos-request-id"]
    server.wait(request_id)
    (entry,) = tccli("GetFunctionLogs", FunctionName=name)["Data"]
    assert entry["RetCode"] == 0
    assert f"cos:ObjectCreated:Put {short(bucket)} up/照片 1.jpg 5 bytes" in entry["Log"]


def test_prefix_and_suffix_both_hold(server, scf, cos, bucket, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket, "cos:ObjectCreated:Put", "in/", ".jpg")
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg", "In/a.jpg", "in/sub/b.jpg", "x/in/a.jpg", "in/a.jpg.bak"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"x")
    server.wait()
    keys = [event["Records"][0]["cos"]["cosObject"]["key"].split("/", 3)[3] for event in events_of(scf, name)]
    assert sorted(keys) == ["in/a.jpg", "in/sub/b.jpg"]


def test_only_changes_after_the_trigger_count(server, scf, cos, bucket, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    cos.put_object(Bucket=bucket, Key="before", Body=b"x")
    bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="after", Body=b"x")
    more = {"FunctionName": name, "Type": "cos", "TriggerName": domain(bucket), "Qualifier": "$DEFAULT"}
    call(scf, "UpdateTriggerStatus", TriggerDesc=description("cos:ObjectCreated:*"), Enable="CLOSE", **more)
    cos.put_object(Bucket=bucket, Key="while closed", Body=b"x")
    call(scf, "UpdateTriggerStatus", TriggerDesc=description("cos:ObjectCreated:*"), Enable="OPEN", **more)
    cos.put_object(Bucket=bucket, Key="open again", Body=b"x")
    call(scf, "DeleteTrigger", TriggerDesc=description("cos:ObjectCreated:*"), **more)
    cos.put_object(Bucket=bucket, Key="deleted", Body=b"x")
    server.wait()
    keys = [event["Records"][0]["cos"]["cosObject"]["key"].split("/", 3)[3] for event in events_of(scf, name)]
    assert keys == ["after", "open again"]


def test_a_trigger_made_closed_is_silent(server, scf, cos, bucket, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket, Enable="CLOSE")
    cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait()
    assert functions.logs(scf, name) == [] and server.deliveries(name) == []


# Failure


def test_a_failing_function_is_tried_three_times(server, scf, cos, bucket, new_function):
    name = new_function()
    deploy(scf, name, {"index.py": "def main_handler(event, context):\n    print('trying')\n    raise ValueError('never')\n"})
    bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait()
    entries = functions.logs(scf, name)
    assert [entry["RetryNum"] for entry in entries] == [0, 1, 2]
    assert len({entry["RequestId"] for entry in entries}) == 1
    for entry in entries:
        assert entry["RetCode"] not in (0, 2, 3) and entry["InvokeFinished"] == 1
        assert "trying" in entry["Log"] and "ValueError: never" in entry["Log"]
        assert f"ERROR RequestId:{entry['RequestId']}" in entry["Log"]
    failed = call(scf, "GetFunctionLogs", FunctionName=name, Filter={"RetCode": "not0"})
    assert failed["TotalCount"] == 3
    (delivery,) = server.deliveries(name)
    assert (delivery["state"], len(delivery["attempts"])) == ("dead", 3)
    assert delivery["id"] == entries[0]["RequestId"]


def test_a_function_that_recovers_succeeds(server, scf, cos, bucket, new_function, tmp_path):
    name = new_function()
    code = "\n".join(
        [
            "import os",
            "def main_handler(event, context):",
            "    with open(os.environ['TRIES'], 'a+') as tries:",
            "        tries.write('x')",
            "        tries.seek(0)",
            "        if len(tries.read()) < 2:",
            "            raise ValueError('not yet')",
        ]
    )
    deploy(scf, name, {"index.py": code}, env={"TRIES": tmp_path / "tries"})
    bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait()
    assert [entry["RetCode"] == 0 for entry in functions.logs(scf, name)] == [False, True]
    (delivery,) = server.deliveries(name)
    assert delivery["state"] == "succeeded"


@pytest.fixture(scope="module")
def bare():
    """A client of a server whose functions' process numbers are the machine's."""
    with Instance(None, "--isolation", "off") as server:
        yield functions.client(server)


@pytest.mark.parametrize(
    "code, handler, status",
    [
        ({"index.py": "def main_handler(:\n"}, "index.main_handler", "443"),
        ({"index.py": "x = 1\n"}, "index.main_handler", "437"),
        ({"other.py": "x = 1\n"}, "index.main_handler", "437"),
    ],
)
def test_code_that_cannot_run_says_so(scf, new_function, code, handler, status):
    name = new_function()
    deploy(scf, name, code, handler=handler)
    result = call(scf, "Invoke", FunctionName=name)["Result"]
    assert result["InvokeResult"] != 0 and status in result["RetMsg"], result


# The write never waits


@pytest.fixture
def gate(tmp_path):
    """Two pipes: the function says that it runs, the test says when it may end."""

    class Gate:
        started, leave = tmp_path / "started", tmp_path / "leave"
        code = {
            "index.py": "\n".join(
                [
                    "import os",
                    "def main_handler(event, context):",
                    "    with open(os.environ['STARTED'], 'w') as started:",
                    "        started.write('x')",
                    "    return os.read(os.open(os.environ['LEAVE'], os.O_RDONLY), 1).decode()",
                ]
            )
        }

        def __init__(self):
            os.mkfifo(self.started)
            os.mkfifo(self.leave)
            self.env = {"STARTED": self.started, "LEAVE": self.leave}
            self._started = os.open(self.started, os.O_RDONLY | os.O_NONBLOCK)
            self._leave = os.open(self.leave, os.O_RDWR)

        def wait_for_start(self):
            poll = select.poll()
            poll.register(self._started, select.POLLIN)
            assert poll.poll(60_000), "the function did not start"
            assert os.read(self._started, 1) == b"x"

        def open(self):
            """Lets every function go: those that wait and those to come."""
            os.write(self._leave, b"x" * 100)

        def close(self):
            self.open()
            os.close(self._started)
            os.close(self._leave)

    gate = Gate()
    yield gate
    gate.close()


def test_a_write_returns_while_its_function_runs(server, scf, cos, bucket, new_function, gate):
    name = new_function()
    deploy(scf, name, gate.code, Timeout=60, env=gate.env)
    bind(scf, name, bucket)
    put = cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    gate.wait_for_start()
    assert put["ETag"], "the write was acknowledged"
    assert not server.is_quiet()
    (delivery,) = server.deliveries(name)
    assert delivery["state"] == "running"
    cos.put_object(Bucket=bucket, Key="another", Body=b"y")
    assert cos.get_object(Bucket=bucket, Key="k")["Content-Length"] == "1"
    gate.open()
    server.wait()
    assert {delivery["state"] for delivery in server.deliveries(name)} == {"succeeded"}


def test_wait_answers_for_one_request(server, scf, cos, bucket, new_function, gate):
    slow, quick = new_function("slow"), new_function("quick")
    deploy(scf, slow, gate.code, Timeout=60, env=gate.env)
    deploy(scf, quick, FUNCTIONS / "echo-python")
    bind(scf, slow, bucket, prefix="slow/")
    bind(scf, quick, bucket, prefix="quick/")
    cos.put_object(Bucket=bucket, Key="slow/k", Body=b"x")
    gate.wait_for_start()
    request_id = cos.put_object(Bucket=bucket, Key="quick/k", Body=b"x")["x-cos-request-id"]
    server.wait(request_id)
    assert len(events_of(scf, quick)) == 1
    assert not server.is_quiet()
    gate.open()
    server.wait()


def test_instances_stay_warm_and_change_with_the_code(bare):
    scf, name = bare, "warm"
    code = "import os\ndef main_handler(event, context):\n    return os.getpid()\n"
    deploy(scf, name, {"index.py": code})

    def pid():
        return json.loads(call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"])

    first = pid()
    assert pid() == first
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=functions.base64_zip({"index.py": code + "# new\n"}))
    assert pid() != first
    assert gone(first)


def test_many_writes_are_many_deliveries(server, scf, s3, bucket, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    bind(scf, name, bucket)
    keys = [f"k{number:03}" for number in range(200)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    server.wait()
    seen = [e["Records"][0]["cos"]["cosObject"]["key"].rpartition("/")[2] for e in events_of(scf, name)]
    assert sorted(seen) == keys


# Triggers that could never fire


def refused(scf, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as caught:
        call(scf, action, **parameters)
    return caught.value.get_code()


@pytest.fixture
def trigger(scf, new_function):
    """A request that makes a trigger for a new function, to be spoiled."""
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")

    def request(bucket, event="cos:ObjectCreated:*", prefix="", suffix="", **change):
        return {
            "FunctionName": name,
            "Type": "cos",
            "TriggerName": domain(bucket),
            "TriggerDesc": description(event, prefix, suffix),
            "Qualifier": "$DEFAULT",
            "Enable": "OPEN",
            **change,
        }

    return request


def test_another_region_is_refused(server, scf, new_bucket, trigger):
    beijing = new_bucket("beijing")
    cos_client(server, Region="ap-beijing").create_bucket(Bucket=beijing)
    name = domain(beijing, "ap-beijing")
    assert refused(scf, "CreateTrigger", **trigger(beijing, TriggerName=name)) in (
        "UnauthorizedOperation.Region",
        "InvalidParameterValue.TriggerName",
    )


def test_what_is_missing_or_unknown_is_refused(scf, bucket, new_bucket, new_function, trigger):
    def code(**change):
        return refused(scf, "CreateTrigger", **{**trigger(bucket), **change})

    assert code(FunctionName=new_function()).startswith("ResourceNotFound.Function")
    assert code(TriggerName=domain(new_bucket())) == "ResourceNotFound.Cos"
    assert code(TriggerName="nonsense") == "InvalidParameterValue.TriggerName"
    for event in ("s3:ObjectCreated:Put", "cos:ObjectRemoved:Delete", "cos:ObjectRestore:*", ""):
        assert code(TriggerDesc=description(event)) == "InvalidParameterValue.TriggerDesc", event
    assert code(TriggerDesc="not json") == "InvalidParameterValue.TriggerDesc"
    assert code(Type="carrier-pigeon") == "InvalidParameterValue.Type"
    assert code(Enable="MAYBE") == "InvalidParameterValue.Enable"
    assert code(Qualifier="7") == "ResourceNotFound.Qualifier"
    assert call(scf, "ListTriggers", FunctionName=trigger(bucket)["FunctionName"])["TotalCount"] == 0


def test_overlapping_rules_are_refused(scf, bucket, new_function, trigger):
    other = new_function("other")
    deploy(scf, other, FUNCTIONS / "echo-python")
    call(scf, "CreateTrigger", **trigger(bucket, "cos:ObjectCreated:Put", "Log", ".txt"))
    conflict = "InvalidParameterValue.CosNotifyRuleConflict"
    for event, prefix, suffix in [
        ("cos:ObjectCreated:Put", "Lo", ".txt"),
        ("cos:ObjectCreated:*", "", ""),
        ("cos:ObjectCreated:*", "Logs/", ".txt"),
        ("cos:ObjectCreated:Put", "", ".txt"),
    ]:
        request = trigger(bucket, event, prefix, suffix, FunctionName=other)
        assert refused(scf, "CreateTrigger", **request) == conflict, (event, prefix, suffix)
    assert refused(scf, "CreateTrigger", **trigger(bucket, "cos:ObjectCreated:Put", "Log", ".txt")) in (
        "ResourceInUse.Trigger",
        "ResourceInUse.TriggerName",
        conflict,
    )
    for event, prefix, suffix in [
        ("cos:ObjectCreated:Put", "Other", ".txt"),
        ("cos:ObjectCreated:Put", "Log", ".png"),
        ("cos:ObjectCreated:Copy", "Log", ".txt"),
        ("cos:ObjectRemove:*", "", ""),
    ]:
        call(scf, "CreateTrigger", **trigger(bucket, event, prefix, suffix, FunctionName=other))


# The command line


def test_the_command_line_does_it_all(server, cos, bucket, new_function):
    name = new_function("cli")
    server.cli(
        "function",
        "deploy",
        EXAMPLES / "hello-python",
        "--name",
        name,
        "--runtime",
        "Python3.9",
        "--handler",
        "index.main_handler",
        "--trigger",
        f"{bucket},cos:ObjectCreated:*,in/,.txt",
    )
    assert name in server.cli("function", "list").stdout
    cos.put_object(Bucket=bucket, Key="in/a b.txt", Body=b"hello")
    cos.put_object(Bucket=bucket, Key="out/a.txt", Body=b"hello")
    server.cli("wait")
    logs = server.cli("logs", name).stdout
    assert f"cos:ObjectCreated:Put {short(bucket)} in/a b.txt 5 bytes" in logs
    assert "out/a.txt" not in logs and "START RequestId:" in logs and "END RequestId:" in logs
    assert server.cli("function", "invoke", name, "--event", '{"Records": []}').stdout.strip().endswith("[]")
    again = ["function", "deploy", EXAMPLES / "hello-node", "--name", name, "--handler", "index.main_handler"]
    refused = server.cli(*again, "--runtime", "Nodejs16.13", check=False)
    assert refused.returncode == 0 or "untime" in refused.stderr, "a runtime cannot change: say so"
    server.cli("function", "delete", name)
    assert name not in server.cli("function", "list").stdout
    missing = server.cli("logs", name, check=False)
    assert missing.returncode != 0 and missing.stderr


# Processes end with the server


def test_functions_end_with_the_server(tmp_path):
    with Instance(tmp_path / "data", "--isolation", "off", log=tmp_path / "log") as server:
        scf = functions.client(server)
        code = "import os\ndef main_handler(event, context):\n    return os.getpid()\n"
        deploy(scf, "warm", {"index.py": code})
        pid = int(call(scf, "Invoke", FunctionName="warm")["Result"]["RetMsg"])
        assert server.stop() == 0
    assert gone(pid)


# Custom runtimes

BOOTSTRAP = """#!/usr/bin/env python3
import os, urllib.request

base = f"http://{os.environ['SCF_RUNTIME_API']}:{os.environ['SCF_RUNTIME_API_PORT']}/runtime"

def call(path, body=None):
    return urllib.request.urlopen(urllib.request.Request(f"{base}/{path}", data=body))

call("init/ready", b" ")
while True:
    with call("invocation/next") as event:
        body, request = event.read(), event.headers["request_id"]
    print("handler", os.environ["_HANDLER"], "request", request, flush=True)
    path = "invocation/error" if b"fail" in body else "invocation/response"
    call(path, body if path.endswith("response") else b"as asked")
"""


def test_a_custom_runtime_speaks_the_services_protocol(server, scf, cos, bucket, new_function):
    name = new_function()
    deploy(scf, name, {"bootstrap": BOOTSTRAP}, "CustomRuntime", "anything.goes")
    good = call(scf, "Invoke", FunctionName=name, ClientContext='{"a": 1}', LogType="Tail")["Result"]
    assert json.loads(good["RetMsg"]) == {"a": 1}
    assert f"handler anything.goes request {good['FunctionRequestId']}" in good["Log"]
    failed = call(scf, "Invoke", FunctionName=name, ClientContext='"fail"')["Result"]
    assert failed["InvokeResult"] == 1 and "430" in failed["RetMsg"] and "as asked" in failed["RetMsg"]
    bind(scf, name, bucket)
    cos.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait()
    last = functions.logs(scf, name)[-1]
    assert last["RetCode"] == 0 and json.loads(last["RetMsg"])["Records"][0]["event"]["eventName"] == "cos:ObjectCreated:Put"


def test_logs_follow_what_comes(server, scf, cos, bucket, new_function):
    name = new_function("followed")
    deploy(scf, name, EXAMPLES / "hello-python")
    bind(scf, name, bucket)
    follower = subprocess.Popen(
        [str(BINARY), "logs", name, "--follow"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(COSETTE_ENDPOINT=server.url),
    )
    guard = threading.Timer(60, follower.kill)
    guard.start()
    try:
        for key in ("one", "two"):
            cos.put_object(Bucket=bucket, Key=key, Body=b"hello")
            wanted = f"cos:ObjectCreated:Put {short(bucket)} {key} 5 bytes"
            assert any(wanted in line for line in follower.stdout), "the line came while the command runs"
    finally:
        guard.cancel()
        follower.terminate()
        follower.wait(30)
