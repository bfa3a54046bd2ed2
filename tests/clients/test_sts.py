"""Temporary keys of both token services: who gets them, what they open, and what their policies close."""

import datetime
import json
import time
from urllib.parse import quote

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models
from tencentcloud.sts.v20180813.sts_client import StsClient

from support import functions
from support.clients import cos_client, s3_client

UIN = "100000000001"
ROLE = f"arn:aws:iam::{UIN}:role/team/reader"
CAM_ROLE = f"qcs::cam::uin/{UIN}:roleName/reader"


def aws_sts(server, keys=None):
    keys = keys or {"secret_id": server.secret_id, "secret_key": server.secret_key, "token": None}
    return boto3.client(
        "sts",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=keys["secret_id"],
        aws_secret_access_key=keys["secret_key"],
        aws_session_token=keys["token"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def cam_sts(server, keys=None, **profile):
    keys = keys or {"secret_id": server.secret_id, "secret_key": server.secret_key, "token": None}
    http = HttpProfile(protocol="http", endpoint=server.host, **profile.pop("http", {}))
    credential = Credential(keys["secret_id"], keys["secret_key"], keys["token"])
    return StsClient(credential, server.region, ClientProfile(httpProfile=http, **profile))


def cam_call(client, action, **parameters):
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(parameters))
    return json.loads(getattr(client, action)(request).to_json_string())


def aws_keys(answer):
    given = answer["Credentials"]
    return {"secret_id": given["AccessKeyId"], "secret_key": given["SecretAccessKey"], "token": given["SessionToken"]}


def cam_keys(answer):
    given = answer["Credentials"]
    return {"secret_id": given["TmpSecretId"], "secret_key": given["TmpSecretKey"], "token": given["Token"]}


def cos_with(server, keys):
    return cos_client(server, SecretId=keys["secret_id"], SecretKey=keys["secret_key"], Token=keys["token"])


def iam(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def cam(*statements):
    """As its clients send it: encoded once more than the form needs."""
    return quote(json.dumps({"version": "2.0", "statement": list(statements)}))


def refused(call, *arguments, **parameters):
    with pytest.raises((ClientError, CosServiceError, TencentCloudSDKException)) as caught:
        call(*arguments, **parameters)
    error = caught.value
    if isinstance(error, CosServiceError):
        return error.get_error_code()
    return error.get_code() if isinstance(error, TencentCloudSDKException) else error.response["Error"]["Code"]


# AWS's form


def test_who_one_is_in_awss_form(server):
    me = aws_sts(server).get_caller_identity()
    assert (me["Account"], me["Arn"]) == (UIN, f"arn:aws:iam::{UIN}:root")
    role = aws_sts(server).assume_role(RoleArn=ROLE, RoleSessionName="job")
    assert role["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{UIN}:assumed-role/reader/job"
    assert 3500 < role["Credentials"]["Expiration"].timestamp() - time.time() <= 3600
    as_role = aws_sts(server, aws_keys(role)).get_caller_identity()
    assert as_role["Arn"] == role["AssumedRoleUser"]["Arn"]
    assert as_role["UserId"] == role["AssumedRoleUser"]["AssumedRoleId"]
    user = aws_sts(server).get_federation_token(Name="bob", DurationSeconds=900)
    assert user["FederatedUser"] == {"FederatedUserId": f"{UIN}:bob", "Arn": f"arn:aws:sts::{UIN}:federated-user/bob"}
    assert aws_sts(server, aws_keys(user)).get_caller_identity()["UserId"] == f"{UIN}:bob"
    session = aws_sts(server).get_session_token(DurationSeconds=900)
    assert aws_sts(server, aws_keys(session)).get_caller_identity()["Arn"] == me["Arn"]


def test_awss_keys_open_both_dialects_with_their_token(server, bucket):
    for answer in (
        aws_sts(server).get_session_token(),
        aws_sts(server).assume_role(RoleArn=ROLE, RoleSessionName="job"),
    ):
        keys = aws_keys(answer)
        s3_client(server, **keys).put_object(Bucket=bucket, Key="s3", Body=b"x")
        cos_with(server, keys).put_object(Bucket=bucket, Key="cos", Body=b"x")
        assert len(s3_client(server, **keys).list_objects_v2(Bucket=bucket)["Contents"]) == 2
        for bad in (None, "wrong"):
            assert refused(s3_client(server, **{**keys, "token": bad}).get_object, Bucket=bucket, Key="s3") == "InvalidAccessKeyId"
            assert refused(aws_sts(server, {**keys, "token": bad}).get_caller_identity) == "InvalidClientTokenId"


def test_a_presigned_url_of_a_temporary_key_carries_its_token(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    keys = aws_keys(aws_sts(server).get_session_token())
    client = s3_client(server, **keys)
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "X-Amz-Security-Token=" in url
    assert requests.get(url, timeout=30).content == b"body"
    for method in ("GET", "POST"):
        url = aws_sts(server, keys).generate_presigned_url("get_caller_identity", HttpMethod=method)
        assert f"<Account>{UIN}</Account>" in requests.request(method, url, timeout=30).text


def test_a_form_of_a_temporary_key(server, bucket):
    policy = iam({"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"})
    keys = aws_keys(aws_sts(server).get_federation_token(Name="browser", Policy=policy))

    def post(key, drop=None):
        form = s3_client(server, **keys).generate_presigned_post(bucket, key)
        fields = {name: value for name, value in form["fields"].items() if name != drop}
        return requests.post(form["url"], data=fields, files={"file": b"x"}, timeout=30)

    assert post("in/a").status_code == 204
    assert "<Code>AccessDenied</Code>" in post("out/a").text
    assert "<Code>InvalidAccessKeyId</Code>" in post("in/a", drop="x-amz-security-token").text


def test_a_bound_key_goes_past_governance_if_its_policy_says_so(server, s3, unique):
    name = unique("lock")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    version = s3.put_object(Bucket=name, Key="k", Body=b"x", **lock)["VersionId"]
    deletes = iam({"Effect": "Allow", "Action": "s3:Delete*", "Resource": "*"})
    role = {"RoleArn": ROLE, "RoleSessionName": "job"}
    bound = s3_client(server, **aws_keys(aws_sts(server).assume_role(**role, Policy=deletes)))
    free = s3_client(server, **aws_keys(aws_sts(server).assume_role(**role)))
    delete = {"Bucket": name, "Key": "k", "VersionId": version, "BypassGovernanceRetention": True}
    assert refused(bound.delete_object, **delete) == "AccessDenied"
    free.delete_object(**delete)
    # Nor does one lock that may only put.
    only_put = iam({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"})
    putter = s3_client(server, **aws_keys(aws_sts(server).assume_role(**role, Policy=only_put)))
    assert refused(putter.put_object, Bucket=name, Key="k", Body=b"x", **lock) == "AccessDenied"
    held = {"ObjectLockLegalHoldStatus": "ON"}
    assert refused(putter.put_object, Bucket=name, Key="k", Body=b"x", **held) == "AccessDenied"
    version = putter.put_object(Bucket=name, Key="k", Body=b"x")["VersionId"]
    s3.delete_object(Bucket=name, Key="k", VersionId=version)
    s3.delete_bucket(Bucket=name)


def test_the_policy_of_a_role_is_enforced(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="in/a", Body=b"x")
    s3.put_object(Bucket=bucket, Key="out/a", Body=b"x")
    policy = iam(
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/in/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": "in/*"}},
        },
        {"Effect": "Deny", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/in/fixed"},
    )
    answer = aws_sts(server).assume_role(RoleArn=ROLE, RoleSessionName="job", Policy=policy)
    assert answer["PackedPolicySize"] > 0
    client = s3_client(server, **aws_keys(answer))
    assert client.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"x"
    client.put_object(Bucket=bucket, Key="in/b", Body=b"y")
    assert [row["Key"] for row in client.list_objects_v2(Bucket=bucket, Prefix="in/")["Contents"]] == ["in/a", "in/b"]
    for call, parameters in [
        (client.get_object, {"Key": "out/a"}),
        (client.put_object, {"Key": "in/fixed"}),
        (client.put_object, {"Key": "in/acl", "ACL": "public-read"}),
        (client.delete_object, {"Key": "in/a"}),
        (client.copy_object, {"Key": "in/c", "CopySource": f"{bucket}/out/a"}),
        (client.list_objects_v2, {}),
        (client.get_bucket_acl, {}),
        (client.delete_bucket, {}),
        (client.put_bucket_policy, {"Policy": "{}"}),
        (client.delete_bucket_policy, {}),
    ]:
        assert refused(call, Bucket=bucket, **parameters) == "AccessDenied", parameters
    assert refused(client.list_buckets) == "AccessDenied"
    assert refused(client.create_bucket, Bucket="made-by-a-role") == "AccessDenied"
    failed = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "in/a"}]})["Errors"]
    assert [(row["Key"], row["Code"]) for row in failed] == [("in/a", "AccessDenied")]
    # The same for the other dialect, by the operation and not by its spelling.
    other = cos_with(server, aws_keys(answer))
    assert other.get_object(Bucket=bucket, Key="in/a")["Body"].get_raw_stream().read() == b"x"
    assert refused(other.get_object, Bucket=bucket, Key="out/a") == "AccessDenied"


def test_buckets_are_made_and_listed_where_the_policy_says_so(server, new_bucket):
    name = new_bucket()
    policy = iam(
        {"Effect": "Allow", "Action": "s3:CreateBucket", "Resource": f"arn:aws:s3:::{name}"},
        {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "arn:aws:s3:::*"},
    )
    answer = aws_sts(server).get_federation_token(Name="maker", Policy=policy)
    client = s3_client(server, **aws_keys(answer))
    client.create_bucket(Bucket=name)
    assert name in [row["Name"] for row in client.list_buckets()["Buckets"]]
    assert refused(client.list_objects_v2, Bucket=name) == "AccessDenied"


def test_a_federated_user_without_a_policy_may_do_nothing(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    client = s3_client(server, **aws_keys(aws_sts(server).get_federation_token(Name="bob")))
    assert refused(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert refused(client.list_buckets) == "AccessDenied"


def test_a_buckets_policy_can_name_a_role(server, bucket, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=iam(
            {
                "Effect": "Deny",
                "Principal": {"AWS": f"arn:aws:iam::{UIN}:role/reader"},
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/*",
            }
        ),
    )
    reader = s3_client(server, **aws_keys(aws_sts(server).assume_role(RoleArn=ROLE, RoleSessionName="job")))
    other = ROLE.replace("reader", "writer")
    writer = s3_client(server, **aws_keys(aws_sts(server).assume_role(RoleArn=other, RoleSessionName="job")))
    assert refused(reader.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert writer.get_object(Bucket=bucket, Key="k")["ContentLength"] == 1
    s3.delete_bucket_policy(Bucket=bucket)


def test_awss_refusals(server):
    client = aws_sts(server)
    role = {"RoleArn": ROLE, "RoleSessionName": "job"}
    assert refused(client.assume_role, **{**role, "RoleArn": ROLE.replace(UIN, "100000000002")}) == "AccessDenied"
    assert refused(client.assume_role, **role, DurationSeconds=43201) == "ValidationError"
    assert refused(client.assume_role, **role, Policy="{}") == "MalformedPolicyDocument"
    assert refused(client.assume_role, **role, Policy=" " * 2049) == "PackedPolicyTooLarge"
    assert refused(client.assume_role, **role, Tags=[{"Key": "a", "Value": "b"}]) == "NotImplemented"
    assert refused(client.assume_role, **role, SerialNumber="123456789", TokenCode="123456") == "AccessDenied"
    assert refused(client.get_access_key_info, AccessKeyId="AKIA0123456789ABCDEF") == "NotImplemented"
    keys = {"secret_id": server.secret_id, "secret_key": "wrong", "token": None}
    assert refused(aws_sts(server, keys).get_caller_identity) == "SignatureDoesNotMatch"
    as_role = aws_sts(server, aws_keys(client.assume_role(**role)))
    assert refused(as_role.get_session_token) == "AccessDenied"
    assert refused(as_role.get_federation_token, Name="bob") == "AccessDenied"
    as_role.assume_role(**role)
    policy = iam({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    bound = aws_sts(server, aws_keys(client.assume_role(**role, Policy=policy)))
    assert refused(bound.assume_role, **role) == "AccessDenied"


# Tencent's form


@pytest.mark.parametrize("way", ["tc3", "v1", "get"])
def test_who_one_is_in_tencents_form(server, way):
    options = {
        "tc3": {},
        "v1": {"signMethod": "HmacSHA1"},
        "get": {"signMethod": "HmacSHA256", "http": {"reqMethod": "GET"}},
    }[way]
    me = cam_call(cam_sts(server, **options), "GetCallerIdentity")
    assert (me["AccountId"], me["UserId"], me["PrincipalId"]) == (UIN, UIN, UIN)
    policy = cam({"effect": "allow", "action": "name/cos:*", "resource": "*"})
    given = cam_call(cam_sts(server, **options), "GetFederationToken", Name="bob", Policy=policy)
    assert 1700 < given["ExpiredTime"] - time.time() <= 1800
    assert given["Expiration"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(given["ExpiredTime"]))
    user = cam_call(cam_sts(server, cam_keys(given), **options), "GetCallerIdentity")
    assert (user["Type"], user["UserId"]) == ("CAMUser", f"{UIN}:bob")
    assert user["Arn"] == f"qcs::sts:{UIN}:federated-user/{UIN}"
    given = cam_call(cam_sts(server, **options), "AssumeRole", RoleArn=CAM_ROLE, RoleSessionName="job")
    role = cam_call(cam_sts(server, cam_keys(given), **options), "GetCallerIdentity")
    number, session = role["UserId"].split(":")
    assert (role["Type"], session, role["Arn"]) == ("CAMRole", "job", f"qcs::sts:{UIN}:assumed-role/{number}")


def test_the_policy_of_a_federated_user_is_enforced(server, bucket, cos, s3):
    s3.put_object(Bucket=bucket, Key="in/a", Body=b"x")
    s3.put_object(Bucket=bucket, Key="out/a", Body=b"x")
    policy = cam(
        {
            "effect": "allow",
            "action": ["name/cos:GetObject", "name/cos:PutObject", "name/cos:HeadObject"],
            "resource": [f"qcs::cos:{server.region}:uid/{server.appid}:{bucket}/in/*"],
        },
        {
            "effect": "allow",
            "action": ["name/cos:GetBucket"],
            "resource": [f"qcs::cos:{server.region}:uid/{server.appid}:{bucket}/*"],
            "condition": {"string_like": {"cos:prefix": "in/*"}},
        },
    )
    keys = cam_keys(cam_call(cam_sts(server), "GetFederationToken", Name="app", Policy=policy))
    client = cos_with(server, keys)
    assert client.get_object(Bucket=bucket, Key="in/a")["Body"].get_raw_stream().read() == b"x"
    client.put_object(Bucket=bucket, Key="in/b", Body=b"y")
    assert len(client.list_objects(Bucket=bucket, Prefix="in/")["Contents"]) == 2
    assert refused(client.list_objects, Bucket=bucket) == "AccessDenied"
    assert refused(client.get_object, Bucket=bucket, Key="out/a") == "AccessDenied"
    assert refused(client.put_object, Bucket=bucket, Key="out/b", Body=b"y") == "AccessDenied"
    assert refused(client.delete_object, Bucket=bucket, Key="in/a") == "AccessDenied"
    assert refused(client.delete_bucket, Bucket=bucket) == "AccessDenied"
    assert refused(client.list_buckets) == "AccessDenied"
    other = s3_client(server, **keys)
    assert other.get_object(Bucket=bucket, Key="in/a")["ContentLength"] == 1
    assert refused(other.get_object, Bucket=bucket, Key="out/a") == "AccessDenied"
    token = {"x-cos-security-token": keys["token"]}
    proxies = {"http": server.url}
    url = client.get_presigned_url(Bucket=bucket, Key="in/a", Method="GET", Params=token)
    assert requests.get(url, proxies=proxies, timeout=30).content == b"x"
    bare = client.get_presigned_url(Bucket=bucket, Key="in/a", Method="GET")
    assert "<Code>InvalidAccessKeyId</Code>" in requests.get(bare, proxies=proxies, timeout=30).text
    assert refused(functions.call, functions.client(server, **keys), "ListFunctions") == "UnauthorizedOperation"


def test_a_policy_lets_the_cloud_api_be_called(server):
    policy = cam({"effect": "allow", "action": ["scf:List*"], "resource": ["*"]})
    keys = cam_keys(cam_call(cam_sts(server), "GetFederationToken", Name="ops", Policy=policy))
    scf = functions.client(server, **keys)
    assert "Functions" in functions.call(scf, "ListFunctions")
    assert refused(functions.call, scf, "DeleteFunction", FunctionName="any") == "UnauthorizedOperation"
    assert refused(cos_with(server, keys).list_buckets) == "AccessDenied"
    for bad in (None, "wrong"):
        scf = functions.client(server, **{**keys, "token": bad})
        assert refused(functions.call, scf, "ListFunctions") == "AuthFailure.TokenFailure"
    whole = cam_keys(cam_call(cam_sts(server), "AssumeRole", RoleArn=CAM_ROLE, RoleSessionName="job"))
    assert "Functions" in functions.call(functions.client(server, **whole), "ListFunctions")


def test_a_session_of_the_account_may_do_what_the_account_may(server, bucket):
    given = cam_call(cam_sts(server), "GetSessionToken", DurationSeconds=600)
    keys = cam_keys(given)
    assert 500 < given["ExpiredTime"] - time.time() <= 600
    assert cam_call(cam_sts(server, keys), "GetCallerIdentity")["Type"] == "RootAccount"
    assert "Functions" in functions.call(functions.client(server, **keys), "ListFunctions")
    cos_with(server, keys).put_object(Bucket=bucket, Key="k", Body=b"1")


def test_a_policy_is_asked_about_both_functions_of_a_copy(server):
    def scf_of(*names):
        resources = [f"qcs::scf:{server.region}:uin/{UIN}:namespace/default/function/{name}" for name in names]
        policy = cam({"effect": "allow", "action": ["scf:CopyFunction"], "resource": resources})
        keys = cam_keys(cam_call(cam_sts(server), "GetFederationToken", Name="ops", Policy=policy))
        return functions.client(server, **keys)

    copy = {"FunctionName": "no-such", "NewFunctionName": "other"}
    assert refused(functions.call, scf_of("no-such"), "CopyFunction", **copy) == "UnauthorizedOperation"
    assert refused(functions.call, scf_of("no-such", "other"), "CopyFunction", **copy) == "ResourceNotFound.FunctionName"


def test_tencents_refusals(server):
    client = cam_sts(server)
    everything = cam({"effect": "allow", "action": "*", "resource": "*"})
    user = {"Name": "bob", "Policy": everything}
    role = {"RoleArn": CAM_ROLE, "RoleSessionName": "job"}
    foreign = cam({"effect": "allow", "action": "cos:*", "resource": "qcs::cos::uid/1260000000:b-1260000000/*"})
    with_principal = cam({"effect": "allow", "principal": {"qcs": ["*"]}, "action": "*", "resource": "*"})
    keys = cam_keys(cam_call(client, "GetFederationToken", **user))
    for action, parameters, code in [
        ("GetFederationToken", {"Name": "bob"}, "MissingParameter"),
        ("GetFederationToken", {**user, "Name": "b b"}, "InvalidParameter.ParamError"),
        ("GetFederationToken", {**user, "DurationSeconds": 7201}, "InvalidParameter.OverTimeError"),
        ("GetFederationToken", {**user, "Policy": "{}"}, "InvalidParameter.StrategyFormatError"),
        ("GetFederationToken", {**user, "Policy": with_principal}, "InvalidParameter.StrategyFormatError"),
        ("GetFederationToken", {**user, "Policy": foreign}, "InvalidParameter.GrantOtherResource"),
        ("GetFederationToken", {**user, "Policy": "{" + " " * 6144 + "}"}, "InvalidParameter.PolicyTooLong"),
        ("AssumeRole", {**role, "RoleArn": "reader"}, "InvalidParameter.ParamError"),
        ("AssumeRole", {**role, "RoleArn": CAM_ROLE.replace(UIN, "100000000002")}, "UnauthorizedOperation"),
        ("AssumeRole", {**role, "DurationSeconds": 43201}, "InvalidParameter.OverTimeError"),
        ("AssumeRole", {**role, "Tags": [{"Key": "a", "Value": "b"}]}, "UnsupportedOperation"),
        ("AssumeRole", {**role, "SerialNumber": "s", "TokenCode": "1"}, "FailedOperation.CheckMFAError"),
        ("GetSessionToken", {"DurationSeconds": 7201}, "InvalidParameter.OverTimeError"),
        ("GetSessionToken", {"SerialNumber": "s", "TokenCode": "1"}, "FailedOperation.CheckMFAError"),
    ]:
        assert refused(cam_call, client, action, **parameters) == code, (action, parameters)
    assert refused(cam_call, cam_sts(server, keys), "GetFederationToken", **user) == "FailedOperation.TempKeyNotAllowed"
    assert refused(cam_call, cam_sts(server, keys), "AssumeRole", **role) == "UnauthorizedOperation"
    assert refused(cam_call, cam_sts(server, keys), "GetSessionToken") == "FailedOperation.TempKeyNotAllowed"
