"""Why something did or did not happen: the timeline of an object, and following what happens."""

import json
import subprocess

import pytest
from support import functions
from support.clients import s3_client
from support.functions import FUNCTIONS, bind, call, deploy, description, domain
from support.instance import BINARY, Instance, clean_environment

FAILS = {"index.py": "def main_handler(event, context):\n    print('about to fail')\n    raise ValueError('always')\n"}
PUT = "cos:ObjectCreated:Put"


def explained(server, bucket, key, *more):
    return json.loads(server.cli("explain", f"{bucket}/{key}", "--json", *more).stdout)


def entries(answer, what):
    return [entry for entry in answer["timeline"] if entry["what"] == what]


def why(answer, prefix):
    """Of the one rule with this prefix, for the one change."""
    (entry,) = [one for one in entries(answer, "rule") if one["rule"]["prefix"] == prefix]
    return entry["why"]


def unbind(scf, name, bucket, prefix, suffix):
    call(
        scf,
        "DeleteTrigger",
        FunctionName=name,
        Type="cos",
        TriggerName=domain(bucket),
        TriggerDesc=description(PUT, prefix, suffix),
        Qualifier="$DEFAULT",
    )


def test_every_reason_is_the_exact_one(server, scf, bucket, s3, new_function):
    echo = new_function()
    deploy(scf, echo, FUNCTIONS / "echo-python")
    bind(scf, echo, bucket, "cos:ObjectCreated:Copy", "k")
    bind(scf, echo, bucket, PUT, "other/")
    bind(scf, echo, bucket, PUT, "ke", ".jpg")
    bind(scf, echo, bucket, PUT, "key.", ".txt")
    unbind(scf, echo, bucket, "key.", ".txt")
    bind(scf, echo, bucket, PUT, "key.t", ".txt", Enable="CLOSE")
    s3.put_object(Bucket=bucket, Key="key.txt", Body=b"x")
    server.wait()
    answer = explained(server, bucket, "key.txt")
    assert why(answer, "k") == f"the rule does not listen to {PUT}"
    assert why(answer, "other/") == 'the key does not begin with "other/"'
    assert why(answer, "ke") == 'the key does not end with ".jpg"'
    assert why(answer, "key.t") == "the rule was disabled at that time"
    assert why(answer, "key.") == "the rule had been deleted before"
    assert not any(one["matched"] for one in entries(answer, "rule"))
    unbind(scf, echo, bucket, "key.t", ".txt")
    bind(scf, echo, bucket, PUT, "key.tx", ".txt")
    answer = explained(server, bucket, "key.txt")
    assert why(answer, "key.tx") == "the rule was created later"
    assert why(answer, "key.t") == "the rule was disabled at that time", "as it was before it was deleted"
    # What comes later is judged by itself.
    s3.put_object(Bucket=bucket, Key="key.txt", Body=b"y")
    server.wait()
    (latest,) = entries(explained(server, bucket, "key.txt", "--max", "1"), "delivery")
    assert latest["delivery"]["state"] == "succeeded"
    assert explained(server, bucket, "key.txt", "--max", "1")["truncated"]


def test_a_bucket_that_was_made_anew_elsewhere_fires_no_old_rule(server, scf, s3, new_bucket, new_function):
    bucket, echo = new_bucket(), new_function()
    s3.create_bucket(Bucket=bucket)
    deploy(scf, echo, FUNCTIONS / "echo-python")
    bind(scf, echo, bucket)
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-shanghai"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    server.wait()
    (rule,) = entries(explained(server, bucket, "k"), "rule")
    assert rule["why"] == "the bucket was in ap-shanghai then, another region than the rule's"


def test_attempts_stand_below_their_delivery_with_their_logs(server, scf, bucket, s3, new_function):
    fails = new_function()
    deploy(scf, fails, FAILS)
    bind(scf, fails, bucket)
    s3.put_object(Bucket=bucket, Key="a b/照片", Body=b"x")
    server.wait()
    answer = explained(server, bucket, "a b/照片")
    assert [entry["what"] for entry in answer["timeline"]] == ["change", "rule", "delivery", *["attempt"] * 3]
    assert [entry["depth"] for entry in answer["timeline"]] == [0, 1, 2, 3, 3, 3]
    assert answer["timeline"][2]["delivery"]["state"] == "dead"
    attempts = entries(answer, "attempt")
    ids = {entry["requestId"] for entry in attempts}
    assert len(ids) == 1
    assert all(entry["status"] == 430 and "about to fail" in entry["log"] for entry in attempts)
    times = [entry["time"] for entry in answer["timeline"] if entry["time"]]
    assert times == sorted(times)
    text = server.cli("explain", f"{bucket}/a b/照片").stdout
    assert text.count("| about to fail") == 3 and "is dead: 430" in text


def test_an_object_nothing_is_known_of(server, bucket, s3):
    assert server.cli("explain", f"{bucket}/none").stdout == f"no change of {bucket}/none is known\n"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "the bucket has no rule" in server.cli("explain", f"{bucket}/k").stdout
    assert server.cli("explain", bucket, check=False).returncode == 2


def test_what_happens_is_followed_with_the_ends_of_deliveries(server, scf, bucket, s3, new_function):
    echo = new_function()
    deploy(scf, echo, FUNCTIONS / "echo-python")
    bind(scf, echo, bucket, prefix="in/")
    s3.put_object(Bucket=bucket, Key="in/before", Body=b"x")
    server.wait()
    command = [str(BINARY), "events", "--follow", "--json", "--bucket", bucket, "--key-prefix", "in/"]
    env = clean_environment(COSETTE_ENDPOINT=server.url)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as follower:
        assert json.loads(follower.stdout.readline())["key"] == "in/before"
        s3.put_object(Bucket=bucket, Key="out/a", Body=b"x")
        s3.put_object(Bucket=bucket, Key="in/a", Body=b"x")
        change, ended = (json.loads(follower.stdout.readline()) for _ in range(2))
        assert (change["key"], change["kind"]) == ("in/a", PUT)
        assert (ended["source"]["seq"], ended["state"]) == (change["seq"], "succeeded")
        follower.terminate()


def test_a_look_waits_for_what_is_asked_for_and_no_longer_than_said(server, bucket, s3):
    head = server.head()
    asked = f"changes?after={head}&bucket={bucket}&key_prefix=a&wait_ms="
    assert server.admin("GET", asked + "1")["changes"] == []
    s3.put_object(Bucket=bucket, Key="b", Body=b"x")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    answer = server.admin("GET", asked + "60000")
    assert [change["key"] for change in answer["changes"]] == ["a"]
    assert server.admin("GET", f"changes?after={answer['next']}&bucket={bucket}")["changes"] == []


def test_only_so_many_deliveries_and_logs_are_kept(tmp_path):
    with Instance(tmp_path / "data", "--keep-deliveries", "8", "--keep-logs", "5") as server:
        s3, scf = s3_client(server), functions.client(server)
        s3.create_bucket(Bucket="b-1250000000")
        deploy(scf, "echo", FUNCTIONS / "echo-python")
        bind(scf, "echo", "b-1250000000")
        for n in range(20):
            s3.put_object(Bucket="b-1250000000", Key=f"{n}", Body=b"x")
            server.wait()
        assert 7 <= len(server.deliveries("echo")) <= 8
        assert len(server.invocations("echo")) == 5
        (rule,) = entries(explained(server, "b-1250000000", "0"), "rule")
        assert (rule["matched"], rule["why"]) == (True, "its delivery is no longer known")


@pytest.mark.parametrize("query", ["", "?bucket=b", "?key=k", "?bucket=&key=k", "?bucket=b-1250000000&key=k&max=x"])
def test_what_is_not_named_is_not_explained(server, query):
    with pytest.raises(AssertionError, match="400"):
        server.admin("GET", f"explain{query}")
