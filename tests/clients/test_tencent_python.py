"""The Cloud API through the Tencent Cloud Python SDK: every action, its answers and its errors."""

import base64
import json

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import functions
from support.clients import cos_client, s3_client
from support.functions import call

HELLO = {"index.py": "def main_handler(event, context):\n    return event\n"}


def refused(scf, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as caught:
        call(scf, action, **parameters)
    assert caught.value.get_request_id()
    return caught.value.get_code()


def test_a_function_lives_and_dies(scf, new_function):
    name = new_function()
    made = functions.deploy(
        scf, name, HELLO, Description="says it back", MemorySize=256, Timeout=5, env={"COLOUR": "blue"}
    )
    assert made["RequestId"]
    got = call(scf, "GetFunction", FunctionName=name, ShowCode="TRUE")
    assert (got["FunctionName"], got["Namespace"], got["Runtime"]) == (name, "default", "Python3.9")
    assert (got["Status"], got["AvailableStatus"], got["Type"]) == ("Active", "Available", "Event")
    assert (got["Handler"], got["MemorySize"], got["Timeout"]) == ("index.main_handler", 256, 5)
    assert (got["Description"], got["CodeInfo"]) == ("says it back", HELLO["index.py"])
    assert got["Environment"]["Variables"] == [{"Key": "COLOUR", "Value": "blue"}]
    assert got["Triggers"] == [] and got["CodeSize"] > 0 and got["FunctionId"].startswith("lam-")
    assert len(got["AddTime"]) == len("2024-05-06 07:08:09")
    rows = call(scf, "ListFunctions", SearchKey=name)
    assert rows["TotalCount"] == 1 and rows["Functions"][0]["FunctionName"] == name
    with pytest.raises(TencentCloudSDKException) as caught:
        functions.deploy(scf, name, HELLO)
    assert caught.value.get_code() in ("ResourceInUse.FunctionName", "ResourceInUse.Function")
    call(scf, "DeleteFunction", FunctionName=name)
    assert refused(scf, "GetFunction", FunctionName=name) == "ResourceNotFound.FunctionName"
    assert call(scf, "ListFunctions", SearchKey=name)["TotalCount"] == 0


def test_code_from_a_bucket(scf, cos, bucket, new_function):
    cos.put_object(Bucket=bucket, Key="code/fn.zip", Body=functions.zip_of(HELLO))
    name = new_function()
    place = {
        "CosBucketName": bucket.rpartition("-")[0],
        "CosObjectName": "/code/fn.zip",
        "CosBucketRegion": "ap-guangzhou",
    }
    call(scf, "CreateFunction", FunctionName=name, Runtime="Python3.9", Handler="index.main_handler", Code=place)
    answer = call(scf, "Invoke", FunctionName=name, ClientContext='{"a": 1}')
    assert json.loads(answer["Result"]["RetMsg"]) == {"a": 1}
    cos.delete_object(Bucket=bucket, Key="code/fn.zip")
    answer = call(scf, "Invoke", FunctionName=name, ClientContext='{"a": 2}')
    assert json.loads(answer["Result"]["RetMsg"]) == {"a": 2}, "the code was copied when the function was made"
    missing = {**place, "CosObjectName": "/missing.zip"}
    assert refused(
        scf, "CreateFunction", FunctionName=new_function(), Runtime="Python3.9", Handler="index.f", Code=missing
    ) in ("ResourceNotFound.CosObject", "ResourceNotFound.Cos")


def test_creation_is_refused_with_a_reason(scf, new_function):
    good = {
        "FunctionName": new_function(),
        "Runtime": "Python3.9",
        "Handler": "index.main_handler",
        "Code": {"ZipFile": functions.base64_zip(HELLO)},
    }
    for change, expected in [
        ({"Code": {}}, ["MissingParameter.Code"]),
        ({"Code": {"ZipFile": "@@not base64@@"}}, ["InvalidParameterValue.ZipFileBase64BinasciiError"]),
        ({"Code": {"ZipFile": base64.b64encode(b"not a zip").decode()}}, ["InvalidParameterValue.ZipFile"]),
        ({"Runtime": "Cobol85"}, ["InvalidParameterValue.Runtime"]),
        ({"MemorySize": 100}, ["InvalidParameterValue.Memory", "InvalidParameterValue.MemorySize"]),
        ({"Timeout": 901}, ["LimitExceeded.Timeout"]),
        ({"FunctionName": "1bad"}, ["InvalidParameterValue.FunctionName", "InvalidParameter.FunctionName"]),
        (
            {"Environment": {"Variables": [{"Key": "SCF_X", "Value": "1"}]}},
            [
                "InvalidParameterValue.EnvironmentSystemProtect",
                "InvalidParameterValue.SystemEnvironment",
            ],
        ),
    ]:
        assert refused(scf, "CreateFunction", **{**good, **change}) in expected, change


def test_code_and_configuration_change(scf, new_function):
    name = new_function()
    functions.deploy(scf, name, HELLO)
    other = {"main.py": "import os\ndef run(event, context):\n    return os.environ.get('COLOUR')\n"}
    call(scf, "UpdateFunctionCode", FunctionName=name, ZipFile=functions.base64_zip(other), Handler="main.run")
    call(
        scf,
        "UpdateFunctionConfiguration",
        FunctionName=name,
        Timeout=9,
        MemorySize=512,
        Description="new",
        Environment={"Variables": [{"Key": "COLOUR", "Value": "red"}]},
    )
    got = call(scf, "GetFunction", FunctionName=name)
    assert (got["Handler"], got["Timeout"], got["MemorySize"], got["Description"]) == ("main.run", 9, 512, "new")
    assert call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"] == '"red"'
    missing = new_function()
    assert refused(scf, "UpdateFunctionConfiguration", FunctionName=missing, Timeout=3) == (
        "ResourceNotFound.FunctionName"
    )


def test_invoke_answers_as_the_function_did(scf, new_function):
    name = new_function()
    source = {
        "index.py": "\n".join(
            [
                "import json, os",
                "def main_handler(event, context):",
                "    print('said 中文')",
                "    if event.get('fail'):",
                "        raise ValueError('as asked')",
                "    return {'event': event, 'context': context, 'env': dict(os.environ), 'cwd': os.getcwd()}",
            ]
        )
    }
    functions.deploy(scf, name, source, env={"COLOUR": "blue"})
    good = call(scf, "Invoke", FunctionName=name, ClientContext='{"a": "é"}', LogType="Tail")["Result"]
    assert (good["InvokeResult"], good["ErrMsg"]) == (0, "")
    answer = json.loads(good["RetMsg"])
    assert answer["event"] == {"a": "é"}
    context = answer["context"]
    assert context["request_id"] == good["FunctionRequestId"]
    assert (context["function_name"], context["function_version"], context["namespace"]) == (name, "$LATEST", "default")
    assert (context["memory_limit_in_mb"], context["time_limit_in_ms"]) == (128, 3000)
    assert json.loads(context["environment"])["COLOUR"] == "blue"
    assert (context["tencentcloud_region"], context["tencentcloud_appid"]) == ("ap-guangzhou", "1250000000")
    env = answer["env"]
    assert (env["COLOUR"], env["TENCENTCLOUD_RUNENV"], env["SCF_FUNCTIONNAME"]) == ("blue", "SCF", name)
    assert env["TENCENTCLOUD_REGION"] == "ap-guangzhou" and env["SCF_NAMESPACE"] == "default"
    assert not [key for key in env if key.startswith("COSETTE_SECRET")]
    assert "said 中文" in good["Log"] and good["Duration"] > 0 and good["MemUsage"] > 0
    quiet = call(scf, "Invoke", FunctionName=name)["Result"]
    assert quiet["Log"] == "" and json.loads(quiet["RetMsg"])["event"] == {}
    failed = call(scf, "Invoke", FunctionName=name, ClientContext='{"fail": true}')["Result"]
    assert failed["InvokeResult"] == 1
    error = json.loads(failed["RetMsg"])
    assert (error["errorCode"], error["statusCode"]) == (-1, 430)
    assert error["errorMessage"] == "user code exception caught" and "ValueError: as asked" in error["stackTrace"]
    assert error["requestId"] == failed["FunctionRequestId"]
    assert refused(scf, "Invoke", FunctionName=name, ClientContext="not json").startswith("InvalidParameterValue")
    assert refused(scf, "Invoke", FunctionName=name, Qualifier="7") == "ResourceNotFound.Qualifier"
    assert refused(scf, "Invoke", FunctionName=new_function()).startswith("ResourceNotFound.Function")


def test_every_handler_form_of_node(scf, new_function):
    source = {
        "index.js": "\n".join(
            [
                "exports.promise = async (event) => ({ got: event });",
                "exports.callback = (event, context, callback) => setImmediate(() => callback(null, 'called'));",
                "exports.ignored = (event) => 'nobody sees this';",
                "exports.rejected = async () => { throw new Error('as asked'); };",
                "exports.identity = async (event, context) => context.request_id;",
            ]
        )
    }
    name = new_function()
    functions.deploy(scf, name, source, runtime="Nodejs16.13", handler="index.promise")

    def run(handler):
        zipped = functions.base64_zip(source)
        call(scf, "UpdateFunctionCode", FunctionName=name, Handler=f"index.{handler}", ZipFile=zipped)
        return call(scf, "Invoke", FunctionName=name, ClientContext='{"a": 1}')["Result"]

    assert json.loads(run("promise")["RetMsg"]) == {"got": {"a": 1}}
    assert run("callback")["RetMsg"] == '"called"'
    assert run("ignored")["RetMsg"] == "null"
    failed = run("rejected")
    assert failed["InvokeResult"] == 1 and "as asked" in failed["RetMsg"]
    same = run("identity")
    assert json.loads(same["RetMsg"]) == same["FunctionRequestId"]


def test_an_asynchronous_call_is_answered_at_once(server, scf, new_function):
    name = new_function()
    functions.deploy(scf, name, HELLO)
    result = call(scf, "Invoke", FunctionName=name, InvocationType="Event", ClientContext='{"a": 1}')["Result"]
    assert result["FunctionRequestId"]
    assert (result["RetMsg"], result["Log"], result["Duration"]) == ("", "", 0)
    server.wait()
    entry = call(scf, "GetFunctionLogs", FunctionName=name)["Data"][0]
    assert (entry["RequestId"], entry["RetCode"]) == (result["FunctionRequestId"], 0)
    assert json.loads(entry["RetMsg"]) == {"a": 1}


def test_logs_have_the_services_form(server, scf, new_function):
    name = new_function()
    functions.deploy(scf, name, {"index.py": "def main_handler(e, c):\n    print('one')\n    print('two')\n    return 'x'\n"})
    result = call(scf, "Invoke", FunctionName=name)["Result"]
    request_id = result["FunctionRequestId"]
    answer = call(scf, "GetFunctionLogs", FunctionName=name, FunctionRequestId=request_id)
    assert answer["TotalCount"] == 1
    entry = answer["Data"][0]
    assert (entry["FunctionName"], entry["RequestId"]) == (name, request_id)
    assert (entry["RetCode"], entry["InvokeFinished"], entry["RetryNum"]) == (0, 1, 0)
    assert entry["RetMsg"] == '"x"' and entry["Duration"] > 0 and entry["MemUsage"] > 0
    assert len(entry["StartTime"]) == len("2024-05-06 07:08:09")
    lines = [line for line in entry["Log"].splitlines() if not line.startswith("Init Report")]
    assert lines[0] == f"START RequestId:{request_id}"
    assert lines[1:3] == ["one", "two"]
    assert f"Response RequestId:{request_id} RetMsg:\"x\"" in lines
    assert lines[-2] == f"END RequestId:{request_id}"
    assert lines[-1].startswith(f"Report RequestId:{request_id} Duration:") and "Memory:128MB" in lines[-1]
    call(scf, "Invoke", FunctionName=name)
    assert call(scf, "GetFunctionLogs", FunctionName=name)["TotalCount"] == 2
    page = call(scf, "GetFunctionLogs", FunctionName=name, Limit=1, Offset=1, Order="desc")
    assert [row["RequestId"] for row in page["Data"]] == [request_id]
    failed = call(scf, "GetFunctionLogs", FunctionName=name, Filter={"RetCode": "not0"})
    assert failed["TotalCount"] == 0


def test_signatures_are_verified(server, scf, new_function):
    for keys, expected in [
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"secret_id": "AKIDUNKNOWN"}, "AuthFailure.SecretIdNotFound"),
    ]:
        assert refused(functions.client(server, **keys), "ListFunctions") == expected


@pytest.mark.parametrize("method", ["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"])
@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_every_signature_method(server, method, verb):
    keys = Credential(server.secret_id, server.secret_key)
    profile = ClientProfile(
        signMethod=method,
        httpProfile=HttpProfile(protocol="http", endpoint=server.host, reqMethod=verb),
    )
    client = CommonClient("scf", "2018-04-16", keys, server.region, profile)
    answer = client.call_json("ListFunctions", {"Limit": 1, "Namespace": "default"})
    assert "Functions" in answer["Response"]
    wrong = CommonClient("scf", "2018-04-16", Credential(server.secret_id, "no"), server.region, profile)
    with pytest.raises(TencentCloudSDKException) as caught:
        wrong.call_json("ListFunctions", {"Limit": 1, "Namespace": "default"})
    assert caught.value.get_code() == "AuthFailure.SignatureFailure"


def test_an_unknown_action_is_refused(server):
    keys = Credential(server.secret_id, server.secret_key)
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
    client = CommonClient("scf", "2018-04-16", keys, server.region, profile)
    with pytest.raises(TencentCloudSDKException) as caught:
        client.call_json("MakeCoffee", {})
    assert caught.value.get_code() == "InvalidAction"


def test_a_functions_own_keys_open_the_store_with_their_token(server, scf, bucket, new_function):
    """The environment carries temporary keys: good with the session token, refused without it."""
    name = new_function()
    code = {"index.py": "import os\ndef main_handler(event, context):\n    return dict(os.environ)\n"}
    functions.deploy(scf, name, code, Role="SCF_QcsRole")
    env = json.loads(call(scf, "Invoke", FunctionName=name)["Result"]["RetMsg"])
    keys = {"secret_id": env["TENCENTCLOUD_SECRETID"], "secret_key": env["TENCENTCLOUD_SECRETKEY"]}
    token = env["TENCENTCLOUD_SESSIONTOKEN"]
    s3_client(server, **keys, token=token).put_object(Bucket=bucket, Key="s3", Body=b"x")
    spelled = {"SecretId": keys["secret_id"], "SecretKey": keys["secret_key"]}
    cos_client(server, **spelled, Token=token).put_object(Bucket=bucket, Key="cos", Body=b"x")
    for bad in (None, "wrong"):
        with pytest.raises(ClientError) as caught:
            s3_client(server, **keys, token=bad).head_bucket(Bucket=bucket)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
        with pytest.raises(CosServiceError) as caught:
            cos_client(server, **spelled, Token=bad).list_objects(Bucket=bucket)
        assert caught.value.get_status_code() in (400, 403)
