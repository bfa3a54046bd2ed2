"""AWS signature version 2 through boto3, which still can make it."""

import base64
import email.utils
import hmac
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.clients import s3_client


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_requests_are_understood(server, bucket, localhost_names, style):
    endpoint = f"http://localhost:{server.port}"
    s3 = s3_client(server, style, endpoint=endpoint, signature_version="s3")
    key = "a b/照片+1.txt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"old", ContentType="text/plain", Metadata={"by": "v2"})
    got = s3.get_object(Bucket=bucket, Key=key, ResponseContentType="a/b")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"old", {"by": "v2"}, "a/b")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="a b/")["Contents"]] == [key]
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"new")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
    s3.put_object_acl(Bucket=bucket, Key=key, ACL="private")
    assert len(s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]) == 1
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [entry["Key"] for entry in deleted["Deleted"]] == [key]


def test_presigned_urls(server, bucket):
    s3 = s3_client(server, signature_version="s3")
    asked = {"Bucket": bucket, "Key": "k", "ContentType": "text/plain", "ACL": "public-read"}
    put = s3.generate_presigned_url("put_object", Params=asked)
    headers = {"Content-Type": "text/plain", "x-amz-acl": "public-read"}
    with urllib.request.urlopen(urllib.request.Request(put, b"body", headers, method="PUT")) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "AWSAccessKeyId=" in get
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"body"
    old = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=-10)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(old)
    assert caught.value.code == 403 and b"Request has expired" in caught.value.read()


def test_another_key_is_refused(server, bucket):
    s3 = s3_client(server, secret_key="another", signature_version="s3")
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=bucket)
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_the_token_service_does_not_take_it(server):
    """A form's fields are not signed by it."""
    date, kind = email.utils.formatdate(usegmt=True), "application/x-www-form-urlencoded"
    text = f"POST\n\n{kind}\n{date}\n/"
    signature = base64.b64encode(hmac.digest(server.secret_key.encode(), text.encode(), "sha1")).decode()
    headers = {"Host": "sts.amazonaws.com", "Date": date, "Content-Type": kind}
    headers["Authorization"] = f"AWS {server.secret_id}:{signature}"
    answer = raw.send(server, "POST", "/", headers, b"Action=GetCallerIdentity&Version=2011-06-15")
    assert answer.status == 400 and b"signature version 4 is for" in answer.body


def test_an_empty_date_is_none(server, bucket):
    client = s3_client(server, signature_version="s3")
    client.meta.events.register("before-send", lambda request, **_: request.headers.update({"x-amz-date": ""}))
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
