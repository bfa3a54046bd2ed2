"""A server for S3 clients alone, in the first of S3's regions."""

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from support.clients import s3_client
from support.instance import Instance


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    log = tmp_path_factory.mktemp("alone") / "log"
    with Instance(None, "--dialect", "s3", "--region", "us-east-1", log=log) as instance:
        yield instance


def test_what_nothing_marks_is_answered_as_s3_does(alone):
    s3 = s3_client(alone)
    s3.create_bucket(Bucket="pictures", ACL="public-read")
    rule = {"AllowedOrigins": ["*.example.com"], "AllowedMethods": ["GET"]}
    s3.put_bucket_cors(Bucket="pictures", CORSConfiguration={"CORSRules": [rule]})
    asked = urllib.request.Request(f"{alone.url}/pictures", headers={"Origin": "http://a.example.com"})
    with urllib.request.urlopen(asked) as answer:
        assert answer.headers["Server"] == "AmazonS3"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://a.example.com"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET"
        assert b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' in answer.read()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{alone.url}/pictures/none")
    assert caught.value.headers["x-amz-request-id"]


def test_an_owner_may_create_a_bucket_again(alone):
    s3 = s3_client(alone)
    s3.create_bucket(Bucket="again", ACL="public-read")
    s3.put_object(Bucket="again", Key="stays", Body=b"")
    urllib.request.urlopen(f"{alone.url}/again").close()
    s3.create_bucket(Bucket="again")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="again")["Contents"]] == ["stays"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{alone.url}/again")
    assert caught.value.code == 403
    elsewhere = {"LocationConstraint": "eu-west-1"}
    with pytest.raises(ClientError) as caught:
        s3.create_bucket(Bucket="again", CreateBucketConfiguration=elsewhere)
    assert caught.value.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
