"""`cosette rule` and `cosette webhook`, by their own processes, and what goes where by them."""

import hashlib
import hmac
import json

import pytest

from support import functions
from support.receiver import Receiver

ECHO = {"index.py": "import json\ndef main_handler(event, context):\n    return json.dumps(event)\n"}


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def posts(receiver, name):
    """All so far."""
    found = receiver.of(name)
    return [found.get_nowait() for _ in range(found.qsize())]


@pytest.fixture
def hook(server, unique):
    name = unique("hook")
    yield name
    server.cli("webhook", "remove", name, check=False)


def rows(server, *arguments):
    return [json.loads(line) for line in server.cli(*arguments, "--json").stdout.splitlines()]


def test_a_webhook_and_its_rule(server, cos, bucket, receiver, hook):
    made = server.cli("webhook", "add", hook, f"{receiver.url}/{hook}", "--timeout", "5s", "--max-age", "2m", "--retries", "1")
    secret = made.stdout.strip()
    assert secret and made.stderr == f"webhook {hook}  {receiver.url}/{hook}  signed\n"
    rule = server.cli("rule", "add", f"{bucket},created,in/,.txt", f"webhook:{hook}", "--description", "new texts").stdout.strip()
    shown = server.cli("rule", "list", "--bucket", bucket).stdout
    assert shown == f"{rule}  {bucket},cos:ObjectCreated:*,in/,.txt  webhook:{hook}  cos  new texts\n"
    for key in ("in/a.txt", "in/a.jpg", "out/a.txt"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"1")
    server.cli("wait")
    [post] = posts(receiver, hook)
    assert json.loads(post.body)["Records"][0]["cos"]["cosObject"]["key"].endswith("/in/a.txt")
    seconds, signature = (part.split("=", 1)[1] for part in post.headers["x-cosette-signature"].split(","))
    assert signature == hmac.new(secret.encode(), seconds.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    [row] = [row for row in rows(server, "webhook", "list") if row["name"] == hook]
    assert (row["timeout_ms"], row["max_age_secs"], row["retries"], row["signed"]) == (5000, 120, 1, True)
    assert "secret" not in row
    assert server.cli("rule", "remove", rule).stderr.startswith(f"ended rule {rule}  {bucket},")
    cos.put_object(Bucket=bucket, Key="in/b.txt", Body=b"1")
    server.cli("wait")
    assert posts(receiver, hook) == []
    assert server.cli("webhook", "remove", hook).stderr == f"removed webhook {hook}\n"
    assert hook not in server.cli("webhook", "list").stdout


def test_changing_a_webhook_keeps_its_secret(server, receiver, hook):
    first = server.cli("webhook", "add", hook, f"{receiver.url}/a", "--secret", "own")
    assert first.stdout == "own\n"
    again = server.cli("webhook", "add", hook, f"{receiver.url}/b", "--dead-letter", "bucket:late-1250000000/x/", check=False)
    assert (again.returncode, again.stdout) == (1, "")
    again = server.cli("webhook", "add", hook, f"{receiver.url}/b", "--concurrency", "2")
    assert (again.stdout, again.stderr) == ("", f"webhook {hook}  {receiver.url}/b  signed\n")
    plain = server.cli("webhook", "add", hook, f"{receiver.url}/b", "--unsigned")
    assert (plain.stdout, plain.stderr) == ("", f"webhook {hook}  {receiver.url}/b  unsigned\n")


def test_a_rule_for_a_function_under_an_alias(server, cos, scf, bucket, new_function):
    name = new_function()
    functions.deploy(scf, name, ECHO)
    refused = server.cli("rule", "add", f"{bucket},created", f"function:{name}:gone", check=False)
    assert (refused.returncode, refused.stdout) == (1, "") and name in refused.stderr
    made = json.loads(server.cli("rule", "add", f"{bucket},ObjectCreated:Put", f"function:{name}", "--style", "s3", "--disabled", "--json").stdout)
    assert (made["enabled"], made["style"], made["target"]["function"]["name"]) == (False, "s3", name)
    assert server.cli("rule", "list", "--bucket", bucket).stdout.endswith(f"  function:{name}  s3  off\n")
    server.cli("rule", "remove", made["id"])
    made = server.cli("rule", "add", f"{functions.domain(bucket)},ObjectCreated:Put", f"function:{name}", "--style", "s3").stdout.strip()
    cos.put_object(Bucket=bucket, Key="k", Body=b"1")
    server.cli("wait")
    [run] = server.invocations(name)
    assert json.loads(json.loads(run["result"]))["Records"][0]["eventSource"] == "aws:s3"
    server.cli("rule", "remove", made)
    gone = server.cli("rule", "remove", made, check=False)
    assert gone.returncode == 1 and "404" in gone.stderr


@pytest.mark.parametrize(
    "line",
    [
        ("rule", "add", "b,created", "orders"),
        ("rule", "add", "b,nothing", "webhook:orders"),
        ("webhook", "add", "orders"),
        ("webhook", "add", "orders", "http://127.0.0.1/", "--secret", "a", "--unsigned"),
    ],
)
def test_what_is_no_command(server, line):
    assert server.cli(*line, check=False).returncode == 2
