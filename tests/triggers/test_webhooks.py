"""Webhooks as targets of rules, what they answer, and dead letters to each kind of target."""

import json
import re
import shutil
import subprocess
import threading

import pytest

from support import functions
from support.clients import s3_client
from support.instance import ROOT, Instance
from support.receiver import TIMEOUT_S, Receiver

ECHO = {"index.py": "import json\ndef main_handler(event, context):\n    return json.dumps(event)\n"}
BROKEN = {"index.py": "def main_handler(event, context):\n    raise ValueError('no')\n"}


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server():
    """A clock of its own, which stands still unless it is moved."""
    with Instance(None) as server:
        server.admin("POST", "clock", {"freeze": True})
        yield server


@pytest.fixture
def s3(server):
    return s3_client(server)


@pytest.fixture
def bucket(server, s3, unique):
    name = f"{unique('hooked')}-{server.appid}"
    s3.create_bucket(Bucket=name)
    return name


def make(server, receiver, name, **more):
    return server.admin("POST", "webhooks", {"name": name, "url": f"{receiver.url}/{name}", **more})


def listen(server, bucket, target, event="cos:ObjectCreated:*", **more):
    return server.admin("POST", "rules", {"bucket": bucket, "event": event, "target": target, **more})


def advance(server, time):
    answer = server.admin("POST", "clock", {"advance": time})
    assert answer["settled"], answer


def deliveries_to(server, target):
    """Newest first."""
    return [found for found in server.deliveries() if found["target"] == target]


def test_a_rule_posts_to_a_webhook_and_the_signature_holds(server, s3, bucket, receiver, unique):
    name = unique("hook")
    secret = make(server, receiver, name)["secret"]
    rule = listen(server, bucket, {"webhook": name}, prefix="in/")
    assert "secret" not in make(server, receiver, name, timeout_ms=5000), "one that is kept is not shown again"
    assert rule["id"] in [found["id"] for found in server.admin("GET", "rules")["rules"]]
    s3.put_object(Bucket=bucket, Key="in/a", Body=b"hello")
    post = receiver.next(name)
    assert post.message["Records"][0]["event"]["eventName"] == "cos:ObjectCreated:Put"
    assert post.headers["Content-Type"] == "application/json"
    assert (post.headers["x-cosette-attempt"], post.headers["x-cosette-event"]) == ("1", "cos:ObjectCreated:Put")
    server.wait()
    [delivery] = deliveries_to(server, {"webhook": name})
    assert delivery["id"] == post.headers["x-cosette-delivery"] and delivery["state"] == "succeeded"
    assert delivery["attempts"][0]["answer"] == "HTTP/1.1 200 OK\nsaid"

    page = (ROOT / "docs/webhooks.md").read_text()
    [python] = re.findall(r"```python\n(.*?)```", page, re.S)
    [node] = re.findall(r"```js\n(.*?)```", page, re.S)
    scope = {}
    exec(python, scope)
    signature = post.headers["x-cosette-signature"]
    assert scope["verify"](secret, signature, post.body)
    assert not scope["verify"](secret, signature, post.body + b" ")
    assert not scope["verify"]("other", signature, post.body)
    if shutil.which("node"):
        call = f"console.log(verify({json.dumps(secret)}, {json.dumps(signature)}, {json.dumps(post.body.decode())}))"
        said = subprocess.run(["node", "-e", node + call], capture_output=True, text=True, check=True).stdout
        assert said == "true\n"

    server.admin("DELETE", f"rules/{rule['id']}")
    s3.put_object(Bucket=bucket, Key="in/b", Body=b"hello")
    server.wait()
    assert receiver.all(name) == []
    server.admin("DELETE", f"webhooks/{name}")


def test_a_webhook_that_is_down_is_tried_until_it_is_up(server, s3, bucket, receiver, unique):
    name = unique("down")
    make(server, receiver, name)
    listen(server, bucket, {"webhook": name}, style="s3")
    answers = iter([503, 429, 503, 503, 200])
    receiver.answers[name] = lambda post: next(answers)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    first = receiver.next(name)
    advance(server, "10m")
    server.wait()
    posts = [first, *receiver.all(name)]
    assert [post.headers["x-cosette-attempt"] for post in posts] == ["1", "2", "3", "4", "5"]
    assert len({post.headers["x-cosette-delivery"] for post in posts}) == 1
    [delivery] = deliveries_to(server, {"webhook": name})
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 432, 500, 500, 200]
    assert delivery["attempts"][0]["error"].startswith("HTTP/1.1 503")


def test_a_webhook_that_says_no_is_asked_three_times(server, s3, bucket, receiver, unique):
    name, letters = unique("no"), unique("letters")
    make(server, receiver, letters)
    make(server, receiver, name, dead_letter={"webhook": letters})
    listen(server, bucket, {"webhook": name})
    receiver.answers[name] = 404
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    receiver.next(name)
    advance(server, "10m")
    server.wait()
    assert len(receiver.all(name)) == 2
    [letter] = receiver.all(letters)
    assert letter.headers["x-cosette-event"] == "dead-letter"
    [dead] = deliveries_to(server, {"webhook": name})
    assert dead["state"] == "dead" and letter.message["RequestId"] == dead["id"]
    assert letter.message["ErrorMessage"].startswith("HTTP/1.1 404") and len(letter.message["Attempts"]) == 3
    assert json.loads(letter.message["Body"]["ClientContext"]) == dead["event"]


def test_a_slow_webhook_holds_no_other_up(server, s3, bucket, receiver, unique):
    slow, quick = unique("slow"), unique("quick")
    freed = threading.Event()
    receiver.answers[slow] = lambda post: 200 if freed.wait(TIMEOUT_S) else 500
    make(server, receiver, slow, concurrency=1)
    make(server, receiver, quick)
    listen(server, bucket, {"webhook": slow})
    listen(server, bucket, {"webhook": quick})
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    assert [receiver.next(quick) is not None for _ in "abc"] == [True] * 3
    receiver.next(slow)
    assert receiver.all(slow) == [] and not server.is_quiet()
    freed.set()
    server.wait()


def test_dead_letters_of_a_function(server, s3, bucket, receiver, unique):
    """To a function, to a bucket, to a webhook, one after the other."""
    broken, heir, name = unique("broken"), unique("heir"), unique("lost")
    scf = functions.client(server)
    make(server, receiver, name)
    functions.deploy(scf, broken, BROKEN)
    functions.deploy(scf, heir, ECHO)
    told = make(server, receiver, unique("told"), dead_letter={"function": heir})["dead_letter"]
    assert told["function"]["name"] == heir
    functions.bind(scf, broken, bucket, "cos:ObjectCreated:Put", "in/")

    def fail(key, to):
        server.admin("POST", "dead_letter", {"function": broken, "to": to})
        request = s3.put_object(Bucket=bucket, Key=f"in/{key}", Body=b"1")["ResponseMetadata"]["HTTPHeaders"]
        server.admin("POST", "wait", {"timeout_ms": 0})
        [dead] = [d for d in wait_for_attempt(key) if d["source"]["requestId"] == request["x-amz-request-id"]]
        advance(server, "5m")
        server.wait()
        [dead] = [d for d in server.deliveries(broken) if d["id"] == dead["id"]]
        assert dead["state"] == "dead" and [a["status"] for a in dead["attempts"]] == [430] * 3
        [letter] = [d for d in server.deliveries() if d["letterOf"] == dead["id"]]
        assert letter["state"] == "succeeded", letter
        return dead, letter

    def wait_for_attempt(key):
        while True:
            found = [d for d in server.deliveries(broken) if d["source"] and d["source"]["key"] == f"in/{key}"]
            if found and found[0]["attempts"]:
                return found

    def check(letter, dead):
        assert (letter["RequestId"], letter["ErrorCode"]) == (dead["id"], -1)
        assert letter["Reason"] == dead["detail"] and len(letter["Attempts"]) == 3
        body = letter["Body"]
        assert (body["FunctionName"], body["Namespace"], body["RetryNum"]) == (broken, "default", 2)
        assert (body["RequestSource"], body["AppId"]) == ("TRIGGER_COS", int(server.appid))
        assert json.loads(body["ClientContext"]) == dead["event"]

    dead, letter = fail("a", {"function": heir})
    [invocation] = server.invocations(heir)
    assert invocation["requestId"] == letter["id"]
    check(json.loads(json.loads(invocation["result"])), dead)

    dead, letter = fail("b", {"bucket": bucket, "prefix": "dead/"})
    [found] = s3.list_objects_v2(Bucket=bucket, Prefix="dead/")["Contents"]
    assert found["Key"] == f"dead/{letter['id']}.json"
    check(json.load(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"]), dead)

    dead, letter = fail("c", {"webhook": name})
    [post] = receiver.all(name)
    assert post.headers["x-cosette-delivery"] == letter["id"]
    check(post.message, dead)

    # And as SCF has it: the webhook stands for the queue.
    queue = {"Type": "CMQ-QUEUE", "Name": name, "FilterType": ""}
    functions.call(scf, "UpdateFunctionConfiguration", FunctionName=broken, DeadLetterConfig=queue)
    assert functions.call(scf, "GetFunction", FunctionName=broken)["DeadLetterConfig"] == queue
    functions.call(scf, "UpdateFunctionConfiguration", FunctionName=broken, Timeout=5)
    assert functions.call(scf, "GetFunction", FunctionName=broken)["DeadLetterConfig"] == queue


def test_a_dead_letter_has_no_dead_letter(server, s3, bucket, receiver, unique):
    one, other = unique("one"), unique("other")
    make(server, receiver, one, retries=0)
    make(server, receiver, other, retries=0, dead_letter={"webhook": one})
    make(server, receiver, one, retries=0, dead_letter={"webhook": other})
    receiver.answers[one] = receiver.answers[other] = 400
    listen(server, bucket, {"webhook": one})
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    server.wait()
    assert (len(receiver.all(one)), len(receiver.all(other))) == (1, 1)


def test_a_letter_that_no_object_can_be_is_not_delivered(server, s3, bucket, receiver, unique):
    name, place = unique("long"), {"bucket": bucket, "prefix": "x" * 1000}
    make(server, receiver, name, retries=0, dead_letter=place)
    receiver.answers[name] = 400
    listen(server, bucket, {"webhook": name})
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    receiver.next(name)
    advance(server, "10m")
    server.wait()
    [letter] = deliveries_to(server, place)
    assert letter["state"] == "dead" and s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_what_cannot_be_is_refused(server, bucket):
    for method, path, body, status in [
        ("POST", "webhooks", {"name": "a", "url": "nonsense"}, 400),
        ("POST", "webhooks", {"name": "a", "url": "http://localhost", "dead_letter": {"webhook": "nosuch"}}, 404),
        ("DELETE", "webhooks/nosuch", None, 404),
        ("POST", "rules", {"bucket": bucket, "event": "cos:ObjectCreated:*", "target": {"webhook": "nosuch"}}, 404),
        ("POST", "rules", {"bucket": bucket, "event": "cos:Nothing", "target": {"webhook": "nosuch"}}, 400),
        ("POST", "rules", {"bucket": bucket, "event": "cos:ObjectCreated:*", "target": {"bucket": bucket}}, 400),
        ("DELETE", "rules/nosuch", None, 404),
        ("POST", "dead_letter", {"function": "nosuch", "to": None}, 404),
        ("DELETE", "rules", None, 405),
    ]:
        with pytest.raises(AssertionError, match=f": {status} "):
            server.admin(method, path, body)


def test_one_letter_for_each_dead_delivery_whatever_is_killed(tmp_path, receiver, unique):
    """Killed while the letter is under way, it comes again, under the same id, and there is no other."""
    held = threading.Event()
    receiver.answers["letters"] = lambda post: 200 if held.is_set() else (held.wait(TIMEOUT_S), 200)[1]
    receiver.answers["no"] = 400
    bucket = unique("killed")
    with Instance(tmp_path / "data") as server:
        make(server, receiver, "letters")
        make(server, receiver, "no", retries=0, dead_letter={"webhook": "letters"})
        s3 = s3_client(server)
        s3.create_bucket(Bucket=bucket)
        listen(server, bucket, {"webhook": "no"})
        s3.put_object(Bucket=bucket, Key="a", Body=b"1")
        first = receiver.next("letters")
        server.kill()
    held.set()
    with Instance(tmp_path / "data") as server:
        again = receiver.next("letters")
        server.wait()
        assert again.headers["x-cosette-delivery"] == first.headers["x-cosette-delivery"]
        assert again.body == first.body
        [dead] = deliveries_to(server, {"webhook": "no"})
        [letter] = [found for found in server.deliveries() if found["letterOf"]]
        assert (dead["state"], letter["letterOf"], letter["state"]) == ("dead", dead["id"], "succeeded")
        assert len(receiver.all("no")) == 1 and receiver.all("letters") == []
