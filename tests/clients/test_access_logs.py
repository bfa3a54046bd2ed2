"""Access logs, written: each request on a bucket that is logged becomes a line, in the form of the service that the
logging was set for."""

import gzip
import hashlib
import json
import os
import re
import shlex
import socket
import tempfile
import time
import urllib.request

import pytest

from clients.test_settings import code
from support import coverage, raw
from support.clients import cos_client, s3_client
from support.instance import Instance

ALT = ("AKIDAlt", "AltSecret", "1250000009", "100000000009", "alt")


@pytest.fixture(scope="module")
def logging_server(answered):
    with tempfile.NamedTemporaryFile() as log:
        arguments = ["--log-interval", "50ms", "--account", ":".join(ALT), "--log", "debug"]
        with Instance(None, *arguments, log=log.name) as instance:
            yield instance
            assert instance.stop() == 0
        answered |= coverage.answered(instance.log_text())


def until(look):
    """What `look` finds, once it does; the log is written by the clock."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = look()
        if found:
            return found
    raise AssertionError("it never came")


def objects(s3, bucket, prefix=""):
    """Keys and texts of all log objects."""
    found = {}
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        found[entry["Key"]] = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
    return found


def lines(s3, bucket, prefix=""):
    return [line for text in objects(s3, bucket, prefix).values() for line in text.splitlines()]


def fields(line):
    """Of a line of S3's: what is in brackets or quotes is one."""
    return shlex.split(line.replace("[", '"').replace("]", '"'))


@pytest.fixture
def buckets(logging_server, unique):
    s3 = s3_client(logging_server)
    names = [f"{unique(word)}-{logging_server.appid}" for word in ("source", "target")]
    for name in names:
        s3.create_bucket(Bucket=name)
    return s3, *names


def let_in(s3, server, source, target, prefix="logs/"):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/{prefix}*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"},
            "StringEquals": {"aws:SourceAccount": server.uin},
        },
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=target, Policy=policy)


def test_lines_of_s3(buckets, logging_server):
    s3, source, target = buckets
    let_in(s3, logging_server, source, target)
    enabled = {"TargetBucket": target, "TargetPrefix": "logs/"}
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})
    put = s3.put_object(Bucket=source, Key="a b/照片", Body=b"hello")
    s3.get_object(Bucket=source, Key="a b/照片", Range="bytes=1-2")["Body"].read()
    assert code(s3.get_object, Bucket=source, Key="none") == ("NoSuchKey", 404)
    s3.copy_object(Bucket=source, Key="copy", CopySource={"Bucket": source, "Key": "a b/照片"})
    s3.delete_objects(Bucket=source, Delete={"Objects": [{"Key": "copy"}, {"Key": "other"}], "Quiet": True})
    url = s3.generate_presigned_url("get_object", Params={"Bucket": source, "Key": "a b/照片"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).read()

    def complete():
        found = [fields(line) for line in lines(s3, target, "logs/")]
        return found if sum(line[6] == "REST.GET.OBJECT" for line in found) == 3 else None

    found = until(complete)
    assert all(len(line) == 26 and line[1] == source for line in found)
    by_operation = {}
    for line in found:
        by_operation.setdefault(line[6], []).append(line)
    (line,) = by_operation["REST.PUT.OBJECT"]
    owner = s3.list_buckets()["Owner"]["ID"]
    assert line[0] == line[4] == owner
    assert line[5] == put["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    assert line[18] == put["ResponseMetadata"]["HTTPHeaders"]["x-amz-id-2"]
    assert line[7] == "a%20b/%E7%85%A7%E7%89%87" and line[9] == "200" and line[12] == "5"
    assert line[8].startswith(f"PUT /{source}/a%20b/") and line[8].endswith(" HTTP/1.1")
    assert (line[19], line[21]) == ("SigV4", "AuthHeader") and "Boto3" in line[16]
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000", line[2])
    # Objects of one second are in no order.
    presigned, ranged, missing = sorted(by_operation["REST.GET.OBJECT"], key=lambda line: line[9])
    assert (ranged[9], ranged[11], ranged[12]) == ("206", "2", "5")
    assert (missing[9], missing[10], missing[7]) == ("404", "NoSuchKey", "none")
    assert (presigned[21], presigned[11]) == ("QueryString", "5")
    assert "&X-Amz-Signature=- HTTP/1.1" in presigned[8]
    assert by_operation["REST.COPY.OBJECT"][0][7] == "copy"
    assert by_operation["REST.COPY.OBJECT_GET"][0][7] == "a%20b/%E7%85%A7%E7%89%87"
    assert sorted(line[7] for line in by_operation["BATCH.DELETE.OBJECT"]) == ["copy", "other"]
    assert len(by_operation["REST.POST.MULTI_OBJECT_DELETE"]) == 1
    assert all(re.fullmatch(r"logs/\d{4}(-\d\d){5}-[0-9A-F]{16}", key) for key in objects(s3, target))


def test_names_by_date_and_grants(buckets, logging_server):
    s3, source, target = buckets
    s3.put_bucket_ownership_controls(
        Bucket=target, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    s3.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
    by_itself = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=target, ServerSideEncryptionConfiguration={"Rules": [by_itself]})
    alt = s3_client(logging_server, secret_id=ALT[0], secret_key=ALT[1])
    grantee = {"Type": "CanonicalUser", "ID": alt.list_buckets()["Owner"]["ID"]}
    enabled = {
        "TargetBucket": target,
        "TargetPrefix": "",
        "TargetGrants": [{"Grantee": grantee, "Permission": "READ"}],
        "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
    }
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})
    assert s3.get_bucket_logging(Bucket=source)["LoggingEnabled"] == enabled
    s3.put_object(Bucket=source, Key="k", Body=b"")
    found = until(lambda: [key for key, text in objects(s3, target).items() if "REST.PUT.OBJECT" in text])
    day = time.strftime("%Y/%m/%d", time.gmtime())
    begin = f"{logging_server.uin}/{logging_server.region}/{source}/{day}/{day.replace('/', '-')}-00-00-00-"
    assert found[0].startswith(begin)
    assert s3.head_object(Bucket=target, Key=found[0])["ServerSideEncryption"] == "AES256"
    # The other account reads what was granted to it.
    assert b"REST.PUT.OBJECT" in alt.get_object(Bucket=target, Key=found[0])["Body"].read()


def test_targets_that_do_not_let_logs_in(buckets, logging_server, unique):
    s3, source, target = buckets
    refused = ("InvalidTargetBucketForLogging", 400)

    def put(**change):
        enabled = {"TargetBucket": target, "TargetPrefix": "logs/", **change}
        return code(s3.put_bucket_logging, Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})

    assert put() == refused
    let_in(s3, logging_server, "another-bucket", target)
    assert put() == refused
    let_in(s3, logging_server, source, target)
    assert put(TargetPrefix="elsewhere/") == refused
    assert put(TargetBucket=unique("none")) == refused
    alt = s3_client(logging_server, secret_id=ALT[0], secret_key=ALT[1])
    foreign = unique("foreign")
    alt.create_bucket(Bucket=foreign)
    assert put(TargetBucket=foreign) == refused
    grants = [{"Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}]
    s3.put_bucket_ownership_controls(
        Bucket=target, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    assert put(TargetGrants=grants) == ("AccessControlListNotSupported", 400)
    s3.put_bucket_request_payment(Bucket=target, RequestPaymentConfiguration={"Payer": "Requester"})
    assert put() == refused
    s3.put_bucket_request_payment(Bucket=target, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    s3.put_bucket_logging(
        Bucket=source, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "logs/"}}
    )


def test_lines_of_cos(logging_server, unique):
    cos, s3 = cos_client(logging_server), s3_client(logging_server)
    bucket = f"{unique('cos')}-{logging_server.appid}"
    cos.create_bucket(Bucket=bucket)
    enabled = {"TargetBucket": bucket, "TargetPrefix": "logs/"}
    cos.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    assert cos.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == enabled
    put = cos.put_object(Bucket=bucket, Key="a b/照片", Body=b"hello")
    assert code(cos.get_object, Bucket=bucket, Key="none") == ("NoSuchKey", 404)

    def of(name):
        found = [line for line in lines(s3, bucket, "logs/") if f" {name} " in line]
        return [shlex.split(line) for line in found]

    # The log lies in the bucket that is logged; its own objects make no lines, only these looks do.
    missing = until(lambda: [line for line in of("GetObject") if line[11] == "/none"])[0]
    assert missing[14:17] == ["404", "NoSuchKey", "The%20specified%20key%20does%20not%20exist."]
    assert int(missing[17]) > 100  # the error's document
    (line,) = of("PutObject")
    assert len(line) == 30
    assert line[:3] == ["1.0", bucket, logging_server.region]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line[3])
    assert line[4] == f"{bucket}.cos.{logging_server.region}.myqcloud.com"
    assert line[6:8] == ["127.0.0.1", logging_server.secret_id]
    assert line[9] == "5" and line[11] == "/a%20b/%E7%85%A7%E7%89%87" and line[12] == "PUT" and line[14] == "200"
    assert line[19:22] == ["USER", "STANDARD", logging_server.uin]
    assert line[23] == f"{logging_server.uin}:{logging_server.uin}"
    assert line[24] == put["x-cos-request-id"] and line[25] == "5"
    assert line[29].startswith("PUT /a%20b/") and line[29].endswith(" HTTP/1.1")
    assert "PutObject" in {shlex.split(line)[5] for line in lines(s3, bucket, "logs/")}
    assert all(re.fullmatch(r"logs/\d{4}/\d\d/\d\d/\d{14}_[0-9A-F]{16}_0\.gz", key) for key in objects(s3, bucket, "logs/"))


def test_a_client_that_does_not_wait_has_a_line(buckets, logging_server):
    s3, source, target = buckets
    let_in(s3, logging_server, source, target, "left/")
    s3.put_object(Bucket=source, Key="large", Body=os.urandom(48 << 20))
    enabled = {"TargetBucket": target, "TargetPrefix": "left/"}
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})
    path, empty = raw.path_of(source, "copy"), hashlib.sha256(b"").hexdigest()
    asked = {
        "Host": logging_server.host,
        "Content-Length": "0",
        "x-amz-copy-source": f"{source}/large",
        # So the bytes are written anew, which takes a while.
        "x-amz-server-side-encryption": "AES256",
    }
    headers = raw.SigV4(logging_server).headers("PUT", path, [], asked, empty)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def left():
        with socket.create_connection(("127.0.0.1", logging_server.port)) as link:
            link.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode())
            # By the time this is answered the copy is mostly under way.
            logging_server.health()
        found = [fields(line) for line in lines(s3, target, "left/")]
        return [line for line in found if line[6] == "REST.COPY.OBJECT"]

    line, *_ = until(left)
    assert (line[9], line[10], line[7]) == ("499", "-", "copy")


def test_what_is_gathered_is_written_at_the_stop(tmp_path):
    with Instance(tmp_path / "data") as server:
        cos = cos_client(server)
        bucket = f"late-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        enabled = {"TargetBucket": bucket, "TargetPrefix": "logs/"}
        cos.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
        cos.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert objects(s3_client(server), bucket, "logs/") == {}
        assert server.stop() == 0
    with Instance(tmp_path / "data") as server:
        (text,) = objects(s3_client(server), bucket, "logs/").values()
        assert " PutObject " in text
        changes = server.admin("GET", f"changes?bucket={bucket}")
        assert any(change["key"].startswith("logs/") for change in changes["changes"] if change["key"])
        assert server.stop() == 0
