"""What an account has in a region and may have, and what functions are found by."""

import pytest
from support.functions import base64_zip, call, clear, client, deploy, refused
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

SOURCE = {"index.py": "def main_handler(event, context):\n    return 1\n"}


@pytest.fixture
def region(unique):
    """Nobody else's."""
    return f"xx-{unique('region')}"[:40]


@pytest.fixture
def scf(server, region):
    scf = client(server, region=region)
    yield scf
    clear(scf)


def test_usage_and_limits(scf, region, tccli):
    empty = tccli("GetAccount", region=region)["AccountUsage"]
    assert (empty["NamespacesCount"], empty["Namespace"][0]["FunctionsCount"]) == (1, 0)
    call(scf, "CreateNamespace", Namespace="prod")
    for name, namespace in [("one", "default"), ("two", "default"), ("one", "prod")]:
        deploy(scf, name, SOURCE, Namespace=namespace)
    call(scf, "PutReservedConcurrencyConfig", FunctionName="one", Namespace="prod", ReservedConcurrencyMem=512)
    call(scf, "PutTotalConcurrencyConfig", TotalConcurrencyMem=2048)
    account = call(scf, "GetAccount")
    used, limits = account["AccountUsage"], account["AccountLimit"]
    rows = {row["Namespace"]: row for row in used["Namespace"]}
    assert (rows["default"]["Functions"], rows["default"]["FunctionsCount"]) == (["one", "two"], 2)
    assert (rows["prod"]["Functions"], rows["prod"]["TotalAllocatedConcurrencyMem"]) == (["one"], 512)
    assert (used["NamespacesCount"], used["TotalConcurrencyMem"]) == (2, 128000)
    assert (used["TotalAllocatedConcurrencyMem"], used["UserConcurrencyMemLimit"]) == (512, 2048)
    assert (limits["NamespacesCount"], len(limits["Namespace"])) == (5, 2)
    limit = limits["Namespace"][0]
    assert (limit["TimeoutLimit"], limit["InitTimeoutLimit"], limit["TestModelLimit"]) == (900, 300, 20)
    assert (limit["RetryNumLimit"], limit["MinMsgTTL"], limit["MaxMsgTTL"]) == (2, 60, 21600)
    assert (limit["Trigger"]["Cos"], limit["Trigger"]["Timer"], limit["Trigger"]["Ckafka"]) == (10, 10, 0)


def test_tags(scf, region, tccli):
    team, empty = {"Key": "team", "Value": "media"}, {"Key": "empty", "Value": ""}
    deploy(scf, "tagged", SOURCE, Tags=[team, empty])
    deploy(scf, "other", SOURCE, Tags=[{"Key": "team", "Value": "web"}])
    deploy(scf, "plain", SOURCE)
    assert call(scf, "GetFunction", FunctionName="tagged")["Tags"] == [team, empty]
    assert call(scf, "GetFunction", FunctionName="plain")["Tags"] == []

    def found(*filters):
        filters = [{"Name": name, "Values": values} for name, *values in filters]
        shown = tccli("ListFunctions", Filters=filters, Orderby="FunctionName", Order="ASC", region=region)
        return [(row["FunctionName"], len(row["Tags"])) for row in shown["Functions"]]

    assert found(("tag-team", "media")) == [("tagged", 2)]
    assert found(("tag-team", "media", "web")) == [("other", 1), ("tagged", 2)]
    assert found(("tag-team", "media"), ("Runtime", "Nodejs18.15")) == []
    assert found(("tag-empty", "")) == [("tagged", 2)]
    assert found(("tag-none", "")) == []
    call(scf, "CopyFunction", FunctionName="tagged", NewFunctionName="copy")
    assert call(scf, "GetFunction", FunctionName="copy")["Tags"] == [team, empty]
    refused("InvalidParameterValue.Filters", scf, "ListFunctions", Filters=[{"Name": "Role", "Values": [""]}] * 11)
    for bad in [[team, team], [{"Key": "", "Value": "x"}], [{"Key": f"k{n}", "Value": ""} for n in range(51)]]:
        with pytest.raises(TencentCloudSDKException) as caught:
            deploy(scf, "bad", SOURCE, Tags=bad)
        assert caught.value.code == "InvalidParameterValue"


def test_layers_are_for_runtimes_that_the_service_has(scf):
    layer = {"LayerName": "l", "Content": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}
    refused("InvalidParameterValue.CompatibleRuntimes", scf, "PublishLayerVersion", CompatibleRuntimes=["Rust"], **layer)


def test_code_and_layers_are_held_to_500_mb_together(scf):
    zeros = bytes(170 << 20)
    layer = {"CompatibleRuntimes": ["Python3.9"], "Content": {"ZipFile": base64_zip({"zeros": zeros})}}
    made = [call(scf, "PublishLayerVersion", LayerName="zeros", **layer)["LayerVersion"] for _ in range(3)]
    layers = [{"LayerName": "zeros", "LayerVersion": version} for version in made]
    deploy(scf, "large", SOURCE, Layers=layers[:2])
    refused("LimitExceeded.Layers", scf, "UpdateFunctionConfiguration", FunctionName="large", Layers=layers)
    code = base64_zip({**SOURCE, "zeros": zeros})
    refused("LimitExceeded.Layers", scf, "UpdateFunctionCode", FunctionName="large", ZipFile=code)
    assert call(scf, "Invoke", FunctionName="large")["Result"]["RetMsg"] == "1"
    call(scf, "DeleteFunction", FunctionName="large")
    for version in made:
        call(scf, "DeleteLayerVersion", LayerName="zeros", LayerVersion=version)
