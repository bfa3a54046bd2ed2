"""Test models: the console's actions, which the SDK can do by name."""

import json

import pytest
from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from support.functions import FUNCTIONS, call, deploy


@pytest.fixture
def console(server):
    keys = credential.Credential(server.secret_id, server.secret_key)
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
    client = CommonClient("scf", "2018-04-16", keys, server.region, profile)
    return lambda action, **parameters: client.call_json(action, parameters)["Response"]


def code(console, action, **parameters):
    with pytest.raises(TencentCloudSDKException) as refused:
        console(action, **parameters)
    return refused.value.code


def test_models_are_kept_with_their_function(console, scf, new_function):
    name = new_function()
    deploy(scf, name, FUNCTIONS / "echo-python")
    one = {"FunctionName": name, "TestModelName": "put"}
    value = json.dumps({"key1": "ü"})
    console("CreateFunctionTestModel", **one, TestModelValue=value)
    assert console("GetFunctionTestModel", **one)["TestModelValue"] == value
    assert code(console, "CreateFunctionTestModel", **one, TestModelValue=value) == "ResourceInUse.TestModel"
    console("UpdateFunctionTestModel", **one, TestModelValue="[1]")
    console("CreateFunctionTestModel", FunctionName=name, TestModelName="a", TestModelValue="{}")
    assert console("ListFunctionTestModels", FunctionName=name)["TestModels"] == ["a", "put"]
    # What is kept is what the function is run with.
    event = console("GetFunctionTestModel", **one)["TestModelValue"]
    assert call(scf, "Invoke", FunctionName=name, ClientContext=event)["Result"]["InvokeResult"] == 0
    console("DeleteFunctionTestModel", **one)
    assert code(console, "GetFunctionTestModel", **one) == "ResourceNotFound.TestModel"
    assert code(console, "UpdateFunctionTestModel", **one, TestModelValue="1") == "ResourceNotFound.TestModel"
    for wrong in [{"TestModelName": "1"}, {"TestModelValue": "{"}, {"TestModelValue": '"' + "x" * 65536 + '"'}]:
        assert code(console, "CreateFunctionTestModel", **{**one, "TestModelValue": "{}", **wrong}) == (
            "InvalidParameterValue"
        )
    for n in range(19):
        console("CreateFunctionTestModel", FunctionName=name, TestModelName=f"m{n}", TestModelValue="{}")
    assert code(console, "CreateFunctionTestModel", **one, TestModelValue="{}") == "LimitExceeded.TestModel"
    # A function that is made anew has none.
    call(scf, "DeleteFunction", FunctionName=name)
    deploy(scf, name, FUNCTIONS / "echo-python")
    assert console("ListFunctionTestModels", FunctionName=name)["TestModels"] == []
