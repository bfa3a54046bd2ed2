"""The actions that no other test does with `tccli`, and a look at whether all are done with it."""

import hashlib
import re
import urllib.request

from support import functions
from support.functions import FUNCTIONS, call, deploy
from support.instance import ROOT


def test_calls_and_what_became_of_them(server, scf, tccli, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    called = tccli("InvokeFunction", FunctionName=name, Event='{"a": 1}', LogType="Tail")["Result"]
    assert (called["RetMsg"], called["InvokeResult"]) == ('"done"', 0) and 'EVENT {"a": 1}' in called["Log"]
    (status,) = tccli("GetRequestStatus", FunctionName=name, FunctionRequestId=called["FunctionRequestId"])["Data"]
    assert (status["RetCode"], status["RetMsg"]) == (0, '"done"')

    config = {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 120}
    tccli("UpdateFunctionEventInvokeConfig", FunctionName=name, AsyncTriggerConfig=config)
    kept = tccli("GetFunctionEventInvokeConfig", FunctionName=name)["AsyncTriggerConfig"]
    assert (kept["RetryConfig"][0]["RetryNum"], kept["MsgTTL"]) == (1, 120)

    later = call(scf, "Invoke", FunctionName=name, InvocationType="Event")["Result"]["FunctionRequestId"]
    server.wait(later)
    assert tccli("GetAsyncEventStatus", InvokeRequestId=later)["Result"]["Status"] == "FINISHED"
    over = tccli.run("TerminateAsyncEvent", FunctionName=name, InvokeRequestId=later)
    assert (over.returncode, "FailedOperation.AsyncEventStatus" in over.stdout + over.stderr) == (255, True)


def test_code_and_layers(scf, tccli, new_function, unique):
    name, copied, layer = new_function(), new_function(), unique("layer")
    content = {"ZipFile": functions.base64_zip({"of_layer.py": "WORD = 'found'"})}
    made = tccli("PublishLayerVersion", LayerName=layer, CompatibleRuntimes=["Python3.9"], Content=content)
    assert made["LayerVersion"] == 1
    assert tccli("GetLayerVersion", LayerName=layer, LayerVersion="1")["Status"] == "Active"
    assert tccli("ListLayers", SearchKey=layer)["TotalCount"] == 1
    assert len(tccli("ListLayerVersions", LayerName=layer)["LayerVersions"]) == 1
    code = {"index.py": "import of_layer\ndef main_handler(e, c): return of_layer.WORD\n"}
    deploy(scf, name, code, Layers=[{"LayerName": layer, "LayerVersion": 1}])
    tccli("CopyFunction", FunctionName=name, NewFunctionName=copied)
    assert call(scf, "Invoke", FunctionName=copied)["Result"]["RetMsg"] == '"found"'
    address = tccli("GetFunctionAddress", FunctionName=copied)
    assert hashlib.sha256(urllib.request.urlopen(address["Url"]).read()).hexdigest() == address["CodeSha256"]
    for one in (name, copied):
        call(scf, "DeleteFunction", FunctionName=one)
    tccli("DeleteLayerVersion", LayerName=layer, LayerVersion="1")


def test_keys_for_a_while(server, tccli):
    tccli.service = "sts"
    assert tccli("GetCallerIdentity")["AccountId"] == server.uin
    role = f"qcs::cam::uin/{server.uin}:roleName/reader"
    keys = tccli("AssumeRole", RoleArn=role, RoleSessionName="tests")["Credentials"]
    keys = {f"TENCENTCLOUD_{name}": keys[key] for name, key in (("SECRET_ID", "TmpSecretId"), ("SECRET_KEY", "TmpSecretKey"), ("TOKEN", "Token"))}
    tccli.env.update(keys)
    assert tccli("GetCallerIdentity")["Type"] == "CAMRole"
    tccli.service = "scf"
    assert "Functions" in tccli("ListFunctions")


def test_every_action_is_done():
    """Those of test models are the console's: tccli has not got them."""
    table = (ROOT / "docs/scf-api.md").read_text()
    works = set(re.findall(r"^\| (\w+) \| works \|", table, re.M))
    sources = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    done = {action for text in sources for action in re.findall(r'tccli(?:\.run)?\(\s*"(\w+)"', text)}
    assert {action for action in works - done if "TestModel" not in action} == set()
