"""Who may do what: accounts, access control lists, policies, public access, ownership, in both dialects."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

from support import coverage
from support.clients import cos_client, s3_client
from support.instance import Instance

OTHER = {"secret_id": "AKIDother", "secret_key": "otherkey", "appid": "1260000000", "uin": "100000000002"}
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture(scope="module")
def server(tmp_path_factory, answered):
    """With a second account."""
    log = tmp_path_factory.mktemp("access") / "log"
    with Instance(None, f"--account={':'.join(OTHER.values())}:other", "--log=debug", log=log) as instance:
        yield instance
        answered |= coverage.answered(instance.log_text())


@pytest.fixture
def new_bucket(unique):
    """Names as S3 clients make them: objects in such buckets are private unless they say otherwise."""
    return lambda: unique("acl")


@pytest.fixture
def s3_other(server):
    return s3_client(server, secret_id=OTHER["secret_id"], secret_key=OTHER["secret_key"])


@pytest.fixture
def s3_nobody(server):
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name=server.region,
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def cos_other(server):
    return cos_client(server, SecretId=OTHER["secret_id"], SecretKey=OTHER["secret_key"])


@pytest.fixture
def cos_nobody(server):
    return CosS3Client(
        CosConfig(Region=server.region, Proxies={"http": server.url}, Scheme="http", Anonymous=True), retry=0
    )


@pytest.fixture
def cos_bucket(cos, unique):
    name = f"{unique('acl')}-1250000000"
    cos.create_bucket(Bucket=name)
    return name


def refused(call, *arguments, **parameters):
    """The code of the service's error."""
    with pytest.raises((ClientError, CosServiceError)) as caught:
        call(*arguments, **parameters)
    error = caught.value
    return error.get_error_code() if isinstance(error, CosServiceError) else error.response["Error"]["Code"]


def ids(acl):
    return [(g["Grantee"].get("ID") or g["Grantee"]["URI"], g["Permission"]) for g in acl["Grants"]]


# Policies that are none, and what conditions may ask for


def statement(bucket, **more):
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, **more}]})


def test_a_policy_that_would_never_be_met_is_refused(s3, cos, new_bucket, cos_bucket):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket)
    for wrong in [
        statement(bucket, Action="s3:GetObjct"),
        statement(bucket, Action="s3:ListBucket"),
        statement(bucket, Condition={"StringEquals": {"s3:colour": "red"}}),
        statement(bucket, Resource=f"arn:aws:s3:::{bucket}/${{aws:colour}}"),
        statement(bucket).replace('"Effect"', '"Effect": "Deny", "Effect"'),
    ]:
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=wrong) == "MalformedPolicy", wrong
    s3.put_bucket_policy(Bucket=bucket, Policy=statement(bucket))
    cam = {
        "version": "2.0",
        "statement": [
            {
                "effect": "allow",
                "principal": {"qcs": ["qcs::cam::anyone:anyone"]},
                "action": ["name/cos:GetObjct"],
                "resource": [f"qcs::cos:::{cos_bucket}/*"],
            }
        ],
    }
    assert refused(cos.put_bucket_policy, Bucket=cos_bucket, Policy=json.dumps(cam)) == "MalformedPolicy"
    cam["statement"][0]["action"] = ["name/cos:GetObject"]
    cos.put_bucket_policy(Bucket=cos_bucket, Policy=json.dumps(cam))


def test_a_policy_may_end_presigned_urls_early(server, s3, new_bucket):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"here")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert urllib.request.urlopen(url).read() == b"here"
    old = {"NumericGreaterThanEquals": {"s3:signatureAge": "0"}, "StringEquals": {"s3:authType": "REST-QUERY-STRING"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=statement(bucket, Effect="Deny", Condition=old))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    assert caught.value.code == 403
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"here"


def test_a_folder_for_each_account(s3, s3_other, new_bucket):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket)
    own = statement(bucket, Action="s3:PutObject", Resource=f"arn:aws:s3:::{bucket}/${{aws:PrincipalAccount}}/*")
    s3.put_bucket_policy(Bucket=bucket, Policy=own)
    s3_other.put_object(Bucket=bucket, Key=f"{OTHER['uin']}/a", Body=b"mine")
    assert refused(s3_other.put_object, Bucket=bucket, Key="100000000001/a", Body=b"theirs") == "AccessDenied"


def test_tags_of_a_new_object_are_for_who_may_set_tags(s3, s3_other, new_bucket):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=statement(bucket, Action="s3:PutObject"))
    s3_other.put_object(Bucket=bucket, Key="a")
    assert refused(s3_other.put_object, Bucket=bucket, Key="a", Tagging="k=v") == "AccessDenied"
    s3.put_bucket_policy(Bucket=bucket, Policy=statement(bucket, Action=["s3:PutObject", "s3:PutObjectTagging"]))
    s3_other.put_object(Bucket=bucket, Key="a", Tagging="k=v")


def test_a_list_for_machine_images(s3, new_bucket):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket, ACL="aws-exec-read")
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [(g["Grantee"]["DisplayName"], g["Permission"]) for g in grants] == [
        ("za-team", "READ"),
        (s3.get_bucket_acl(Bucket=bucket)["Owner"]["DisplayName"], "FULL_CONTROL"),
    ]
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={k: s3.get_bucket_acl(Bucket=bucket)[k] for k in ("Owner", "Grants")})
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == grants


def test_lists_show_whose_each_object_is(s3, s3_other, cos, cos_other, new_bucket, unique):
    bucket = new_bucket()
    s3.create_bucket(Bucket=bucket, ACL="public-read-write")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="a")
    s3_other.put_object(Bucket=bucket, Key="b")
    mine, theirs = (client.list_buckets()["Owner"]["ID"] for client in (s3, s3_other))

    def owners(listed, rows="Contents"):
        return [row["Owner"]["ID"] for row in listed[rows]]

    assert owners(s3.list_objects(Bucket=bucket)) == [mine, theirs]
    assert owners(s3.list_objects_v2(Bucket=bucket, FetchOwner=True)) == [mine, theirs]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert owners(s3.list_object_versions(Bucket=bucket), "Versions") == [mine, theirs]
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert owners(s3.list_objects(Bucket=bucket)) == [mine, mine]
    name = f"{unique('acl')}-1250000000"
    cos.create_bucket(Bucket=name, ACL="public-read-write")
    cos_other.put_object(Bucket=name, Key="b", Body=b"x")
    assert owners(cos.list_objects(Bucket=name)) == [OTHER["appid"]]


# Accounts


def test_accounts_have_buckets_of_their_own(s3, s3_other, bucket, unique):
    theirs = unique("theirs")
    s3_other.create_bucket(Bucket=theirs)
    assert [b["Name"] for b in s3_other.list_buckets()["Buckets"] if b["Name"] in (bucket, theirs)] == [theirs]
    for call in (s3.list_objects_v2, s3.get_bucket_acl, s3.delete_bucket):
        assert refused(call, Bucket=theirs) == "AccessDenied"
    assert refused(s3.put_object, Bucket=theirs, Key="k") == "AccessDenied"
    assert refused(s3.create_bucket, Bucket=theirs) == "BucketAlreadyExists"


def test_nobody_known_gets_nothing(s3, s3_nobody, cos_nobody, bucket, cos_bucket):
    s3.put_object(Bucket=bucket, Key="k")
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert refused(s3_nobody.list_objects, Bucket=bucket) == "AccessDenied"
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="absent") == "AccessDenied"
    assert refused(cos_nobody.list_objects, Bucket=cos_bucket) == "AccessDenied"


def test_a_bucket_may_be_expected_to_be_somebodys(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", ExpectedBucketOwner=server.uin)
    assert refused(s3.get_object, Bucket=bucket, Key="k", ExpectedBucketOwner=OTHER["uin"]) == "AccessDenied"
    copy = {"Bucket": bucket, "Key": "c", "CopySource": {"Bucket": bucket, "Key": "k"}}
    s3.copy_object(**copy, ExpectedSourceBucketOwner=server.uin)
    assert refused(s3.copy_object, **copy, ExpectedSourceBucketOwner=OTHER["uin"]) == "AccessDenied"


# Lists, S3


def test_s3_lists_of_buckets(s3, s3_other, s3_nobody, bucket):
    me = s3.get_bucket_acl(Bucket=bucket)
    assert me["Owner"]["DisplayName"] == "cosette"
    assert ids(me) == [(me["Owner"]["ID"], "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert (ALL_USERS, "READ") in ids(s3.get_bucket_acl(Bucket=bucket))
    assert s3_nobody.list_objects(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(s3_other.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    s3_nobody.put_object(Bucket=bucket, Key="k", Body=b"x")
    # A private object in a bucket that everybody can read.
    s3.put_object(Bucket=bucket, Key="mine", Body=b"x")
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="mine") == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert refused(s3_nobody.list_objects, Bucket=bucket) == "AccessDenied"


def test_a_grant_to_write_removes_no_version(s3, s3_other, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    marker = s3_other.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    assert refused(s3_other.delete_object, Bucket=bucket, Key="k", VersionId=version) == "AccessDenied"
    for one in (version, marker["VersionId"]):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=one)


def test_s3_grants(s3, s3_other, bucket):
    other = s3_other.list_buckets()["Owner"]["ID"]
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={other}", GrantReadACP=f"id={other}")
    s3_other.put_object(Bucket=bucket, Key="theirs", Body=b"x")
    assert refused(s3_other.list_objects, Bucket=bucket) == "AccessDenied"
    acl = s3_other.get_bucket_acl(Bucket=bucket)
    assert ids(acl) == [(other, "WRITE"), (other, "READ_ACP")]
    # Who wrote an object owns it.
    assert s3_other.get_object_acl(Bucket=bucket, Key="theirs")["Owner"]["ID"] == other
    assert refused(s3.get_object, Bucket=bucket, Key="theirs") == "AccessDenied"
    s3.delete_object(Bucket=bucket, Key="theirs")
    # A document comes back as it went.
    document = {"Owner": acl["Owner"], "Grants": [*acl["Grants"], {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"}]}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=document)
    assert ids(s3.get_bucket_acl(Bucket=bucket)) == [*ids(acl), (ALL_USERS, "READ")]
    assert refused(s3.put_bucket_acl, Bucket=bucket, GrantRead='id="nobody"') == "InvalidArgument"
    assert refused(s3.put_bucket_acl, Bucket=bucket, GrantRead=f"id={other}", ACL="private") == "InvalidRequest"
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="everybody") == "InvalidArgument"


def test_s3_lists_of_objects(server, s3, s3_other, s3_nobody, bucket):
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read")
    assert s3_nobody.get_object(Bucket=bucket, Key="open")["Body"].read() == b"x"
    with urllib.request.urlopen(f"{server.url}/{bucket}/open") as answer:
        assert answer.read() == b"x"
    s3.put_object_acl(Bucket=bucket, Key="open", ACL="authenticated-read")
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="open") == "AccessDenied"
    assert s3_other.get_object(Bucket=bucket, Key="open")["Body"].read() == b"x"
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "open"})
    assert refused(s3_other.get_object, Bucket=bucket, Key="copied") == "AccessDenied"
    assert refused(s3.get_object, Bucket=bucket, Key="absent") == "NoSuchKey"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ACL="public-read")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"p")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    assert s3_nobody.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"p"
    assert (ALL_USERS, "READ") in ids(s3.get_object_acl(Bucket=bucket, Key="parts"))
    s3.put_object(Bucket=bucket, Key="open", Body=b"x")
    assert refused(s3_other.get_object, Bucket=bucket, Key="open") == "AccessDenied"


# Lists, COS


def test_cos_lists_of_buckets(cos, cos_other, cos_nobody, cos_bucket):
    owner = "qcs::cam::uin/100000000001:uin/100000000001"
    acl = cos.get_bucket_acl(Bucket=cos_bucket)
    assert acl["Owner"]["ID"] == owner
    grants = acl["AccessControlList"]["Grant"]
    assert [(g["Grantee"]["ID"], g["Permission"]) for g in grants] == [(owner, "FULL_CONTROL")]
    cos.put_object(Bucket=cos_bucket, Key="k", Body=b"x")
    assert refused(cos_nobody.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    cos.put_bucket_acl(Bucket=cos_bucket, ACL="public-read")
    # An object without a list of its own has its bucket's.
    assert cos_nobody.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"
    assert cos_nobody.list_objects(Bucket=cos_bucket)["Contents"][0]["Key"] == "k"
    cos.put_bucket_acl(Bucket=cos_bucket, GrantWrite=f'id="qcs::cam::uin/{OTHER["uin"]}:uin/{OTHER["uin"]}"')
    cos_other.put_object(Bucket=cos_bucket, Key="theirs", Body=b"x")
    assert refused(cos_nobody.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    document = {
        "Owner": {"ID": owner},
        "AccessControlList": {
            "Grant": [
                {
                    "Grantee": {"@xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "@xsi:type": "CanonicalUser", "ID": f"qcs::cam::uin/{OTHER['uin']}:uin/{OTHER['uin']}"},
                    "Permission": "READ",
                }
            ]
        },
    }
    cos.put_bucket_acl(Bucket=cos_bucket, AccessControlPolicy=document)
    grants = cos.get_bucket_acl(Bucket=cos_bucket)["AccessControlList"]["Grant"]
    assert [(g["Grantee"]["ID"], g["Permission"]) for g in grants] == [(f"qcs::cam::uin/{OTHER['uin']}:uin/{OTHER['uin']}", "READ")]
    assert cos_other.list_objects(Bucket=cos_bucket)["Contents"]
    assert refused(cos.put_bucket_acl, Bucket=cos_bucket, ACL="everybody") == "InvalidArgument"


def test_cos_lists_of_objects(cos, cos_other, cos_nobody, cos_bucket):
    cos.put_object(Bucket=cos_bucket, Key="k", Body=b"x", ACL="public-read")
    assert cos_nobody.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"
    acl = cos.get_object_acl(Bucket=cos_bucket, Key="k")
    assert len(acl["AccessControlList"]["Grant"]) == 2 and "x-cos-acl" not in acl
    cos.put_object_acl(Bucket=cos_bucket, Key="k", ACL="private")
    cos.put_bucket_acl(Bucket=cos_bucket, ACL="public-read")
    assert refused(cos_nobody.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    cos.put_object_acl(Bucket=cos_bucket, Key="k", ACL="default")
    assert cos_nobody.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"
    cos.put_object_acl(Bucket=cos_bucket, Key="k", GrantRead=f'id="{OTHER["uin"]}"')
    assert refused(cos_nobody.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    assert cos_other.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"


# Policies


def s3_policy(bucket, **statement):
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allow, **statement}]})


def test_s3_policies(s3, s3_other, s3_nobody, bucket):
    s3.put_object(Bucket=bucket, Key="a/1", Body=b"x")
    assert refused(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    assert refused(s3.get_bucket_policy_status, Bucket=bucket) == "NoSuchBucketPolicy"
    text = s3_policy(bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    assert s3_nobody.get_object(Bucket=bucket, Key="a/1")["Body"].read() == b"x"
    s3.put_bucket_policy(Bucket=bucket, Policy=s3_policy(bucket, Principal={"AWS": f"arn:aws:iam::{OTHER['uin']}:root"}))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="a/1") == "AccessDenied"
    assert s3_other.get_object(Bucket=bucket, Key="a/1")["Body"].read() == b"x"
    deny = s3_policy(bucket, Effect="Deny", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})
    s3.put_bucket_policy(Bucket=bucket, Policy=deny)
    assert refused(s3.get_object, Bucket=bucket, Key="a/1") == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="a/1")["Body"].read() == b"x"
    for bad in ("{}", "[]", s3_policy("another"), s3_policy(bucket, Action="ec2:Run"), s3_policy(bucket, Colour="red")):
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=bad) == "MalformedPolicy"


def test_s3_policies_see_headers_parameters_and_tags(s3, s3_other, bucket):
    only = {"Principal": {"AWS": OTHER["uin"]}}
    statements = [
        {**only, "Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}", "Condition": {"StringEquals": {"s3:prefix": "a/"}}},
        {**only, "Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}},
        {**only, "Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert s3_other.list_objects(Bucket=bucket, Prefix="a/")["Prefix"] == "a/"
    assert refused(s3_other.list_objects, Bucket=bucket, Prefix="b/") == "AccessDenied"
    assert refused(s3_other.put_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3_other.put_object(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", Tagging="open=yes")
    s3.put_object(Bucket=bucket, Key="shut", Body=b"x", Tagging="open=no")
    assert s3_other.get_object(Bucket=bucket, Key="open")["Body"].read() == b"x"
    assert refused(s3_other.get_object, Bucket=bucket, Key="shut") == "AccessDenied"


def cos_policy(bucket, **statement):
    allow = {
        "Effect": "allow",
        "Principal": {"qcs": ["qcs::cam::anyone:anyone"]},
        "Action": ["name/cos:GetObject"],
        "Resource": [f"qcs::cos:ap-guangzhou:uid/1250000000:{bucket}/*"],
    }
    return {"version": "2.0", "Statement": [{**allow, **statement}]}


def test_cos_policies(cos, cos_other, cos_nobody, cos_bucket):
    cos.put_object(Bucket=cos_bucket, Key="k", Body=b"x")
    assert refused(cos.get_bucket_policy, Bucket=cos_bucket) == "NoSuchPolicyVersion"
    cos.put_bucket_policy(Bucket=cos_bucket, Policy=cos_policy(cos_bucket))
    assert json.loads(cos.get_bucket_policy(Bucket=cos_bucket)["Policy"]) == cos_policy(cos_bucket)
    assert cos_nobody.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"
    assert refused(cos_nobody.list_objects, Bucket=cos_bucket) == "AccessDenied"
    them = {"qcs": [f"qcs::cam::uin/{OTHER['uin']}:uin/{OTHER['uin']}"]}
    actions = ["name/cos:GetBucket", "name/cos:PutObject"]
    here = {"ip_equal": {"qcs:ip": ["127.0.0.1/32"]}}
    cos.put_bucket_policy(Bucket=cos_bucket, Policy=cos_policy(cos_bucket, Principal=them, Action=actions, Condition=here))
    assert cos_other.list_objects(Bucket=cos_bucket)["Contents"]
    cos_other.put_object(Bucket=cos_bucket, Key="theirs", Body=b"x")
    assert refused(cos_other.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    elsewhere = {"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}
    cos.put_bucket_policy(Bucket=cos_bucket, Policy=cos_policy(cos_bucket, Principal=them, Action=actions, Condition=elsewhere))
    assert refused(cos_other.list_objects, Bucket=cos_bucket) == "AccessDenied"
    cos.put_bucket_policy(Bucket=cos_bucket, Policy=cos_policy(cos_bucket, Effect="deny"))
    assert refused(cos.get_object, Bucket=cos_bucket, Key="k") == "AccessDenied"
    cos.delete_bucket_policy(Bucket=cos_bucket)
    assert cos.get_object(Bucket=cos_bucket, Key="k")["Body"].get_raw_stream().read() == b"x"
    assert refused(cos.put_bucket_policy, Bucket=cos_bucket, Policy={"version": "2.0"}) == "MalformedPolicy"


# Public access block and ownership


def test_public_access_can_be_blocked(s3, s3_nobody, bucket):
    assert refused(s3.get_public_access_block, Bucket=bucket) == "NoSuchPublicAccessBlockConfiguration"
    s3.put_object(Bucket=bucket, Key="k", ACL="public-read")
    s3.put_bucket_policy(Bucket=bucket, Policy=s3_policy(bucket, Resource=f"arn:aws:s3:::{bucket}/by-policy"))
    s3.put_object(Bucket=bucket, Key="by-policy")

    def block(**flags):
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        wanted = {name: flags.get(name, False) for name in names}
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)
        assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == wanted

    block(BlockPublicAcls=True)
    assert refused(s3.put_object, Bucket=bucket, Key="n", ACL="public-read") == "AccessDenied"
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == "AccessDenied"
    s3_nobody.get_object(Bucket=bucket, Key="k")
    block(IgnorePublicAcls=True)
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3_nobody.get_object(Bucket=bucket, Key="by-policy")
    block(RestrictPublicBuckets=True)
    assert refused(s3_nobody.get_object, Bucket=bucket, Key="by-policy") == "AccessDenied"
    block(BlockPublicPolicy=True)
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=s3_policy(bucket)) == "AccessDenied"
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=s3_policy(bucket))


def test_ownership_of_objects(s3, s3_other, new_bucket):
    name = new_bucket()
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerPreferred", ACL="public-read-write")
    me = s3.get_bucket_acl(Bucket=name)["Owner"]["ID"]
    controls = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3_other.put_object(Bucket=name, Key="given", Body=b"x", ACL="bucket-owner-full-control")
    s3_other.put_object(Bucket=name, Key="kept", Body=b"x")
    assert s3.get_object_acl(Bucket=name, Key="given")["Owner"]["ID"] == me
    assert refused(s3.get_object, Bucket=name, Key="kept") == "AccessDenied"
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert (
        refused(s3.put_bucket_ownership_controls, Bucket=name, OwnershipControls=enforced)
        == "InvalidBucketAclWithObjectOwnership"
    )
    s3.put_bucket_acl(Bucket=name, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=enforced)
    assert s3.get_object(Bucket=name, Key="kept")["Body"].read() == b"x"
    assert refused(s3.put_object_acl, Bucket=name, Key="kept", ACL="public-read") == "AccessControlListNotSupported"
    assert refused(s3.put_object, Bucket=name, Key="n", ACL="public-read") == "AccessControlListNotSupported"
    s3.delete_bucket_ownership_controls(Bucket=name)
    assert refused(s3.get_bucket_ownership_controls, Bucket=name) == "OwnershipControlsNotFoundError"
