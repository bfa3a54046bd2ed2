"""Encryption at rest, in both dialects: under a key of the service, of key management, of the customer."""

import base64
import hashlib
import json
import os
import pathlib

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support import raw
from support.clients import cos_client
from support.instance import Instance
from test_copies import code, made_of_parts, refused
from test_forms import code as form_code
from test_forms import cos_fields, send

MIB = 1 << 20
SSE = "x-amz-server-side-encryption"
COS_SSE = "x-cos-server-side-encryption"
KEY, OTHER = b"k" * 32, b"o" * 32


def customer(key=KEY, source=False):
    """The parameters of a customer's key, which both SDKs name alike."""
    word = "CopySourceSSECustomer" if source else "SSECustomer"
    return {
        f"{word}Algorithm": "AES256",
        f"{word}Key": base64.b64encode(key).decode(),
        f"{word}KeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


#: How to write and how to read, in boto3's words, and the headers of the answers.
WAYS = {
    "none": ({}, {}, {}),
    "service": ({"ServerSideEncryption": "AES256"}, {}, {SSE: "AES256"}),
    "kms": (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1"},
        {},
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "key-1"},
    ),
    "customer": (customer(), customer(), {f"{SSE}-customer-algorithm": "AES256"}),
}
SIZES = [0, 5, 200_000, MIB + 7]


def headers(answer):
    found = answer["ResponseMetadata"]["HTTPHeaders"]
    return {
        name: value
        for name, value in found.items()
        if name.startswith(SSE) and not name.endswith("key-md5") and not name.endswith("context")
    }


def body_of(size):
    return hashlib.shake_128(str(size).encode()).digest(size)


# Objects


@pytest.mark.parametrize("way", WAYS)
def test_an_object_comes_back_with_how_it_is_encrypted(s3, bucket, way):
    write, read, shown = WAYS[way]
    for size in SIZES:
        body = body_of(size)
        put = s3.put_object(Bucket=bucket, Key="k", Body=body, **write)
        assert headers(put) == shown
        md5 = f'"{hashlib.md5(body).hexdigest()}"'
        assert (put["ETag"] == md5) == (way in ("none", "service"))
        got = s3.get_object(Bucket=bucket, Key="k", **read)
        assert headers(got) == shown and got["ETag"] == put["ETag"] and got["ContentLength"] == size
        assert got["Body"].read() == body
        assert headers(s3.head_object(Bucket=bucket, Key="k", **read)) == shown
        attributes = s3.get_object_attributes(
            Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"], **read
        )
        assert attributes["ObjectSize"] == size
        for first, last in [(0, 0), (65_519, 65_521), (100, size - 1)]:
            if first <= last < size:
                part = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **read)
                assert part["Body"].read() == body[first : last + 1]


def test_the_customers_key_is_needed_and_no_other_will_do(s3, bucket):
    s3.put_object(Bucket=bucket, Key="c", Body=b"theirs", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"open")
    s3.put_object(Bucket=bucket, Key="ours", Body=b"ours", ServerSideEncryption="AES256")
    which = {"Bucket": bucket, "Key": "c"}
    assert code(s3.get_object, **which) == ("InvalidRequest", 400)
    assert code(s3.head_object, **which) == ("400", 400)
    assert code(s3.get_object, **which, **customer(OTHER)) == ("AccessDenied", 403)
    assert code(s3.head_object, **which, **customer(OTHER)) == ("403", 403)
    attributes = {"ObjectAttributes": ["ETag"]}
    assert code(s3.get_object_attributes, **which, **attributes) == ("InvalidRequest", 400)
    for key in ("plain", "ours"):
        assert code(s3.get_object, Bucket=bucket, Key=key, **customer()) == ("InvalidRequest", 400)
    # What is not its content needs no key.
    s3.put_object_tagging(**which, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.list_objects_v2(Bucket=bucket, Prefix="c")["Contents"][0]["Size"] == 6
    s3.delete_object(**which)


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ({f"{SSE}": "AES128"}, ("InvalidArgument", 400)),
        ({f"{SSE}": "aws:kms:dsse"}, ("NotImplemented", 501)),
        ({f"{SSE}": "AES256", f"{SSE}-aws-kms-key-id": "k"}, ("InvalidArgument", 400)),
        ({f"{SSE}-aws-kms-key-id": "k"}, ("InvalidArgument", 400)),
        ({f"{SSE}": "aws:kms", f"{SSE}-aws-kms-key-id": "arn:aws:kms:x"}, ("KMS.NotFoundException", 400)),
        ({f"{SSE}": "aws:kms", f"{SSE}-context": "e30"}, ("InvalidArgument", 400)),
        ({f"{SSE}-customer-algorithm": "AES256"}, ("InvalidArgument", 400)),
    ],
)
def test_what_cannot_be_asked_is_refused(server, bucket, asked, want):
    answer = raw.s3(server, "PUT", raw.path_of(bucket, "k"), headers=asked, body=b"x")
    assert (answer.code, answer.status) == want
    assert raw.s3(server, "GET", raw.path_of(bucket, "k")).status == 404


def test_a_method_is_no_header_of_a_read(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
    for method in ("GET", "HEAD", "DELETE"):
        answer = raw.s3(server, method, raw.path_of(bucket, "k"), headers={SSE: "AES256"})
        assert answer.status == 400
    answer = raw.s3(server, "GET", raw.path_of(bucket, "k"), headers={SSE: "AES256"})
    assert answer.code == "InvalidArgument"


def test_a_key_of_key_management_and_its_context(s3, bucket):
    context = base64.b64encode(json.dumps({"team": "a"}).encode()).decode()
    arn = "arn:aws:kms:ap-guangzhou:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=arn,
        SSEKMSEncryptionContext=context,
        BucketKeyEnabled=True,
    )
    assert put["SSEKMSKeyId"] == arn and put["SSEKMSEncryptionContext"] == context
    assert put["BucketKeyEnabled"] is True
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"x" and got["SSEKMSKeyId"] == arn and got["BucketKeyEnabled"] is True
    own = s3.put_object(Bucket=bucket, Key="o", Body=b"x", ServerSideEncryption="aws:kms")
    assert own["SSEKMSKeyId"] == s3.head_object(Bucket=bucket, Key="o")["SSEKMSKeyId"]


# Copies


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("origin", WAYS)
def test_a_copy_from_any_way_to_any(s3, bucket, origin, way):
    (write, source_read, _), (to, read, shown) = WAYS[origin], WAYS[way]
    from_key = customer(OTHER) if origin == "customer" else write
    source_read = {f"CopySource{name}": value for name, value in customer(OTHER).items()} if source_read else {}
    for size in SIZES:
        body = body_of(size)
        put = s3.put_object(Bucket=bucket, Key="from", Body=body, Metadata={"a": "b"}, **from_key)
        source = {"Bucket": bucket, "Key": "from"}
        copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **to, **source_read)
        assert headers(copied) == shown
        md5 = f'"{hashlib.md5(body).hexdigest()}"'
        assert (copied["CopyObjectResult"]["ETag"] == md5) == (way in ("none", "service"))
        s3.delete_object(Bucket=bucket, Key="from")
        got = s3.get_object(Bucket=bucket, Key="to", **read)
        assert got["Body"].read() == body and headers(got) == shown and got["Metadata"] == {"a": "b"}
        assert got["ETag"] == copied["CopyObjectResult"]["ETag"]
        assert put["ETag"]


def test_a_copy_needs_the_key_of_its_source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    copy = {"Bucket": bucket, "Key": "to", "CopySource": {"Bucket": bucket, "Key": "from"}}
    assert code(s3.copy_object, **copy) == ("InvalidRequest", 400)
    assert code(s3.copy_object, **copy, **customer(OTHER, source=True)) == ("AccessDenied", 403)
    plain = {**copy, "CopySource": {"Bucket": bucket, "Key": "plain"}}
    assert code(s3.copy_object, **plain, **customer(source=True)) == ("InvalidRequest", 400)
    # Onto itself, under another key.
    s3.copy_object(**{**copy, "Key": "from"}, **customer(source=True), **customer(OTHER))
    assert s3.get_object(Bucket=bucket, Key="from", **customer(OTHER))["Body"].read() == b"x"


# Uploads


@pytest.mark.parametrize("way", WAYS)
def test_parts_are_encrypted_as_their_upload_was_begun(s3, bucket, way):
    write, read, shown = WAYS[way]
    first, second = body_of(5 * MIB), b"the end"
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k", **write)
    assert headers(begun) == shown
    which = {"Bucket": bucket, "Key": "k", "UploadId": begun["UploadId"]}
    parts = []
    for number, body in enumerate([first, second], 1):
        sent = s3.upload_part(**which, PartNumber=number, Body=body, **read)
        assert headers(sent) == shown
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": sent["ChecksumCRC32"]})
    s3.list_parts(**which, **read)
    s3.complete_multipart_upload(**which, MultipartUpload={"Parts": parts}, **read)
    got = s3.get_object(Bucket=bucket, Key="k", **read)
    assert got["Body"].read() == first + second and headers(got) == shown
    part = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, **read)
    assert part["Body"].read() == second


def test_each_part_needs_the_key_of_its_upload(s3, bucket):
    begin = {"Bucket": bucket, "Key": "k", "ChecksumAlgorithm": "CRC32"}
    upload = s3.create_multipart_upload(**begin, **customer())["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert code(s3.upload_part, **part) == ("InvalidRequest", 400)
    assert code(s3.upload_part, **part, **customer(OTHER)) == ("InvalidRequest", 400)
    s3.put_object(Bucket=bucket, Key="from", Body=b"y", ServerSideEncryption="AES256")
    copy = {key: value for key, value in part.items() if key != "Body"}
    copy["CopySource"] = {"Bucket": bucket, "Key": "from"}
    assert code(s3.upload_part_copy, **copy) == ("InvalidRequest", 400)
    copied = s3.upload_part_copy(**copy, **customer())["CopyPartResult"]
    done = {"Parts": [{"PartNumber": 1, "ETag": copied["ETag"], "ChecksumCRC32": copied["ChecksumCRC32"]}]}
    complete = {"Bucket": bucket, "Key": "k", "UploadId": upload, "MultipartUpload": done}
    assert code(s3.complete_multipart_upload, **complete) == ("InvalidRequest", 400)
    assert code(s3.complete_multipart_upload, **complete, **customer(OTHER)) == ("InvalidRequest", 400)
    s3.complete_multipart_upload(**complete, **customer())
    assert s3.get_object(Bucket=bucket, Key="k", **customer())["Body"].read() == b"y"
    plain = s3.create_multipart_upload(Bucket=bucket, Key="p")["UploadId"]
    part = {**part, "Key": "p", "UploadId": plain}
    assert code(s3.upload_part, **part, **customer()) == ("InvalidRequest", 400)


def test_a_part_takes_no_method(server, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ServerSideEncryption="AES256")["UploadId"]
    query = [("partNumber", "1"), ("uploadId", upload)]
    asked = {SSE: "AES256"}
    answer = raw.s3(server, "PUT", raw.path_of(bucket, "k"), query=query, headers=asked, body=b"x")
    assert (answer.code, answer.status) == ("InvalidArgument", 400)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_what_was_made_of_parts(s3, bucket, way):
    to, read, shown = WAYS[way]
    parts = {number: bytes([number]) * 5 * MIB for number in (1, 2)}
    made_of_parts(s3, bucket, "from", parts, ServerSideEncryption="AES256")
    source = {"Bucket": bucket, "Key": "from"}
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **to)
    assert headers(copied) == shown and "-" not in copied["CopyObjectResult"]["ETag"]
    got = s3.get_object(Bucket=bucket, Key="to", **read)
    assert got["Body"].read() == parts[1] + parts[2]


# The bucket's own


def conf(algorithm, key=None, bucket_key=None):
    by_default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    more = {} if bucket_key is None else {"BucketKeyEnabled": bucket_key}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default, **more}]}


def test_a_buckets_default_is_used_where_nothing_is_asked(s3, bucket):
    which = {"Bucket": bucket}
    missing = ("ServerSideEncryptionConfigurationNotFoundError", 404)
    assert code(s3.get_bucket_encryption, **which) == missing
    s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    wanted = conf("aws:kms", "key-2", True)
    s3.put_bucket_encryption(**which, ServerSideEncryptionConfiguration=wanted)
    found = s3.get_bucket_encryption(**which)["ServerSideEncryptionConfiguration"]
    assert found == wanted
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert headers(put) == {
        SSE: "aws:kms",
        f"{SSE}-aws-kms-key-id": "key-2",
        f"{SSE}-bucket-key-enabled": "true",
    }
    assert headers(s3.head_object(Bucket=bucket, Key="before")) == {}
    asked = s3.put_object(Bucket=bucket, Key="asked", Body=b"x", ServerSideEncryption="AES256")
    assert headers(asked) == {SSE: "AES256"}
    s3.put_object(Bucket=bucket, Key="theirs", Body=b"x", **customer())
    copy = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "before"})
    assert headers(copy)[SSE] == "aws:kms"
    begun = s3.create_multipart_upload(Bucket=bucket, Key="parts")
    assert headers(begun)[SSE] == "aws:kms"
    s3.put_bucket_encryption(**which, ServerSideEncryptionConfiguration=conf("AES256"))
    assert headers(s3.put_object(Bucket=bucket, Key="k", Body=b"x")) == {SSE: "AES256"}
    s3.delete_bucket_encryption(**which)
    assert code(s3.get_bucket_encryption, **which) == missing
    assert headers(s3.put_object(Bucket=bucket, Key="k", Body=b"x")) == {}
    unknown = conf("aws:kms", "arn:aws:kms:nowhere:1:key/k")
    refusal = code(s3.put_bucket_encryption, **which, ServerSideEncryptionConfiguration=unknown)
    assert refusal == ("KMS.NotFoundException", 400)


# Forms


def test_fields_of_a_form_ask_for_encryption(s3, bucket):
    fields = {SSE: "AES256"}
    post = s3.generate_presigned_post(bucket, "k", Fields=fields, Conditions=[fields])
    answer = send(post["url"], post["fields"])
    assert answer.status_code == 204 and answer.headers[SSE] == "AES256"
    assert headers(s3.head_object(Bucket=bucket, Key="k")) == {SSE: "AES256"}
    key = customer()
    names = ("algorithm", "key", "key-md5")
    fields = {f"{SSE}-customer-{name}": value for name, value in zip(names, key.values(), strict=True)}
    conditions = [{name: value} for name, value in fields.items()]
    post = s3.generate_presigned_post(bucket, "c", Fields=fields, Conditions=conditions)
    answer = send(post["url"], post["fields"])
    assert answer.status_code == 204 and answer.headers[f"{SSE}-customer-algorithm"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="c", **customer())["Body"].read() == b"hello"
    fields = {SSE: "AES128"}
    post = s3.generate_presigned_post(bucket, "k", Fields=fields, Conditions=[fields])
    assert form_code(send(post["url"], post["fields"])) == (400, "InvalidArgument")


def test_a_form_of_cos_asks_for_encryption(server, cos, bucket):
    fields = cos_fields(server, bucket, key="k", **{COS_SSE: "AES256"}, conditions=[{COS_SSE: "AES256"}])
    answer = send(f"{server.url}/{bucket}", fields)
    assert answer.status_code == 204 and answer.headers[COS_SSE] == "AES256"
    assert cos.head_object(Bucket=bucket, Key="k")[COS_SSE] == "AES256"


# Policies


def test_a_policy_can_want_encryption(s3, bucket):
    def statement(operator, value):
        return {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {operator: {f"s3:{SSE}": value}},
        }

    statements = [statement("Null", "true"), statement("StringNotEquals", "AES256")]
    policy = {"Version": "2012-10-17", "Statement": statements}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    put = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    assert code(s3.put_object, **put) == ("AccessDenied", 403)
    assert code(s3.put_object, **put, ServerSideEncryption="aws:kms") == ("AccessDenied", 403)
    s3.put_object(**put, ServerSideEncryption="AES256")


# COS


@pytest.fixture
def cos(server):
    return cos_client(server)


def test_cos_objects_in_every_way(cos, bucket):
    for size in SIZES:
        body = body_of(size)
        put = cos.put_object(Bucket=bucket, Key="s", Body=body, ServerSideEncryption="AES256")
        assert put[COS_SSE] == "AES256" and put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        got = cos.get_object(Bucket=bucket, Key="s")
        assert got[COS_SSE] == "AES256" and got["Body"].get_raw_stream().read() == body
        put = cos.put_object(
            Bucket=bucket, Key="k", Body=body, ServerSideEncryption="cos/kms", SSEKMSKeyId="48ba38aa-26c5"
        )
        assert put[COS_SSE] == "cos/kms" and put[f"{COS_SSE}-cos-kms-key-id"] == "48ba38aa-26c5"
        head = cos.head_object(Bucket=bucket, Key="k")
        assert head[COS_SSE] == "cos/kms" and head["ETag"] == put["ETag"]
        assert put["ETag"] != f'"{hashlib.md5(body).hexdigest()}"'
        assert cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == body
        put = cos.put_object(Bucket=bucket, Key="c", Body=body, **customer())
        assert put[f"{COS_SSE}-customer-algorithm"] == "AES256"
        assert put[f"{COS_SSE}-customer-key-MD5"] == customer()["SSECustomerKeyMD5"]
        got = cos.get_object(Bucket=bucket, Key="c", **customer())
        assert got["Body"].get_raw_stream().read() == body
        assert got["x-cos-hash-crc64ecma"] == cos.head_object(Bucket=bucket, Key="s")["x-cos-hash-crc64ecma"]


def test_cos_refusals(cos, bucket):
    cos.put_object(Bucket=bucket, Key="c", Body=b"theirs", **customer())
    cos.put_object(Bucket=bucket, Key="plain", Body=b"open")
    which = {"Bucket": bucket, "Key": "c"}
    assert refused(cos.get_object, **which) == ("SsecDecryptHeaderInvalid", 400)
    assert refused(cos.get_object, **which, **customer(OTHER)) == ("SsecDecryptHeaderInvalid", 400)
    plain = {"Bucket": bucket, "Key": "plain"}
    assert refused(cos.get_object, **plain, **customer()) == ("SSEHeaderNotAllowed", 400)
    put = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    assert refused(cos.put_object, **put, ServerSideEncryption="AES128") == ("InvalidArgument", 400)
    unknown = {"ServerSideEncryption": "cos/kms", "SSEKMSKeyId": "a key"}
    assert refused(cos.put_object, **put, **unknown) == ("KmsKeyNotExist", 400)


def test_cos_copies_and_parts(cos, bucket):
    cos.put_object(Bucket=bucket, Key="from", Body=b"x" * MIB, **customer())
    source = {"Bucket": bucket, "Key": "from", "Region": "ap-guangzhou"}
    copied = cos.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource=source,
        **customer(OTHER),
        **customer(source=True),
    )
    assert copied[f"{COS_SSE}-customer-algorithm"] == "AES256"
    got = cos.get_object(Bucket=bucket, Key="to", **customer(OTHER))
    assert got["Body"].get_raw_stream().read() == b"x" * MIB
    upload = cos.create_multipart_upload(Bucket=bucket, Key="parts", **customer())["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "PartNumber": 1, "UploadId": upload}
    assert refused(cos.upload_part, **part, Body=b"y")[1] == 400
    tag = cos.upload_part(**part, Body=b"y" * MIB, **customer())["ETag"]
    copied = cos.upload_part_copy(
        **{**part, "PartNumber": 2}, CopySource=source, **customer(), **customer(source=True)
    )
    parts = [{"PartNumber": 1, "ETag": tag}, {"PartNumber": 2, "ETag": copied["ETag"]}]
    cos.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Part": parts}
    )
    got = cos.get_object(Bucket=bucket, Key="parts", **customer())
    assert got["Body"].get_raw_stream().read() == b"y" * MIB + b"x" * MIB


def test_cos_transfers_and_restores(cos, bucket, tmp_path):
    """The SDK's own helpers, which bring the key along, but not with a complete."""
    local, body = tmp_path / "local", body_of(3 * MIB)
    local.write_bytes(body)
    done = cos.upload_file(Bucket=bucket, Key="k", LocalFilePath=str(local), PartSize=1, **customer())
    assert done[f"{COS_SSE}-customer-algorithm"] == "AES256" and f"{COS_SSE}-customer-key-MD5" not in done
    to = tmp_path / "to"
    cos.download_file(Bucket=bucket, Key="k", DestFilePath=str(to), PartSize=1, EnableCRC=True, **customer())
    assert to.read_bytes() == body
    cos.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass="ARCHIVE", **customer())
    job = {"Days": 1, "CASJobParameters": {"Tier": "Expedited"}}
    restore = {"Bucket": bucket, "Key": "a", "RestoreRequest": job}
    assert refused(cos.restore_object, **restore, **customer(OTHER)) == ("SsecDecryptHeaderInvalid", 400)
    cos.restore_object(**restore, **customer())


def test_cos_appends_to_what_is_encrypted(server, cos, bucket):
    def append(position, body, headers):
        query = [("append", ""), ("position", str(position))]
        return raw.cos(server, "POST", bucket, "log", query=query, headers=headers, body=body)

    first = append(0, b"one", {COS_SSE: "AES256"})
    assert first.status == 200 and first.header(COS_SSE) == "AES256"
    assert append(3, b"two", {}).header(COS_SSE) == "AES256"
    assert append(6, b"x", {COS_SSE: "cos/kms"}).code == "SSEHeaderNotAllowed"
    got = cos.get_object(Bucket=bucket, Key="log")
    assert got["Body"].get_raw_stream().read() == b"onetwo" and got[COS_SSE] == "AES256"


def test_cos_default_of_a_bucket(cos, bucket):
    assert refused(cos.get_bucket_encryption, Bucket=bucket) == ("NoSuchEncryptionConfiguration", 404)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    cos.put_bucket_encryption(bucket, {"Rule": [rule]})
    assert cos.get_bucket_encryption(bucket)["Rule"] == [rule]
    assert cos.put_object(Bucket=bucket, Key="k", Body=b"x")[COS_SSE] == "AES256"
    kms = {"SSEAlgorithm": "KMS", "KMSMasterKeyID": "key-1"}
    cos.put_bucket_encryption(bucket, {"Rule": [{"ApplyServerSideEncryptionByDefault": kms}]})
    found = cos.get_bucket_encryption(bucket)["Rule"][0]["ApplyServerSideEncryptionByDefault"]
    assert found == kms
    assert cos.put_object(Bucket=bucket, Key="k", Body=b"x")[COS_SSE] == "cos/kms"
    cos.delete_bucket_encryption(bucket)
    assert COS_SSE not in cos.put_object(Bucket=bucket, Key="k", Body=b"x")


# On disk


def holds(directory, text):
    return any(text in path.read_bytes() for path in pathlib.Path(directory).rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_nothing_of_it_is_on_disk(tmp_path, size):
    from support.clients import s3_client

    mark = b"what nobody is to find on the disk"
    body = (mark * (size // len(mark) + 1))[:size]
    for encrypted in (True, False):
        directory = tmp_path / str(encrypted)
        with Instance(directory) as server:
            s3 = s3_client(server)
            s3.create_bucket(Bucket="sealed")
            for way, (write, _, _) in WAYS.items():
                if (way != "none") == encrypted:
                    s3.put_object(Bucket="sealed", Key=way, Body=body, **write)
        assert holds(directory, mark[:32]) is not encrypted


def test_a_master_key_that_is_gone_is_told(tmp_path):
    from support.clients import s3_client

    with Instance(tmp_path / "data") as server:
        s3 = s3_client(server)
        s3.create_bucket(Bucket="sealed")
        s3.put_object(Bucket="sealed", Key="k", Body=b"x", ServerSideEncryption="AES256")
        s3.put_object(Bucket="sealed", Key="plain", Body=b"y")
    path = tmp_path / "data" / "master.key"
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_bytes()
    os.remove(path)
    with Instance(tmp_path / "data", log=tmp_path / "log") as server:
        s3 = s3_client(server)
        assert code(s3.get_object, Bucket="sealed", Key="k") == ("InternalError", 500)
        refusal = code(s3.put_object, Bucket="sealed", Key="n", Body=b"x", ServerSideEncryption="AES256")
        assert refusal == ("InternalError", 500)
        assert s3.get_object(Bucket="sealed", Key="plain")["Body"].read() == b"y"
        assert not path.exists()
        assert "master.key is gone" in server.log_text()
    path.write_bytes(key)
    with Instance(tmp_path / "data") as server:
        assert s3_client(server).get_object(Bucket="sealed", Key="k")["Body"].read() == b"x"
