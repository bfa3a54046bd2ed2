"""`tccli` over plain http: every action, as one would type it."""

import json
import pathlib
import subprocess
import sys

from support import functions
from support.functions import EXAMPLES, description, domain


def code_of(done):
    return done.stdout.partition("code:")[2].partition(" ")[0] or done.stderr.partition("code:")[2].partition(" ")[0]


def test_every_action(server, tccli, bucket, new_function, cos, tmp_path):
    name = new_function()
    tccli(
        "CreateFunction",
        FunctionName=name,
        Runtime="Python3.9",
        Handler="index.main_handler",
        Code={"ZipFile": functions.base64_zip(EXAMPLES / "hello-python")},
        Timeout="5",
        Environment={"Variables": [{"Key": "COLOUR", "Value": "blue"}]},
    )
    assert [row["FunctionName"] for row in tccli("ListFunctions", SearchKey=name)["Functions"]] == [name]
    got = tccli("GetFunction", FunctionName=name)
    assert (got["Status"], got["Timeout"]) == ("Active", 5)
    tccli("UpdateFunctionConfiguration", FunctionName=name, Timeout="7")
    tccli("UpdateFunctionCode", FunctionName=name, ZipFile=functions.base64_zip(EXAMPLES / "hello-python"))
    assert tccli("GetFunction", FunctionName=name)["Timeout"] == 7
    called = tccli("Invoke", FunctionName=name, ClientContext='{"Records": []}', LogType="Tail")
    assert (called["Result"]["InvokeResult"], called["Result"]["RetMsg"]) == (0, "[]")

    trigger = {"FunctionName": name, "Type": "cos", "TriggerName": domain(bucket)}
    about = description("cos:ObjectCreated:*", "in/", ".txt")
    made = tccli("CreateTrigger", **trigger, TriggerDesc=about, Qualifier="$DEFAULT", Enable="OPEN")["TriggerInfo"]
    assert (made["Type"], made["TriggerName"], made["Enable"]) == ("cos", domain(bucket), 1)
    assert (made["Qualifier"], made["BindStatus"], made["AvailableStatus"]) == ("$DEFAULT", "on", "Available")
    listed = tccli("ListTriggers", FunctionName=name)
    assert listed["TotalCount"] == 1
    shown = json.loads(listed["Triggers"][0]["TriggerDesc"])
    assert shown["event"] == "cos:ObjectCreated:*"
    assert list(shown["filter"].items()) == [("Prefix", "in/"), ("Suffix", ".txt")]
    assert tccli("GetFunction", FunctionName=name)["Triggers"][0]["TriggerName"] == domain(bucket)

    cos.put_object(Bucket=bucket, Key="in/a.txt", Body=b"hello")
    server.wait()
    log = tccli("GetFunctionLogs", FunctionName=name)["Data"][0]["Log"]
    assert f"cos:ObjectCreated:Put {bucket.rpartition('-')[0]} in/a.txt 5 bytes" in log

    tccli("UpdateTriggerStatus", **trigger, TriggerDesc=about, Enable="CLOSE", Qualifier="$DEFAULT")
    assert tccli("ListTriggers", FunctionName=name)["Triggers"][0]["Enable"] == 0
    again = tccli.run("UpdateTriggerStatus", **trigger, TriggerDesc=about, Enable="CLOSE", Qualifier="$DEFAULT")
    assert code_of(again) == "FailedOperation.UpdateTriggerStatus"
    tccli("DeleteTrigger", **trigger, TriggerDesc=made["TriggerDesc"], Qualifier="$DEFAULT")
    assert tccli("ListTriggers", FunctionName=name)["TotalCount"] == 0
    gone = tccli.run("DeleteTrigger", **trigger, TriggerDesc=about, Qualifier="$DEFAULT")
    assert (gone.returncode, code_of(gone)) == (255, "ResourceNotFound.Trigger")
    tccli("DeleteFunction", FunctionName=name)
    missing = tccli.run("GetFunction", FunctionName=name)
    assert (missing.returncode, code_of(missing)) == (255, "ResourceNotFound.FunctionName")


def test_big_code_by_file(server, tccli, new_function, tmp_path):
    """A command-line argument ends at 128 KiB; `--cli-input-json` does not."""
    name = new_function()
    padding = "".join(f"# {number * 7919 % 1000003}\n" for number in range(300_000))
    source = {"index.py": "def main_handler(event, context):\n    return 'big'\n" + padding}
    request = {
        "FunctionName": name,
        "Runtime": "Python3.9",
        "Handler": "index.main_handler",
        "Code": {"ZipFile": functions.base64_zip(source)},
    }
    assert len(request["Code"]["ZipFile"]) > 131_072
    (tmp_path / "create.json").write_text(json.dumps(request))
    tccli("CreateFunction", "--cli-input-json", f"file://{tmp_path}/create.json")
    assert tccli("Invoke", FunctionName=name)["Result"]["RetMsg"] == '"big"'


def test_unfolded_arguments(tccli, new_function):
    name = new_function()
    tccli(
        "CreateFunction",
        "--cli-unfold-argument",
        "--FunctionName",
        name,
        "--Runtime",
        "Nodejs16.13",
        "--Handler",
        "index.main_handler",
        "--Code.ZipFile",
        functions.base64_zip(EXAMPLES / "hello-node"),
        "--Environment.Variables.0.Key",
        "A",
        "--Environment.Variables.0.Value",
        "1",
    )
    got = tccli("GetFunction", FunctionName=name)
    assert got["Environment"]["Variables"] == [{"Key": "A", "Value": "1"}]


def test_a_stored_endpoint(server, tccli):
    """`tccli configure set scf.endpoint` in place of `--endpoint` on every call."""
    program = str(pathlib.Path(sys.executable).parent / "tccli")
    subprocess.run([program, "configure", "set", "scf.endpoint", server.url], env=tccli.env, check=True)
    done = tccli.run("ListFunctions", endpoint=False)
    assert done.returncode == 0 and "Functions" in done.stdout, done


def test_wrong_keys_are_refused(server, tccli):
    tccli.env["TENCENTCLOUD_SECRET_KEY"] = "wrong"
    done = tccli.run("ListFunctions")
    assert (done.returncode, code_of(done)) == (255, "AuthFailure.SignatureFailure")


def test_a_setting_that_nothing_acts_on_is_refused(tccli, new_function):
    name = new_function()
    code = {"ZipFile": functions.base64_zip({"index.py": "def main_handler(event, context):\n    pass\n"})}
    common = {"FunctionName": name, "Runtime": "Python3.9", "Handler": "index.main_handler", "Code": code}
    network = {"VpcId": "vpc-1", "SubnetId": "subnet-1"}
    refused = tccli.run("CreateFunction", **common, VpcConfig=network)
    assert (refused.returncode, code_of(refused)) == (255, "UnsupportedOperation")
    lost = {"Type": "CMQ-QUEUE", "Name": "lost", "FilterType": ""}
    refused = tccli.run("CreateFunction", **common, DeadLetterConfig=lost)
    assert (refused.returncode, code_of(refused)) == (255, "InvalidParameterValue")
    tccli("CreateFunction", **common, DeadLetterConfig={"Type": "", "Name": "", "FilterType": ""})
