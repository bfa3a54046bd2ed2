"""Functions of one name in two regions."""

import json

import pytest
from support.functions import call, client, deploy, description, domain, logs
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

HOME, AWAY = "ap-guangzhou", "ap-shanghai"

SOURCE = {
    "index.py": """
import os
def main_handler(event, context):
    return [os.environ["WHERE"], context["tencentcloud_region"], os.environ["TENCENTCLOUD_REGION"]]
"""
}


def said(result):
    return json.loads(result["RetMsg"])


@pytest.fixture
def regions(server, new_function):
    """Clients of both regions, and the name of a function in each."""
    name = new_function("two")
    clients = {region: client(server, region=region) for region in (HOME, AWAY)}
    for region, scf in clients.items():
        deploy(scf, name, SOURCE, env={"WHERE": region})
    yield clients, name
    for scf in clients.values():
        if call(scf, "ListFunctions", SearchKey=name)["TotalCount"]:
            call(scf, "DeleteFunction", FunctionName=name)


def test_each_is_its_own(server, regions, tccli):
    clients, name = regions
    for region, scf in clients.items():
        assert said(call(scf, "Invoke", FunctionName=name)["Result"]) == [region] * 3
        assert len(logs(scf, name)) == 1
        assert json.loads(server.cli("function", "invoke", name, "--region", region).stdout)[0] == region
        assert tccli("ListFunctions", SearchKey=name, region=region)["TotalCount"] == 1
    with pytest.raises(TencentCloudSDKException) as caught:
        deploy(clients[AWAY], name, SOURCE)
    assert caught.value.code == "ResourceInUse.FunctionName"
    call(clients[AWAY], "PublishVersion", FunctionName=name)
    call(clients[AWAY], "PutReservedConcurrencyConfig", FunctionName=name, ReservedConcurrencyMem=256)
    assert call(clients[HOME], "ListVersionByFunction", FunctionName=name)["TotalCount"] == 1
    assert call(clients[HOME], "GetReservedConcurrencyConfig", FunctionName=name)["ReservedMem"] is None
    call(clients[HOME], "DeleteFunction", FunctionName=name)
    assert said(call(clients[AWAY], "Invoke", FunctionName=name, Qualifier="1")["Result"])[0] == AWAY
    with pytest.raises(TencentCloudSDKException) as caught:
        call(clients[HOME], "GetFunction", FunctionName=name)
    assert caught.value.code == "ResourceNotFound.FunctionName"
    assert f"there is one of this name in {AWAY}" in caught.value.message


def test_events_come_to_the_one_of_the_buckets_region(server, s3, new_bucket, regions):
    clients, name = regions
    buckets = {}
    for region, scf in clients.items():
        buckets[region] = new_bucket()
        s3.create_bucket(Bucket=buckets[region], CreateBucketConfiguration={"LocationConstraint": region})
        trigger = {"Type": "cos", "TriggerName": domain(buckets[region], region), "Qualifier": "$DEFAULT"}
        trigger |= {"FunctionName": name, "TriggerDesc": description("cos:ObjectCreated:*")}
        other = clients[AWAY if region == HOME else HOME]
        with pytest.raises(TencentCloudSDKException) as caught:
            call(other, "CreateTrigger", **trigger)
        assert caught.value.code == "UnauthorizedOperation.Region"
        call(scf, "CreateTrigger", **trigger)
    for region, scf in clients.items():
        assert call(scf, "ListTriggers", FunctionName=name)["TotalCount"] == 1
        put = s3.put_object(Bucket=buckets[region], Key="k", Body=b"x")
        server.wait(put["ResponseMetadata"]["RequestId"])
        assert [said(entry) for entry in logs(scf, name)] == [[region] * 3]
        assert call(scf, "ListAsyncEvents", FunctionName=name)["TotalCount"] == 1
    call(clients[AWAY], "DeleteFunction", FunctionName=name)
    assert call(clients[HOME], "ListTriggers", FunctionName=name)["TotalCount"] == 1


def test_a_copy_in_another_region(regions, new_function):
    clients, name = regions
    call(clients[AWAY], "DeleteFunction", FunctionName=name)
    call(clients[HOME], "CopyFunction", FunctionName=name, NewFunctionName=name, TargetRegion=AWAY)
    assert said(call(clients[AWAY], "Invoke", FunctionName=name)["Result"]) == [HOME, AWAY, AWAY]
