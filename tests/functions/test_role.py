"""The keys that functions run with: whose they are, what they may do, and how long."""

import json

import pytest
from botocore.exceptions import ClientError
from qcloud_cos.cos_exception import CosServiceError
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

from support import functions
from support.clients import cos_client, s3_client
from support.functions import call
from support.instance import Instance

# What it holds was made when the module was loaded, as clients of SDKs are.
CODE = """
import os
HELD = {name: os.environ.get("TENCENTCLOUD_" + name) for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")}
def main_handler(event, context):
    return HELD
"""


@pytest.fixture
def own(tmp_path):
    with Instance(tmp_path / "data") as server:
        yield server


def run(server, name):
    result = call(functions.client(server), "Invoke", FunctionName=name)["Result"]
    assert result["InvokeResult"] == 0, result
    return json.loads(result["RetMsg"])


def caller(server, keys):
    """The role that the keys are of, as STS says."""
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=server.host))
    credential = Credential(keys["SECRETID"], keys["SECRETKEY"], keys["SESSIONTOKEN"])
    client = sts_client.StsClient(credential, server.region, profile)
    answer = client.GetCallerIdentity(models.GetCallerIdentityRequest())
    assert answer.Type == "CAMRole" and answer.UserId.endswith(":scf")
    return answer.UserId


def cos_of(server, keys):
    return cos_client(server, SecretId=keys["SECRETID"], SecretKey=keys["SECRETKEY"], Token=keys["SESSIONTOKEN"])


def test_a_function_has_the_keys_of_its_role(server, scf, s3, bucket, new_function):
    name = new_function()
    functions.deploy(scf, name, {"index.py": CODE}, Role="reader")
    reader = run(server, name)
    call(scf, "UpdateFunctionConfiguration", FunctionName=name, Role="writer")
    assert call(scf, "GetFunction", FunctionName=name)["Role"] == "writer"
    writer = run(server, name)
    assert caller(server, reader) != caller(server, writer)
    # What policies say of one role holds for it, and not for another.
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny",
            "Principal": {"AWS": "arn:aws:iam::100000000001:role/reader"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        },
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    cos_of(server, writer).put_object(Bucket=bucket, Key="a", Body=b"x")
    with pytest.raises(CosServiceError) as caught:
        cos_of(server, reader).put_object(Bucket=bucket, Key="a", Body=b"x")
    assert caught.value.get_error_code() == "AccessDenied"


def test_a_function_without_a_role_has_the_keys_of_the_default_one(server, scf, new_function):
    name, other = new_function(), new_function()
    functions.deploy(scf, name, {"index.py": CODE})
    functions.deploy(scf, other, {"index.py": CODE}, Role="SCF_QcsRole")
    assert caller(server, run(server, name)) == caller(server, run(server, other))


def test_a_strict_server_gives_no_keys_without_a_role(tmp_path):
    with Instance(tmp_path / "data", "--strict") as server:
        scf = functions.client(server)
        functions.deploy(scf, "none", {"index.py": CODE})
        functions.deploy(scf, "some", {"index.py": CODE}, Role="SCF_ExecuteRole")
        assert set(run(server, "none").values()) == {None}
        assert caller(server, run(server, "some"))


@pytest.mark.parametrize("role", ["no such/role", "ä", "x" * 129])
def test_what_is_no_role_is_refused(scf, new_function, role):
    name = new_function()
    with pytest.raises(TencentCloudSDKException) as caught:
        functions.deploy(scf, name, {"index.py": CODE}, Role=role)
    assert caught.value.get_code() == "ResourceNotFound.Role"
    functions.deploy(scf, name, {"index.py": CODE})
    with pytest.raises(TencentCloudSDKException) as caught:
        call(scf, "UpdateFunctionConfiguration", FunctionName=name, Role=role)
    assert caught.value.get_code() == "ResourceNotFound.Role"


def test_keys_end_and_a_warm_function_has_new_ones(own):
    """They live six hours by the server's clock; no event begins with keys that end before its time limit."""
    s3_client(own).create_bucket(Bucket="b-1250000000")
    functions.deploy(functions.client(own), "fn", {"index.py": CODE}, Role="reader", Timeout=60)
    first = run(own, "fn")
    # Never without work for as long as instances are kept.
    for _ in range(0, 5 * 60 + 56, 4):
        own.admin("POST", "clock", {"advance": "4m", "freeze": True})
        assert run(own, "fn") == first
    own.admin("POST", "clock", {"advance": "3m"})
    cos_of(own, first).put_object(Bucket="b-1250000000", Key="a", Body=b"x")
    second = run(own, "fn")
    assert second != first
    own.admin("POST", "clock", {"advance": "1m"})
    cos_of(own, second).put_object(Bucket="b-1250000000", Key="a", Body=b"x")
    with pytest.raises(CosServiceError) as caught:
        cos_of(own, first).put_object(Bucket="b-1250000000", Key="a", Body=b"x")
    assert caught.value.get_error_code() == "ExpiredToken"
    spelled = {"secret_id": first["SECRETID"], "secret_key": first["SECRETKEY"]}
    with pytest.raises(ClientError):
        s3_client(own, **spelled, token=first["SESSIONTOKEN"]).head_bucket(Bucket="b-1250000000")
    with pytest.raises(TencentCloudSDKException) as caught:
        caller(own, first)
    assert caught.value.get_code() == "AuthFailure.TokenFailure"
    assert caller(own, second) and run(own, "fn") == second
