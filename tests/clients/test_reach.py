"""How a bucket is reached: who pays for its requests, its acceleration hosts, names of the user's own."""

import urllib.error
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError
from support import raw
from support.clients import cos_client, s3_client
from support.instance import Instance

OTHER = {"secret_id": "AKIDother", "secret_key": "otherkey", "appid": "1260000000", "uin": "100000000002"}


@pytest.fixture(scope="module")
def server():
    """With a second account."""
    with Instance(None, f"--account={':'.join(OTHER.values())}:other") as instance:
        yield instance


@pytest.fixture
def s3_other(server):
    return s3_client(server, secret_id=OTHER["secret_id"], secret_key=OTHER["secret_key"])


@pytest.fixture
def cos_other(server):
    return cos_client(server, SecretId=OTHER["secret_id"], SecretKey=OTHER["secret_key"])


@pytest.fixture
def plain_bucket(s3, unique):
    """One as S3 clients make it."""
    name = unique("reach")
    s3.create_bucket(Bucket=name)
    return name


def code(call, *arguments, **parameters):
    with pytest.raises((ClientError, CosServiceError)) as caught:
        call(*arguments, **parameters)
    error = caught.value
    if isinstance(error, CosServiceError):
        return error.get_error_code(), error.get_status_code()
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


# Request payment (S3)


def test_the_requester_pays_or_is_refused(server, s3, s3_other, plain_bucket, unique):
    bucket, ask = plain_bucket, {"Bucket": plain_bucket, "Key": "k"}
    s3.put_object(**ask, Body=b"paid for", ACL="public-read")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert s3_other.get_object(**ask)["Body"].read() == b"paid for"
    assert "RequestCharged" not in s3_other.get_object(**ask, RequestPayer="requester"), "the owner pays"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})

    assert code(s3_other.get_object, **ask) == ("AccessDenied", 403)
    assert code(s3_other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert code(s3_other.head_object, **ask) == ("403", 403)
    got = s3_other.get_object(**ask, RequestPayer="requester")
    assert (got["Body"].read(), got["RequestCharged"]) == (b"paid for", "requester")
    assert s3_other.head_object(**ask, RequestPayer="requester")["RequestCharged"] == "requester"
    listed = s3_other.list_objects_v2(Bucket=bucket, RequestPayer="requester")
    assert (len(listed["Contents"]), listed["RequestCharged"]) == (1, "requester")
    own = unique("own")
    s3_other.create_bucket(Bucket=own)
    copy = {"Bucket": own, "Key": "c", "CopySource": ask}
    assert code(s3_other.copy_object, **copy) == ("AccessDenied", 403)
    assert s3_other.copy_object(**copy, RequestPayer="requester")["RequestCharged"] == "requester"

    def at(**more):
        url = s3_other.generate_presigned_url("get_object", {**ask, **more})
        # boto3 signs it as a header, which is to be sent.
        headers = {"x-amz-request-payer": more["RequestPayer"]} if more else {}
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers))

    assert at(RequestPayer="requester").headers["x-amz-request-charged"] == "requester"
    with pytest.raises(urllib.error.HTTPError) as caught:
        at()
    assert caught.value.code == 403
    # Nobody known has nothing to pay with, and the owner pays anyway.
    config = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    nobody = boto3.client("s3", endpoint_url=server.url, region_name=server.region, config=config)
    assert code(nobody.get_object, **ask, RequestPayer="requester") == ("AccessDenied", 403)
    assert "RequestCharged" not in s3.get_object(**ask)


# Acceleration


def test_the_acceleration_host_of_s3(server, s3, plain_bucket, unique):
    config = Config(
        s3={"use_accelerate_endpoint": True}, proxies={"http": server.url}, retries={"total_max_attempts": 1}
    )
    fast = boto3.client(
        "s3",
        region_name=server.region,
        use_ssl=False,
        aws_access_key_id=server.secret_id,
        aws_secret_access_key=server.secret_key,
        config=config,
    )
    ask = {"Bucket": plain_bucket, "Key": "k"}
    seen = []
    fast.meta.events.register("before-send", lambda request, **_: seen.append(request.url))
    assert code(fast.put_object, **ask, Body=b"x") == ("InvalidRequest", 400)
    assert f"//{plain_bucket}.s3-accelerate.amazonaws.com/" in seen[0]
    s3.put_bucket_accelerate_configuration(Bucket=plain_bucket, AccelerateConfiguration={"Status": "Enabled"})
    fast.put_object(**ask, Body=b"fast")
    assert fast.get_object(**ask)["Body"].read() == b"fast"
    assert [row["Key"] for row in fast.list_objects_v2(Bucket=plain_bucket)["Contents"]] == ["k"]
    s3.put_bucket_accelerate_configuration(Bucket=plain_bucket, AccelerateConfiguration={"Status": "Suspended"})
    with pytest.raises(ClientError, match="disabled on this bucket"):
        fast.get_object(**ask)
    dotted = f"{unique('reach')}.dotted"
    s3.create_bucket(Bucket=dotted)
    enable = {"Bucket": dotted, "AccelerateConfiguration": {"Status": "Enabled"}}
    assert code(s3.put_bucket_accelerate_configuration, **enable) == ("InvalidRequest", 400)


def test_the_acceleration_host_of_cos(server, cos, bucket):
    fast = cos_client(server, Endpoint="cos.accelerate.myqcloud.com")
    assert fast.get_conf().uri(bucket=bucket).startswith(f"http://{bucket}.cos.accelerate.myqcloud.com")
    ask = {"Bucket": bucket, "Key": "k"}
    assert code(fast.put_object, **ask, Body=b"x") == ("BucketAccelerateNotEnabled", 400)
    enabled = b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"
    assert raw.cos(server, "PUT", bucket, query=[("accelerate", "")], body=enabled).status == 200
    fast.put_object(**ask, Body=b"fast")
    assert fast.get_object(**ask)["Body"].get_raw_stream().read() == b"fast"
    assert [row["Key"] for row in fast.list_objects(Bucket=bucket)["Contents"]] == ["k"]
    assert code(fast.get_bucket_cors, Bucket=bucket) == ("ActionAccelerateNotSupported", 400)
    suspended = enabled.replace(b"Enabled", b"Suspended")
    raw.cos(server, "PUT", bucket, query=[("accelerate", "")], body=suspended)
    assert code(fast.get_object, **ask) == ("BucketAccelerateNotEnabled", 400)


# Names of the user's own (COS)


def rules(*named, **more):
    return {
        "DomainRule": [{"Status": "ENABLED", "Name": name, "Type": kind, **more} for name, kind in named]
    }


def fetch(server, host, path="", proxied=False):
    """Status and body of an anonymous read, straight or as through a proxy."""
    target = f"http://{host}/{path}" if proxied else f"/{path}"
    reply = raw.send(server, "GET", target, [("Host", host)])
    return reply.status, reply.body


def test_a_name_of_the_users_own(server, cos, bucket, unique):
    name = f"{unique('cdn')}.example.com"
    cos.put_object(Bucket=bucket, Key="目录/a b.txt", Body=b"here", ACL="public-read")
    assert fetch(server, name, proxied=True)[0] == 403, "a foreign host"
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration=rules((name, "REST")))
    mine = cos_client(server, Domain=name)
    assert mine.get_conf().uri(bucket=bucket) == f"http://{name}/"
    mine.put_object(Bucket=bucket, Key="k", Body=b"by name")
    assert cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == b"by name"
    assert [row["Key"] for row in mine.list_objects(Bucket=bucket)["Contents"]] == ["k", "目录/a b.txt"]
    path = raw.quote("目录/a b.txt", safe="/")
    assert fetch(server, name, path) == fetch(server, name.upper(), path) == (200, b"here")
    assert fetch(server, name, path, proxied=True) == (200, b"here")
    assert fetch(server, f"x{name}", path, proxied=True)[0] == 403
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration=rules((name, "REST"), Status="DISABLED"))
    assert fetch(server, name, path, proxied=True)[0] == 403
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration=rules((name, "REST")))
    cos.delete_bucket_domain(Bucket=bucket)
    assert fetch(server, name, path, proxied=True)[0] == 403


def test_a_name_for_a_website_and_one_for_acceleration(server, cos, bucket, unique):
    site, fast = f"{unique('www')}.example.com", f"{unique('fast')}.example.com"
    cos.put_object(Bucket=bucket, Key="index.html", Body=b"welcome", ACL="public-read")
    cos.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration=rules((site, "WEBSITE"), (fast, "ACCELERATE")))
    assert fetch(server, site) == (200, b"welcome")
    status, body = fetch(server, fast, "index.html")
    assert status == 400 and b"BucketAccelerateNotEnabled" in body
    enabled = b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"
    raw.cos(server, "PUT", bucket, query=[("accelerate", "")], body=enabled)
    assert fetch(server, fast, "index.html") == (200, b"welcome")
    cos.delete_bucket_domain(Bucket=bucket)


def test_a_name_has_one_bucket(server, cos, cos_other, bucket, unique):
    name = f"{unique('one')}.example.com"
    second, foreign = f"{unique('second')}-1250000000", f"{unique('foreign')}-1260000000"
    cos.create_bucket(Bucket=second)
    cos_other.create_bucket(Bucket=foreign)
    for client, where in [(cos, bucket), (cos, second), (cos_other, foreign)]:
        client.put_object(Bucket=where, Key="k", Body=where.encode(), ACL="public-read")
    other = f"{unique('two')}.example.com"
    cos.put_bucket_domain(Bucket=bucket, DomainConfiguration=rules((name, "REST"), (other, "REST")))
    again = {"Bucket": second, "DomainConfiguration": rules((name.upper(), "REST"))}
    assert code(cos.put_bucket_domain, **again) == ("DomainConfigConflict", 409)
    forced = rules((name, "REST"), ForcedReplacement="CNAME")
    taken = {"Bucket": foreign, "DomainConfiguration": forced}
    assert code(cos_other.put_bucket_domain, **taken) == ("DNSRecordVerifyFailed", 400)
    assert fetch(server, name, "k") == (200, bucket.encode())
    cos.put_bucket_domain(Bucket=second, DomainConfiguration=forced)
    assert fetch(server, name, "k") == (200, second.encode())
    assert [rule["Name"] for rule in cos.get_bucket_domain(Bucket=bucket)["DomainRule"]] == [other]
    for where in [bucket, second]:
        cos.delete_bucket_domain(Bucket=where)
