"""Copies of versions, onto itself, of objects made of parts, and of ranges as parts, in both dialects."""

import hashlib

import crcmod
import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support import raw

MIB = 1 << 20
crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def refused(call, **parameters):
    with pytest.raises(CosServiceError) as caught:
        call(**parameters)
    return caught.value.get_error_code(), caught.value.get_status_code()


def read(s3, bucket, key, **which):
    return s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()


def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def made_of_parts(s3, bucket, key, parts, **more):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]
    done = []
    for number, body in parts.items():
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        done.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
    )


# CopyObject


def test_a_version_is_copied_and_made_current_again(s3, bucket, new_bucket):
    versioned(s3, bucket)
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    other = new_bucket()
    s3.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "ap-shanghai"})
    source = {"Bucket": bucket, "Key": "k", "VersionId": old}
    copied = s3.copy_object(Bucket=other, Key="c", CopySource=source)
    assert copied["CopySourceVersionId"] == old and "VersionId" not in copied
    assert read(s3, other, "c") == b"old"
    restored = s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    assert restored["VersionId"] not in (old, "null")
    assert read(s3, bucket, "k") == b"old"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 3


def test_what_cannot_be_copied(s3, bucket):
    versioned(s3, bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    for source, answer in (
        ({"Key": "k"}, ("NoSuchKey", 404)),
        ({"Key": "k", "VersionId": marker}, ("InvalidRequest", 400)),
        ({"Key": "k", "VersionId": "test"}, ("InvalidArgument", 400)),
        ({"Key": "missing"}, ("NoSuchKey", 404)),
    ):
        assert code(s3.copy_object, Bucket=bucket, Key="c", CopySource={"Bucket": bucket, **source}) == answer
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = {"Bucket": bucket, "Key": "k"}
    assert code(s3.copy_object, Bucket=bucket, Key="k", CopySource=source) == ("InvalidRequest", 400)


def test_conditions_of_a_copy(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    source = {"Bucket": bucket, "Key": "k"}
    for holds, conditions in (
        (True, {"CopySourceIfMatch": etag}),
        (False, {"CopySourceIfMatch": '"0"'}),
        (True, {"CopySourceIfNoneMatch": '"0"'}),
        (False, {"CopySourceIfNoneMatch": etag}),
        (True, {"CopySourceIfUnmodifiedSince": modified}),
        (False, {"CopySourceIfModifiedSince": modified}),
        (True, {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": modified.replace(year=2001)}),
        (False, {"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": modified.replace(year=2001)}),
    ):
        ask = {"Bucket": bucket, "Key": "c", "CopySource": source, **conditions}
        if holds:
            s3.copy_object(**ask)
        else:
            assert code(s3.copy_object, **ask) == ("PreconditionFailed", 412), conditions
        upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
        if holds:
            s3.upload_part_copy(**ask, UploadId=upload, PartNumber=1)
        else:
            assert code(s3.upload_part_copy, **ask, UploadId=upload, PartNumber=1) == ("PreconditionFailed", 412)
        s3.abort_multipart_upload(Bucket=bucket, Key="c", UploadId=upload)


def test_a_copy_of_parts_is_one_body(s3, bucket):
    body = b"a" * 5 * MIB + b"b"
    done = made_of_parts(s3, bucket, "k", {1: body[: 5 * MIB], 2: body[5 * MIB :]}, ChecksumAlgorithm="SHA256")
    assert done["ETag"].endswith('-2"')
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{raw.md5(body)}"'
    head = s3.head_object(Bucket=bucket, Key="c", ChecksumMode="ENABLED")
    assert head["ETag"] == f'"{raw.md5(body)}"'
    assert head["ChecksumSHA256"] == raw.base64_sha256(body) and head["ChecksumType"] == "FULL_OBJECT"
    assert read(s3, bucket, "c") == body


def test_a_copy_can_have_another_checksum(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="CRC32")
    s3.copy_object(
        Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"}, ChecksumAlgorithm="SHA256"
    )
    head = s3.head_object(Bucket=bucket, Key="c", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == raw.base64_sha256(b"hello") and "ChecksumCRC32" not in head


# UploadPartCopy


def test_an_upload_of_copied_ranges(s3, bucket):
    body = bytes(range(256)) * (24 << 10)
    s3.put_object(Bucket=bucket, Key="源 +", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    source = {"Bucket": bucket, "Key": "源 +"}
    parts = []
    for number, (first, last) in enumerate([(0, 5 * MIB - 1), (5 * MIB, len(body) - 1), (7, 7)], 1):
        answer = s3.upload_part_copy(
            Bucket=bucket,
            Key="c",
            UploadId=upload,
            PartNumber=number,
            CopySource=source,
            CopySourceRange=f"bytes={first}-{last}",
        )
        part = answer["CopyPartResult"]
        assert part["ETag"] == f'"{raw.md5(body[first : last + 1])}"'
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    # The second is smaller than 5 MiB and not the last.
    ask = {"Bucket": bucket, "Key": "c", "UploadId": upload}
    answer = code(s3.complete_multipart_upload, **ask, MultipartUpload={"Parts": parts})
    assert answer == ("EntityTooSmall", 400)
    s3.complete_multipart_upload(**ask, MultipartUpload={"Parts": parts[:2]})
    assert read(s3, bucket, "c") == body


def test_a_part_of_a_version(s3, bucket):
    versioned(s3, bucket)
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"newer")["VersionId"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    parts = []
    for number, (version, source) in enumerate([(old, {"VersionId": old}), (new, {})], 1):
        answer = s3.upload_part_copy(
            Bucket=bucket,
            Key="c",
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "k", **source},
        )
        assert answer["CopySourceVersionId"] == version
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="c", UploadId=upload, MultipartUpload={"Parts": parts[:1]}
    )
    assert read(s3, bucket, "c", VersionId=done["VersionId"]) == b"old"


def test_part_copies_that_cannot_be(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    ask = {"Bucket": bucket, "Key": "c", "CopySource": {"Bucket": bucket, "Key": "k"}, "PartNumber": 1}
    for text in ("bytes=0-", "bytes=-3", "0-3", "bytes=3-1", "bytes=0-1,3-4"):
        answer = code(s3.upload_part_copy, **ask, UploadId=upload, CopySourceRange=text)
        assert answer == ("InvalidArgument", 400), text
    assert code(s3.upload_part_copy, **ask, UploadId=upload, CopySourceRange="bytes=0-5") == ("InvalidRange", 416)
    assert code(s3.upload_part_copy, **ask, UploadId="none") == ("NoSuchUpload", 404)
    ask["CopySource"] = {"Bucket": bucket, "Key": "missing"}
    assert code(s3.upload_part_copy, **ask, UploadId=upload) == ("NoSuchKey", 404)


# COS


def test_cos_copies_a_version(cos, server, bucket):
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    old = cos.put_object(Bucket=bucket, Key="k", Body=b"old")["x-cos-version-id"]
    marker = cos.delete_object(Bucket=bucket, Key="k")["x-cos-version-id"]
    source = {"Bucket": bucket, "Region": server.region, "Key": "k"}
    copied = cos.copy_object(Bucket=bucket, Key="k", CopySource={**source, "VersionId": old})
    assert copied["x-cos-copy-source-version-id"] == old
    assert copied["CRC64"] == str(crc64(b"old"))
    assert cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == b"old"
    cos.delete_object(Bucket=bucket, Key="k")
    ask = {"Bucket": bucket, "Key": "c"}
    assert refused(cos.copy_object, **ask, CopySource=source) == ("NoSuchKey", 404)
    assert refused(cos.copy_object, **ask, CopySource={**source, "VersionId": marker}) == ("InvalidRequest", 400)
    assert refused(cos.copy_object, **ask, CopySource={**source, "VersionId": "test"}) == ("NoSuchVersion", 404)


def test_cos_copies_in_parts(cos, server, bucket):
    body = bytes(range(256)) * (10 << 10)
    cos.put_object(Bucket=bucket, Key="源 +", Body=body)
    upload = cos.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    source = {"Bucket": bucket, "Region": server.region, "Key": "源 +"}
    parts = []
    for number, (first, last) in enumerate([(0, MIB - 1), (MIB, len(body) - 1)], 1):
        answer = cos.upload_part_copy(
            Bucket=bucket,
            Key="c",
            PartNumber=number,
            UploadId=upload,
            CopySource=source,
            CopySourceRange=f"bytes={first}-{last}",
        )
        assert answer["ETag"] == f'"{raw.md5(body[first : last + 1])}"'
        assert answer["CRC64"] == answer["x-cos-hash-crc64ecma"] == str(crc64(body[first : last + 1]))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    done = cos.complete_multipart_upload(
        Bucket=bucket, Key="c", UploadId=upload, MultipartUpload={"Part": parts}
    )
    assert done["x-cos-hash-crc64ecma"] == str(crc64(body))
    got = cos.get_object(Bucket=bucket, Key="c")["Body"].get_raw_stream().read()
    assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()
    upload = cos.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    ask = {"Bucket": bucket, "Key": "c", "PartNumber": 1, "UploadId": upload, "CopySource": source}
    far = f"bytes=0-{len(body)}"
    assert refused(cos.upload_part_copy, **ask, CopySourceRange=far) == ("InvalidRange", 416)
