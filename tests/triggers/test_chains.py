"""What a function does is known as its doing: by which invocation, and how far it is from a client's request."""

import os
import sys

import pytest
from support import functions
from support.clients import s3_client
from support.functions import FUNCTIONS, bind, deploy
from support.instance import Instance

LOOP_LIMIT = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Functions find the SDKs of the tests; no chain has more than three invocations."""
    where = tmp_path_factory.mktemp("chains")
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    with Instance(where / "data", log=where / "log", env={"PATH": path}) as instance:
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


@pytest.mark.parametrize("how", ["boto", "cos", "presigned", "form", "assumed"])
def test_a_write_by_a_function_names_its_invocation(server, scf, bucket, s3, new_bucket, new_writer, how):
    target = new_bucket("target")
    s3.create_bucket(Bucket=target)
    name = new_writer(how, target)
    bind(scf, name, bucket)
    # The second is run by the same instance, under the same keys.
    for key in ("first", "second"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        server.wait()
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
    server.wait()
    written = of_key(server, target, f"boto/{how}/k")
    (called,) = server.invocations(writer)
    assert (written["depth"], written["invocation"]) == (2, called["requestId"])
    assert called["by"] == server.deliveries(caller)[0]["id"]


def test_a_clients_own_call_begins_a_chain(server, scf, bucket, new_writer):
    writer = new_writer("boto", bucket)
    answer = functions.call(scf, "Invoke", FunctionName=writer, ClientContext='{"key": "k"}')
    written = of_key(server, bucket, "boto/k")
    assert (written["depth"], written["invocation"]) == (1, answer["Result"]["FunctionRequestId"])
