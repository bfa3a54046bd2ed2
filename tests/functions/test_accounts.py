"""Two accounts that call their functions the same, by the Python SDK, tccli and the command line."""

import json
import types

import pytest
from support import web
from support.clients import s3_client
from support.functions import base64_zip, bind, call, client, deploy, logs, refused
from support.instance import Instance

SOURCE = {
    "index.py": """
import os, shared
def main_handler(event, context):
    return [os.environ["WHOSE"], context["tencentcloud_appid"], shared.WORD]
"""
}
NAME = "same"
MODEL = {"FunctionName": NAME, "TestModelName": "model"}
OTHER = ("AKIDTestAccountsOther000000000000000", "othersecret", "1250000001", "100000000002")


def accounts(instance):
    """Both, as a server is that the clients are made for."""
    of = lambda **keys: types.SimpleNamespace(url=instance.url, host=instance.host, region=instance.region, **keys)
    mine = of(secret_id=instance.secret_id, secret_key=instance.secret_key, appid=instance.appid, uin=instance.uin)
    other = of(**dict(zip(("secret_id", "secret_key", "appid", "uin"), OTHER)))
    return mine, other


def start(folder):
    return Instance(folder, f"--account={':'.join(OTHER)}:other", "--retry-interval", "100ms")


def deploy_all(account, word):
    """The function with its layer, alias, model, bucket, trigger and reserved memory."""
    scf = client(account)
    content = {"ZipFile": base64_zip({"shared.py": f"WORD = {word!r}"})}
    layer = call(scf, "PublishLayerVersion", LayerName="words", CompatibleRuntimes=["Python3.9"], Content=content)
    assert layer["LayerVersion"] == 1
    layers = [{"LayerName": "words", "LayerVersion": 1}]
    deploy(scf, NAME, SOURCE, env={"WHOSE": word}, Layers=layers)
    call(scf, "PublishVersion", FunctionName=NAME)
    call(scf, "CreateAlias", FunctionName=NAME, Name="live", FunctionVersion="1")
    # The SDK has no types of these.
    scf.call_json("CreateFunctionTestModel", {**MODEL, "TestModelValue": json.dumps(word)})
    bucket = f"photos-{account.appid}"
    s3_client(account).create_bucket(Bucket=bucket)
    bind(scf, NAME, bucket, Qualifier="live")
    return scf


def said(scf, **more):
    return json.loads(call(scf, "Invoke", FunctionName=NAME, **more)["Result"]["RetMsg"])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accounts") / "data"
    running = types.SimpleNamespace(instance=start(folder))

    def restart():
        assert running.instance.stop() == 0
        running.instance = start(folder)

    running.restart = restart
    for account, word in zip(accounts(running.instance), ("mine", "other")):
        deploy_all(account, word)
    yield running
    assert running.instance.stop() == 0


@pytest.fixture
def two(world):
    """Clients of both."""
    return [client(account) for account in accounts(world.instance)]


def test_each_has_its_own(world, two):
    for once_more in (False, True):
        if once_more:
            world.restart()
            two = [client(account) for account in accounts(world.instance)]
        for account, scf, word in zip(accounts(world.instance), two, ("mine", "other")):
            expected = [word, account.appid, word]
            assert said(scf) == said(scf, Qualifier="1") == said(scf, Qualifier="live") == expected
            listed = call(scf, "ListFunctions")
            assert (listed["TotalCount"], listed["Functions"][0]["FunctionName"]) == (1, NAME)
            model = scf.call_json("GetFunctionTestModel", MODEL)["Response"]
            assert model["TestModelValue"] == json.dumps(word)
            assert call(scf, "ListTriggers", FunctionName=NAME)["Triggers"][0]["TriggerName"].startswith(
                f"photos-{account.appid}."
            )
            assert len(logs(scf, NAME)) == (6 if once_more else 3), word
    assert {len(call(scf, "ListAliases", FunctionName=NAME)["Aliases"]) for scf in two} == {2}


def test_a_put_fires_the_owners(world, two):
    mine, other = accounts(world.instance)
    for account, scf, bystander in [(mine, two[0], two[1]), (other, two[1], two[0])]:
        counts = len(logs(scf, NAME)), len(logs(bystander, NAME))
        put = s3_client(account).put_object(Bucket=f"photos-{account.appid}", Key="k", Body=b"x")
        world.instance.wait(put["ResponseMetadata"]["RequestId"])
        assert (len(logs(scf, NAME)), len(logs(bystander, NAME))) == (counts[0] + 1, counts[1])
        assert json.loads(logs(scf, NAME)[-1]["RetMsg"])[1] == account.appid
    # A bucket of one is none that functions of the other hear of.
    trigger = {"FunctionName": NAME, "Type": "cos", "TriggerName": f"photos-{mine.appid}.cos.ap-guangzhou.myqcloud.com"}
    description = json.dumps({"event": "cos:ObjectRemove:*", "filter": {"Prefix": "", "Suffix": ""}})
    refused("UnauthorizedOperation.CreateTrigger", two[1], "CreateTrigger", TriggerDesc=description, **trigger)


def test_nobody_reaches_anothers(world, two):
    mine, other = accounts(world.instance)
    deploy(two[0], "alone", SOURCE, env={"WHOSE": "mine"})
    for action in ("GetFunction", "Invoke", "InvokeFunction", "DeleteFunction", "GetFunctionLogs", "PublishVersion"):
        refused("ResourceNotFound.FunctionName", two[1], action, FunctionName="alone")
    # Names are names: what policies call a function names none.
    named = f"qcs::scf:ap-guangzhou:uin/{mine.uin}:namespace/default/function/alone"
    refused("ResourceNotFound.FunctionName", two[1], "InvokeFunction", FunctionName=named)
    arn = f"arn:aws:lambda:ap-guangzhou:{mine.uin}:function:{NAME}"
    rule = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(s3_client(other).exceptions.ClientError) as caught:
        s3_client(other).put_bucket_notification_configuration(
            Bucket=f"photos-{other.appid}", NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
        )
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"
    call(two[0], "DeleteFunction", FunctionName="alone")


def test_urls_reserved_memory_and_deletion(world, two):
    mine, other = accounts(world.instance)
    for account, scf in zip((mine, other), two):
        asked = web.Url(world.instance, web.url(scf, NAME))("GET")
        assert asked.json()[1] == account.appid
    call(two[1], "PutReservedConcurrencyConfig", FunctionName=NAME, ReservedConcurrencyMem=0)
    assert call(two[0], "GetReservedConcurrencyConfig", FunctionName=NAME)["ReservedMem"] is None
    assert call(two[1], "GetAccount")["AccountUsage"]["TotalAllocatedConcurrencyMem"] == 0
    assert call(two[1], "Invoke", FunctionName=NAME)["Result"]["InvokeResult"] == -1
    assert said(two[0])[0] == "mine"
    call(two[1], "DeleteReservedConcurrencyConfig", FunctionName=NAME)
    call(two[0], "PutReservedConcurrencyConfig", FunctionName=NAME, ReservedConcurrencyMem=256)
    assert call(two[1], "GetAccount")["AccountUsage"]["TotalAllocatedConcurrencyMem"] == 0
    call(two[1], "DeleteFunction", FunctionName=NAME)
    refused("ResourceNotFound.FunctionName", two[1], "GetFunction", FunctionName=NAME)
    assert said(two[0])[0] == "mine"
    assert len(call(two[0], "ListTriggers", FunctionName=NAME)["Triggers"]) == 2
    assert call(two[0], "GetReservedConcurrencyConfig", FunctionName=NAME)["ReservedMem"] == 256
    call(two[0], "DeleteReservedConcurrencyConfig", FunctionName=NAME)
    deploy_again(other)
    assert logs(two[1], NAME) == []
    assert said(two[1])[0] == "other"


def deploy_again(account):
    scf = client(account)
    deploy(scf, NAME, SOURCE, env={"WHOSE": "other"}, Layers=[{"LayerName": "words", "LayerVersion": 1}])
    bind(scf, NAME, f"photos-{account.appid}")


def test_the_command_line_and_the_admin_api(world, two):
    mine, other = accounts(world.instance)
    keys = ["--secret-id", other.secret_id, "--secret-key", other.secret_key]
    said(two[0]), said(two[1])
    for arguments, appid in [([], mine.appid), (keys, other.appid)]:
        ran = world.instance.cli("function", "invoke", NAME, *arguments)
        assert json.loads(ran.stdout)[1] == appid
        assert f'"{appid}"' in world.instance.cli("logs", NAME, *arguments).stdout
    for account in (other.appid, other.secret_id):
        found = world.instance.admin("GET", f"invocations?function={NAME}&account={account}")["invocations"]
        assert {one["function"]["account"] for one in found} == {other.appid}
    found = world.instance.admin("GET", f"invocations?function={NAME}")["invocations"]
    assert {one["function"]["account"] for one in found} == {mine.appid}
    with pytest.raises(AssertionError, match="404 .*there is no account 1"):
        world.instance.admin("GET", f"invocations?function={NAME}&account=1")
    made = world.instance.admin(
        "POST", "rules", {"bucket": f"photos-{other.appid}", "event": "cos:ObjectRemove:*", "target": {"function": NAME}}
    )
    assert made["target"]["function"]["account"] == other.appid, "as the bucket is"


def test_tccli(world, tmp_path):
    from conftest import Tccli

    for account in accounts(world.instance):
        tccli = Tccli(account, tmp_path)
        result = tccli("Invoke", FunctionName=NAME)["Result"]
        assert json.loads(result["RetMsg"])[1] == account.appid
        assert tccli("ListFunctions")["TotalCount"] == 1
