"""What a function does is known as its doing: by which invocation, and how far it is from a client's request."""

import os
import sys

import pytest
from support import functions
from support.clients import cos_client, s3_client
from support.functions import FUNCTIONS, bind, deploy
from support.instance import Instance

LOOP_LIMIT = 3
# SDKs take their time to load on a machine that has much else to do.
PATIENCE_MS = 110_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Functions find the SDKs of the tests; no chain has more than three invocations."""
    where = tmp_path_factory.mktemp("chains")
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    arguments = ["--loop-limit", str(LOOP_LIMIT)]
    with Instance(where / "data", *arguments, log=where / "log", env={"PATH": path}) as instance:
        yield instance


@pytest.fixture
def new_writer(server, scf, new_function):
    """Makes functions that write in the given way; what else they need follows."""

    def make(how, bucket="", target=""):
        name = new_function(how.replace("_", "-"))
        env = {"ENDPOINT": server.url, "HOW": how}
        env |= {"BUCKET": bucket} if bucket else {}
        env |= {"TARGET": target} if target else {}
        deploy(scf, name, FUNCTIONS / "chain", Timeout=60, env=env)
        return name

    return make


def of_key(server, bucket, key):
    return next(change for change in server.changes(bucket=bucket) if change["key"] == key)


def test_a_wait_for_a_request_covers_copies_of_what_a_function_wrote(server, scf, bucket, s3, new_bucket, new_writer):
    source, copies = new_bucket("source"), new_bucket("copies")
    for cos, name in ((cos_client(server), source), (cos_client(server, Region="ap-shanghai"), copies)):
        cos.create_bucket(Bucket=name)
        cos.put_bucket_versioning(Bucket=name, Status="Enabled")
    rule = {"ID": "r", "Status": "Enabled", "Prefix": "", "Destination": {"Bucket": f"qcs::cos:ap-shanghai::{copies}"}}
    role = f"qcs::cam::uin/{server.uin}:uin/{server.uin}"
    cos_client(server).put_bucket_replication(
        Bucket=source, ReplicationConfiguration={"Role": role, "Rule": [rule]}
    )
    bind(scf, new_writer("boto", source), bucket)
    for n in range(5):
        put = s3.put_object(Bucket=bucket, Key=f"{n}", Body=b"x")
        server.wait(put["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"], timeout_ms=PATIENCE_MS)
        assert [change["key"] for change in server.changes(bucket=copies) if change["key"]][-1] == f"boto/{n}"


@pytest.mark.parametrize("how", ["boto", "cos", "presigned", "form", "assumed"])
def test_a_write_by_a_function_names_its_invocation(server, scf, bucket, s3, new_bucket, new_writer, how):
    target = new_bucket("target")
    s3.create_bucket(Bucket=target)
    name = new_writer(how, target)
    bind(scf, name, bucket)
    # The second is run by the same instance, under the same keys.
    for key in ("first", "second"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        server.wait(timeout_ms=PATIENCE_MS)
        written, cause = of_key(server, target, f"{how}/{key}"), of_key(server, bucket, key)
        delivery = server.deliveries(name)[0]
        assert delivery["state"] == "succeeded", delivery
        assert (written["depth"], written["invocation"]) == (1, delivery["id"])
        assert (cause["depth"], cause["invocation"]) == (0, None)
    assert server.deliveries(name)[0]["id"] != server.deliveries(name)[1]["id"]


@pytest.mark.parametrize("how", ["call", "call_later"])
def test_a_chain_goes_on_through_calls_of_functions(server, scf, bucket, s3, new_bucket, new_writer, how):
    target = new_bucket("target")
    s3.create_bucket(Bucket=target)
    writer = new_writer("boto", target)
    caller = new_writer(how, target=writer)
    bind(scf, caller, bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait(timeout_ms=PATIENCE_MS)
    written = of_key(server, target, f"boto/{how}/k")
    (called,) = server.invocations(writer)
    assert (written["depth"], written["invocation"]) == (2, called["requestId"])
    assert called["by"] == server.deliveries(caller)[0]["id"]


def test_a_clients_own_call_begins_a_chain(server, scf, bucket, new_writer):
    writer = new_writer("boto", bucket)
    answer = functions.call(scf, "Invoke", FunctionName=writer, ClientContext='{"key": "k"}')
    written = of_key(server, bucket, "boto/k")
    assert (written["depth"], written["invocation"]) == (1, answer["Result"]["FunctionRequestId"])


def test_a_function_that_triggers_itself_is_stopped_with_its_chain(server, scf, bucket, s3, new_writer):
    name = new_writer("boto", bucket)
    bind(scf, name, bucket)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    told = server.wait(answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"], PATIENCE_MS)
    keys = ["k", "boto/k", "boto/boto/k", "boto/boto/boto/k"]
    assert [change["key"] for change in told["changes"]] == keys
    assert [change["depth"] for change in told["changes"]] == [0, 1, 2, 3]
    *ran, stopped = told["deliveries"]
    assert [delivery["state"] for delivery in ran] == ["succeeded"] * LOOP_LIMIT
    assert (stopped["state"], stopped["attempts"]) == ("dead", [])
    steps = " -> ".join(f"cos:ObjectCreated:Put {bucket}/{key} -> {name}" for key in keys)
    limit = f"loop guard: 3 invocations led to this change, and the limit is 3: {steps}"
    assert stopped["detail"] == limit
    assert [link["invocation"] for link in stopped["chain"]] == [delivery["id"] for delivery in ran]
    assert [one["requestId"] for one in told["invocations"]] == [delivery["id"] for delivery in ran]
    assert "loop guard" in server.log_text()
    # The explanation says it in the same words, below what led there.
    explained = server.cli("explain", f"{bucket}/k").stdout
    assert "loop guard: 3 invocations led to this change, and the limit is 3" in explained
    assert explained.count("wrote for") == LOOP_LIMIT, "the logs are shown"


def test_a_loop_through_two_buckets_is_stopped_and_outlives_a_kill(tmp_path):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    arguments = ["--loop-limit", str(LOOP_LIMIT), "--retry-interval", "100ms"]
    there, back = "there-1250000000", "back-1250000000"
    listen = []
    for round in range(2):
        with Instance(tmp_path / "data", *arguments, *listen, env={"PATH": path}) as server:
            listen = ["--listen", server.host]
            s3, scf = s3_client(server), functions.client(server)
            if round == 0:
                for source, target in ((there, back), (back, there)):
                    s3.create_bucket(Bucket=source)
                    env = {"ENDPOINT": server.url, "HOW": "boto", "BUCKET": target}
                    name = source.split("-")[0]
                    deploy(scf, name, FUNCTIONS / "chain", Timeout=60, env=env)
                server.admin("POST", "hold", {"function": "back"})
                for source in (there, back):
                    bind(scf, source.split("-")[0], source)
                request = s3.put_object(Bucket=there, Key="k", Body=b"x")
                request = request["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
                # The first has an end on record by then: one that has none would run, and write, once more.
                states = {"there": ["succeeded"], "back": ["held"]}
                while any([one["state"] for one in server.deliveries(name)] != states[name] for name in states):
                    server.admin("GET", f"changes?after={server.head()}&wait_ms=1000")
                assert not server.admin("POST", "wait", {"timeout_ms": 0, "request_id": request})["quiet"]
                server.kill()
                continue
            # Nothing is held any more; the chain goes on where it was.
            told = server.wait(request, PATIENCE_MS)
            states = [(one["function"]["name"], one["state"]) for one in told["deliveries"]]
            ran = [("there", "succeeded"), ("back", "succeeded"), ("there", "succeeded")]
            assert states == [*ran, ("back", "dead")]
            assert "loop guard" in told["deliveries"][-1]["detail"]
            assert [change["depth"] for change in told["changes"]] == [0, 1, 2, 3]


def test_a_wait_for_one_request_returns_all_that_it_caused(server, scf, s3, bucket, new_bucket, new_writer, new_function):
    second = new_bucket("second")
    s3.create_bucket(Bucket=second)
    third = new_bucket("third")
    s3.create_bucket(Bucket=third)
    first_writer, second_writer, echo = new_writer("boto", second), new_writer("cos", third), new_function()
    deploy(scf, echo, FUNCTIONS / "echo-python")
    for name, source in ((first_writer, bucket), (second_writer, second), (echo, third)):
        bind(scf, name, source)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="another", Body=b"x")
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    told = server.wait(request, PATIENCE_MS)
    keys = [(change["bucket"], change["key"]) for change in told["changes"]]
    assert keys == [(bucket, "k"), (second, "boto/k"), (third, "cos/boto/k")]
    assert [one["function"]["name"] for one in told["deliveries"]] == [first_writer, second_writer, echo]
    assert all(one["state"] == "succeeded" and one["attempts"][0]["status"] == 200 for one in told["deliveries"])
    assert [one["status"] for one in told["invocations"]] == [200, 200, 200]
    shown = server.cli("wait", "--request-id", request).stdout.splitlines()
    assert len(shown) == 6 and f"{third}/cos/boto/k" in shown[2] and "succeeded" in shown[5]
    server.wait(timeout_ms=PATIENCE_MS)
