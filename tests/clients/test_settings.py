"""Settings of buckets and tags of objects, through boto3 and the COS Python SDK."""

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support import raw


def code(call, **parameters):
    with pytest.raises((ClientError, CosServiceError)) as caught:
        call(**parameters)
    error = caught.value
    if isinstance(error, CosServiceError):
        return error.get_error_code(), error.get_status_code()
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def tag_set(**tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def cos_tags(**tags):
    return {"TagSet": {"Tag": tag_set(**tags)}}


# Tags of buckets


def test_bucket_tags_of_s3(s3, bucket):
    assert code(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(team="core", env="dev")})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(env="dev", team="core")
    many = {"TagSet": tag_set(**{f"k{n}": "v" for n in range(51)})}
    assert code(s3.put_bucket_tagging, Bucket=bucket, Tagging=many) == ("BadRequest", 400)
    twice = {"TagSet": tag_set(a="1") + tag_set(a="2")}
    assert code(s3.put_bucket_tagging, Bucket=bucket, Tagging=twice) == ("InvalidTag", 400)
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_bucket_tags_of_cos(cos, bucket):
    assert code(cos.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)
    cos.put_bucket_tagging(Bucket=bucket, Tagging=cos_tags(a="1", b="2"))
    assert cos.get_bucket_tagging(Bucket=bucket)["TagSet"]["Tag"] == tag_set(a="1", b="2")
    bad = cos_tags(**{"x" * 129: "v"})
    assert code(cos.put_bucket_tagging, Bucket=bucket, Tagging=bad) == ("InvalidTag", 400)
    cos.delete_bucket_tagging(Bucket=bucket)
    assert code(cos.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_a_bucket_is_made_with_tags(server, s3, new_bucket):
    name = new_bucket()
    made = raw.cos(server, "PUT", name, headers={"x-cos-tagging": "team=a%20b&empty"})
    assert made.status == 200, made
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tag_set(empty="", team="a b")
    other = new_bucket()
    s3.create_bucket(Bucket=other, CreateBucketConfiguration={"Tags": tag_set(team="red")})
    assert s3.get_bucket_tagging(Bucket=other)["TagSet"] == tag_set(team="red")


# Tags of objects


def test_object_tags_of_s3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Tagging="a=1&b%20c=2+3")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tag_set(**{"a": "1", "b c": "2 3"})
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    head = s3.head_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"]
    assert head["x-amz-tagging-count"] == "2"
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tag_set(z="9")})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tag_set(z="9")
    many = {"TagSet": tag_set(**{f"k{n}": "v" for n in range(11)})}
    assert code(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=many) == ("BadRequest", 400)
    assert code(s3.put_object, Bucket=bucket, Key="n", Tagging="&".join(f"k{n}=v" for n in range(11))) == (
        "BadRequest",
        400,
    )
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")
    assert code(s3.get_object_tagging, Bucket=bucket, Key="none") == ("NoSuchKey", 404)


def test_object_tags_of_cos(cos, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=2")
    assert cos.head_object(Bucket=bucket, Key="k")["x-cos-tagging-count"] == "2"
    assert cos.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]["Tag"] == tag_set(a="1", b="2")
    cos.put_object_tagging(Bucket=bucket, Key="k", Tagging=cos_tags(c="3"))
    assert cos.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]["Tag"] == tag_set(c="3")
    bad = cos_tags(a="v" * 257)
    assert code(cos.put_object_tagging, Bucket=bucket, Key="k", Tagging=bad) == ("InvalidTag", 400)
    cos.delete_object_tagging(Bucket=bucket, Key="k")
    assert not cos.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert "x-cos-tagging-count" not in cos.head_object(Bucket=bucket, Key="k")


def test_tags_go_with_copies_and_uploads(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Tagging="a=1")
    source = {"Bucket": bucket, "Key": "from"}
    tags = lambda key: s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    s3.copy_object(Bucket=bucket, Key="copied", CopySource=source)
    assert tags("copied") == tag_set(a="1")
    s3.copy_object(Bucket=bucket, Key="own", CopySource=source, TaggingDirective="REPLACE", Tagging="b=2")
    assert tags("own") == tag_set(b="2")
    s3.copy_object(Bucket=bucket, Key="none", CopySource=source, TaggingDirective="REPLACE")
    assert tags("none") == []
    s3.copy_object(Bucket=bucket, Key="from", CopySource=source, TaggingDirective="REPLACE", Tagging="c=3")
    assert tags("from") == tag_set(c="3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", Tagging="m=1")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    assert tags("parts") == tag_set(m="1")


# Scripts of other origins

RULES = [
    {
        "ID": "one",
        "AllowedOrigins": ["http://*.example.com"],
        "AllowedMethods": ["PUT", "GET"],
        "AllowedHeaders": ["x-amz-meta-*", "Content-Type"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]


def preflight(server, bucket, origin, method, headers=None, key="k"):
    sent = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        sent["Access-Control-Request-Headers"] = headers
    host = {"Host": f"{bucket}.s3.localhost"}
    return raw.send(server, "OPTIONS", f"/{key}", {**host, **sent})


def test_cors_of_s3(server, s3, bucket):
    assert code(s3.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404)
    refused = preflight(server, bucket, "http://a.example.com", "PUT")
    assert (refused.status, refused.code) == (403, "AccessForbidden")
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES

    allowed = preflight(server, bucket, "http://a.example.com", "PUT", "x-amz-meta-a,content-type")
    assert allowed.status == 200
    assert allowed.header("access-control-allow-origin") == "http://a.example.com"
    assert allowed.header("access-control-allow-methods") == "PUT, GET"
    assert allowed.header("access-control-allow-headers") == "x-amz-meta-a, content-type"
    assert allowed.header("access-control-expose-headers") == "ETag"
    assert allowed.header("access-control-max-age") == "600"
    assert allowed.header("access-control-allow-credentials") == "true"
    assert "Origin" in allowed.header("vary")
    for refusal in [
        ("http://a.example.org", "PUT", None),
        ("http://a.example.com", "DELETE", None),
        ("http://a.example.com", "PUT", "x-other"),
    ]:
        assert preflight(server, bucket, *refusal).status == 403, refusal
    assert preflight(server, "none-1250000000", "http://a", "PUT").code == "NoSuchBucket"

    # Any answer, also one that refuses.
    here = {"Origin": "http://b.example.com"}
    missing = raw.s3(server, "GET", f"/{bucket}/none", headers=here)
    assert (missing.status, missing.header("access-control-allow-origin")) == (404, here["Origin"])
    unsigned = raw.send(server, "GET", f"/{bucket}/none", {"Host": server.host, **here})
    assert (unsigned.status, unsigned.header("access-control-allow-origin")) == (403, here["Origin"])
    star = raw.s3(server, "HEAD", f"/{bucket}/none", headers={"Origin": "http://else.where"})
    assert star.header("access-control-allow-origin") == "*"
    assert star.header("access-control-allow-credentials") is None
    plain = raw.s3(server, "GET", f"/{bucket}/none")
    assert plain.header("access-control-allow-origin") is None

    s3.delete_bucket_cors(Bucket=bucket)
    assert code(s3.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404)


@pytest.mark.parametrize(
    "rule, refusal",
    [
        ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["a*b*"]}, "InvalidRequest"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-*"]}, "InvalidRequest"),
        ({"AllowedMethods": [], "AllowedOrigins": ["*"]}, "MalformedXML"),
    ],
)
def test_cors_rules_that_cannot_be(s3, bucket, rule, refusal):
    assert code(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": [rule]}) == (refusal, 400)


def test_cors_of_cos(server, cos, bucket):
    assert code(cos.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404)
    rule = {
        "ID": "1",
        "AllowedOrigin": ["http://www.qq.com"],
        "AllowedMethod": ["PUT", "GET"],
        "AllowedHeader": ["x-cos-meta-one", "x-cos-meta-two"],
        "ExposeHeader": ["x-cos-request-id"],
        "MaxAgeSeconds": "300",
    }
    cos.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRule": [rule], "ResponseVary": "true"})
    assert cos.get_bucket_cors(Bucket=bucket)["CORSRule"] == [rule]
    asked = {"Origin": "http://www.qq.com", "Access-Control-Request-Method": "PUT"}
    wanted = {"Access-Control-Request-Headers": "x-cos-meta-one"}
    allowed = raw.cos(server, "OPTIONS", bucket, "k", headers={**asked, **wanted})
    assert allowed.status == 200, allowed
    assert allowed.header("access-control-allow-methods") == "PUT,GET"
    assert allowed.header("access-control-allow-headers") == "x-cos-meta-one,x-cos-meta-two"
    # Whoever asks, with ResponseVary.
    plain = raw.cos(server, "GET", bucket, "none")
    assert (plain.header("vary"), plain.header("access-control-allow-origin")) == ("Origin", None)
    other = raw.cos(server, "GET", bucket, "none", headers={"Origin": "http://www.qq.com"})
    assert other.header("access-control-allow-origin") == "http://www.qq.com"
    cos.delete_bucket_cors(Bucket=bucket)
    console = {"Origin": "https://console.cloud.tencent.com", "Access-Control-Request-Method": "GET"}
    allowed = raw.cos(server, "OPTIONS", bucket, "k", headers=console)
    assert allowed.header("access-control-allow-methods") == "GET,PUT,POST,HEAD,DELETE"
    refused = raw.cos(server, "OPTIONS", bucket, "k", headers=asked)
    assert (refused.status, refused.code) == (403, "AccessForbidden")
