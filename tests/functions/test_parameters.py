"""Nothing is accepted and ignored: every parameter of the official models is acted on, or refused by its name."""

import re

import pytest
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support import api_models
from support.api_models import holding, plain
from support.functions import call, client, deploy
from support.instance import ROOT, Instance

VERSIONS = {"scf": "2018-04-16", "sts": "2018-08-13", "cdn": "2018-06-06"}
WRONG = {"not": "this"}
HOST = "b-1250000000.cos.ap-guangzhou.myqcloud.com"
CODE = {"FunctionName": "new", "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}
F = {"FunctionName": "ff"}
MODEL = {**F, "TestModelName": "m"}
TIMER = {**F, "TriggerName": "t", "Type": "timer"}
DAY = {"StartTime": "2026-01-01 00:00:00", "EndTime": "2026-01-01 01:00:00"}
ROUTE = {"FunctionName": "ff", "PathMatch": "/*"}

# What else a request must have for its handler to come to the parameter in question.
NEEDED = {
    "CreateFunction": CODE,
    "UpdateFunctionCode": {**F, "Code": CODE["Code"]},
    "CopyFunction": {**F, "NewFunctionName": "gg"},
    "CreateTrigger": {**TIMER, "TriggerDesc": "0 0 0 1 1 * *"},
    "UpdateTrigger": TIMER,
    "UpdateTriggerStatus": {**TIMER, "Enable": "OPEN"},
    "DeleteTrigger": TIMER,
    "GetRequestStatus": {**F, "FunctionRequestId": "r"},
    "UpdateFunctionEventInvokeConfig": F,
    "PublishLayerVersion": {"LayerName": "l", "CompatibleRuntimes": ["Python3.9"], "Content": CODE["Code"]},
    "GetLayerVersion": {"LayerName": "l", "LayerVersion": 1},
    "DeleteLayerVersion": {"LayerName": "l", "LayerVersion": 1},
    "ListLayerVersions": {"LayerName": "l"},
    "TerminateAsyncEvent": {**F, "InvokeRequestId": "r"},
    "DeleteFunctionVersion": {**F, "Qualifier": "1"},
    "CreateAlias": {**F, "Name": "a", "FunctionVersion": "1"},
    "UpdateAlias": {**F, "Name": "live", "FunctionVersion": "1"},
    "GetAlias": {**F, "Name": "live"},
    "DeleteAlias": {**F, "Name": "live"},
    "PutReservedConcurrencyConfig": {**F, "ReservedConcurrencyMem": 128},
    "PutTotalConcurrencyConfig": {"TotalConcurrencyMem": 128},
    "PutProvisionedConcurrencyConfig": {**F, "Qualifier": "1", "VersionProvisionedConcurrencyNum": 1},
    "DeleteProvisionedConcurrencyConfig": {**F, "Qualifier": "1"},
    "CreateCustomDomain": {"Domain": "www.example.com", "Protocol": "HTTP", "EndpointsConfig": [ROUTE]},
    "UpdateCustomDomain": {"Domain": "www.example.com"},
    "CreateNamespace": {"Namespace": "n"},
    "UpdateNamespace": {"Namespace": "default"},
    "DeleteNamespace": {"Namespace": "n"},
    "CreateFunctionTestModel": {**MODEL, "TestModelValue": "{}"},
    "UpdateFunctionTestModel": {**MODEL, "TestModelValue": "{}"},
    "GetFunctionTestModel": MODEL,
    "DeleteFunctionTestModel": MODEL,
    "AssumeRole": {"RoleArn": "qcs::cam::uin/100000000001:roleName/r", "RoleSessionName": "session"},
    "GetFederationToken": {"Name": "n", "Policy": "{}"},
    "AddCdnDomain": {"Domain": "a.example.com", "ServiceType": "web", "Origin": {"Origins": [HOST], "OriginType": "cos"}},
    "UpdateDomainConfig": {"Domain": "cdn.example.com"},
    "PurgeUrlsCache": {"Urls": ["http://cdn.example.com/"]},
    "PurgePathCache": {"Paths": ["http://cdn.example.com/"], "FlushType": "flush"},
    "PushUrlsCache": {"Urls": ["http://cdn.example.com/"]},
    "DescribePurgeTasks": DAY,
    "DescribePushTasks": DAY,
}
# The same of single parameters. One that is not there is taken out.
WEB = {"FunctionName": "ww"}
RULE = {"Version": "1", "Key": "k", "Method": "exact", "Expression": "e"}
COS = {"Type": "cos", "TriggerName": HOST}
OLD = {"Code": None}
ALSO = {
    ("UpdateFunctionCode", "ZipFile"): OLD,
    ("UpdateFunctionCode", "CosBucketName"): OLD,
    ("UpdateFunctionCode", "CosObjectName"): {**OLD, "CosBucketName": "b"},
    ("UpdateFunctionCode", "CosBucketRegion"): {**OLD, "CosBucketName": "b", "CosObjectName": "o"},
    ("UpdateTriggerStatus", "TriggerDesc"): COS,
    ("DeleteTrigger", "TriggerDesc"): COS,
    ("CreateFunction", "ProtocolType"): {"Type": "HTTP"},
    ("CreateFunction", "ProtocolParams"): {"Type": "HTTP", "ProtocolType": "WS"},
    ("CreateFunction", "InstanceConcurrencyConfig"): {"Type": "HTTP"},
    ("UpdateFunctionConfiguration", "ProtocolType"): WEB,
    ("UpdateFunctionConfiguration", "ProtocolParams"): {**WEB, "ProtocolType": "WS"},
    ("UpdateFunctionConfiguration", "InstanceConcurrencyConfig"): WEB,
}
# What must stand beside a member of an object.
OBJECT = {"CosBucketName": "b", "CosObjectName": "o"}
BESIDE = {
    "Code.CosBucketRegion": OBJECT,
    "Content.CosBucketRegion": OBJECT,
    "SearchKey[].": {"Key": "Namespace", "Value": ""},
    "Headers[].": {"Name": "a", "Value": "b"},
    "Layers[].": {"LayerName": "l", "LayerVersion": 1},
    "AdditionalVersionWeights[].": {"Version": "1", "Weight": 0.5},
    "AddtionVersionMatchs[].": {"Version": "1", "Key": "k", "Method": "exact", "Expression": "e"},
    "ImageConfig.": {"ImageUri": "u"},
    "Origin.": {"Origins": [HOST], "OriginType": "cos"},
    "CacheRules[].": {"CacheType": "all", "CacheContents": ["*"], "CacheTime": 1},
    "EndpointsConfig[].": ROUTE,
    "PathRewrite[].": {"Path": "/a", "Type": "ExactRules", "Rewrite": "/b"},
    "Filters[].": {"Name": "Description"},
    "TriggerActions[].": {
        "TriggerName": "a",
        "TriggerProvisionedConcurrencyNum": 1,
        "TriggerCronConfig": "0 0 8 * * * *",
    },
}
FILTERS = {"ListFunctions": "Runtime", "DescribeDomains": "domain", "DescribeDomainsConfig": "domain"}


def listed(service):
    """The rows of docs/api-parameters.md: of an action, what is acted on and what is refused."""
    section = (ROOT / "docs/api-parameters.md").read_text().partition(f"\n## {service}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.*?) ?\| (.*?) ?\|$", section, re.M)
    return {action: (re.findall("`([^`]+)`", a), re.findall("`([^`]+)`", b)) for action, a, b in rows if action != "Action"}


def covers(listed, path):
    return any(plain(path) == one or plain(path).startswith(f"{one}.") for one in listed)


def asked(action, path, value):
    """A request that is whole but for what is at the path."""
    parts = path.split(".")
    parameters = {**NEEDED.get(action, {} if action in WITHOUT else F), **ALSO.get((action, parts[0]), {})}
    where = parameters
    for at, part in enumerate(parts[:-1], 1):
        beside = next((BESIDE[one] for one in BESIDE if f"{part}.{'.'.join(parts[at:])}".startswith(one)), {})
        inside = dict(beside)
        if part == "Filters[]":
            inside["Name"] = FILTERS.get(action, "Description")
        where[part.removesuffix("[]")] = [inside] if part.endswith("[]") else inside
        where = inside
    where[parts[-1]] = value
    return {name: value for name, value in parameters.items() if value is not None}


# These are about no function.
WITHOUT = {
    "ListCustomDomains", "GetCustomDomain", "DeleteCustomDomain",
    "ListFunctions", "ListNamespaces", "ListLayers", "GetAsyncEventStatus", "GetAccount",
    "DescribeDomains", "DescribeDomainsConfig", "StartCdnDomain", "StopCdnDomain", "DeleteCdnDomain",
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Calls an action with any parameters, and answers the error, if it is one."""
    with Instance(tmp_path_factory.mktemp("parameters") / "data") as server:
        scf = client(server)
        deploy(scf, "ff", {"index.py": "def main_handler(event, context):\n    return 1\n"})
        deploy(scf, "ww", {"scf_bootstrap": "#!/bin/sh\n"}, Type="HTTP")
        call(scf, "PublishVersion", **F)
        call(scf, "CreateAlias", **F, Name="live", FunctionVersion="1")
        call(scf, "CreateTrigger", **NEEDED["CreateTrigger"])
        call(scf, "PublishLayerVersion", **NEEDED["PublishLayerVersion"])
        scf.call("CreateFunctionTestModel", NEEDED["CreateFunctionTestModel"])
        keys = Credential(server.secret_id, server.secret_key)
        profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
        clients = {name: CommonClient(name, version, keys, server.region, profile) for name, version in VERSIONS.items()}
        clients["cdn"].call("AddCdnDomain", {**NEEDED["AddCdnDomain"], "Domain": "cdn.example.com"})

        def ask(service, action, parameters):
            try:
                clients[service].call(action, parameters)
                return "none", ""
            except TencentCloudSDKException as error:
                return error.code, error.message

        yield ask


@pytest.mark.parametrize("service", VERSIONS)
def test_every_parameter_of_the_models_is_known(service):
    models = api_models.requests(service)
    for action, (taken, refused) in listed(service).items():
        if "FunctionTestModel" in action:
            continue  # The public model does not have these.
        if taken != ["*"]:
            missing = [path for path in models[action] if not covers(taken + refused, path)]
            assert not missing, f"{action}: {missing}"


@pytest.mark.parametrize("service", VERSIONS)
def test_what_is_not_acted_on_is_refused(ask, service):
    models = api_models.requests(service)
    for action, (taken, refused) in listed(service).items():
        for path in models.get(action, []):
            if covers(refused, path):
                code, message = ask(service, action, holding(path, "x"))
                top = next(one for one in refused if covers([one], path))
                assert code == "UnsupportedOperation" and top in message, (action, path, message)


def test_what_is_no_parameter_is_ignored(ask):
    """As SCF does: the Serverless component sends some that the models lack (scf.md 3.1)."""
    unknown = {"NoSuchThing": "x", "DiskSize": 1024, "NodeType": "CPU"}
    for action in ("GetFunction", "UpdateFunctionConfiguration"):
        assert ask("scf", action, {**F, **unknown})[0] == "none"


@pytest.mark.parametrize("service", VERSIONS)
def test_what_is_acted_on_is_read(ask, service):
    """A handler that looks at a parameter refuses one that is of a wrong type."""
    models = api_models.requests(service)
    lost = []
    for action, (taken, _) in listed(service).items():
        paths = models[action] if action in models else taken
        for path in paths:
            if taken != ["*"] and not covers(taken, path):
                continue
            code, message = ask(service, action, asked(action, path, WRONG))
            name = path.split(".")[-1] if taken != ["*"] else path.split(".")[0].removesuffix("[]")
            if code == "FailedOperation.CheckMFAError":
                continue  # A device is looked for, and there is none.
            if not (re.match("InvalidParameter|UnsupportedOperation", code) and name in message):
                lost.append((action, path, code, message))
    assert not lost, "\n".join(map(str, lost))
