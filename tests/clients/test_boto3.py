"""Every operation through boto3, and what only an S3 client can show."""

import base64
import datetime
import hashlib
import io
import urllib.request
import zlib

import pytest
import requests
from awscrt import checksums as crt
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from support import raw
from support.clients import s3_client

MIB = 1 << 20
ODD_KEYS = ["a b.txt", "plus+and%25", "percent%20already", "hash#question?", "照片/2024 年.jpg", "a//b/../c/./d", "~!@$&'()*,;=:"]


def code(caught):
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def fill(s3, bucket, keys, body=b""):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body)


# Service and buckets


def test_a_bucket_lives_and_dies(s3, new_bucket):
    name = new_bucket()
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-guangzhou"})
    listed = s3.list_buckets()
    row = next(b for b in listed["Buckets"] if b["Name"] == name)
    assert abs(row["CreationDate"].timestamp() - datetime.datetime.now().timestamp()) < 60
    assert listed["Owner"]["ID"]
    head = s3.head_bucket(Bucket=name)
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "ap-guangzhou"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "ap-guangzhou"
    assert s3.delete_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket=name)
    assert code(caught) == ("404", 404)


def test_buckets_are_refused_by_name(s3, bucket, new_bucket):
    s3.put_object(Bucket=bucket, Key="stays")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=bucket)
    assert code(caught) == ("BucketNotEmpty", 409)
    with pytest.raises(ClientError) as caught:
        s3.create_bucket(Bucket=bucket)
    assert code(caught) == ("BucketAlreadyOwnedByYou", 409)
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=new_bucket())
    assert code(caught) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=new_bucket())
    assert code(caught) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=new_bucket(), Key="k")
    assert code(caught) == ("NoSuchBucket", 404)


def test_an_open_upload_goes_with_its_bucket(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=bucket)
    assert code(caught) == ("BucketNotEmpty", 409)
    assert [row["UploadId"] for row in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.delete_object(Bucket=bucket, Key="other")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


# Objects


def test_an_object_comes_back_as_it_went(s3, bucket):
    body = b"hello"
    put = s3.put_object(
        Bucket=bucket,
        Key="dir/a.txt",
        Body=body,
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a.txt"',
        ContentEncoding="identity",
        ContentLanguage="zh-CN",
        Expires=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc),
        ContentMD5=raw.base64_md5(body),
        Metadata={"mykey": "my value", "other": "a/b+c"},
    )
    etag = f'"{raw.md5(body)}"'
    assert put["ETag"] == etag
    got = s3.get_object(Bucket=bucket, Key="dir/a.txt")
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="dir/a.txt")
    for answer in (got, head):
        assert answer["ETag"] == etag
        assert answer["ContentLength"] == 5
        assert answer["ContentType"] == "text/plain; charset=utf-8"
        assert answer["CacheControl"] == "max-age=60"
        assert answer["ContentDisposition"] == 'attachment; filename="a.txt"'
        assert answer["ContentEncoding"] == "identity"
        assert answer["ContentLanguage"] == "zh-CN"
        assert answer["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
        assert answer["Metadata"] == {"mykey": "my value", "other": "a/b+c"}
        assert answer["AcceptRanges"] == "bytes"
        assert abs(answer["LastModified"].timestamp() - datetime.datetime.now().timestamp()) < 60


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_of_every_kind(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [row["Key"] for row in s3.list_objects(Bucket=bucket, Prefix=key)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key=key + ".copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key=key + ".copy")["Body"].read() == key.encode()
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": key + ".copy"}]})
    assert sorted(row["Key"] for row in deleted["Deleted"]) == sorted([key, key + ".copy"])
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_overwrite_shows_whole(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", Metadata={"a": "1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"second, longer")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["Metadata"]) == (b"second, longer", {})


def test_sizes_around_every_border(s3, bucket):
    for size in (0, 1, 4095, 4096, 32767, 32768, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 7):
        body = hashlib.shake_128(str(size).encode()).digest(size)
        assert s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"] == f'"{raw.md5(body)}"'
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body, size


def test_ranges(s3, bucket):
    body = bytes(range(256)) * 1024
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for asked, start, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=100000-", 100000, len(body)),
        ("bytes=-7", len(body) - 7, len(body)),
        ("bytes=10-99999999", 10, len(body)),
        ("bytes=-99999999", 0, len(body)),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert got["Body"].read() == body[start:end], asked
        assert got["ContentRange"] == f"bytes {start}-{end - 1}/{len(body)}"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    for asked in (f"bytes={len(body)}-", "bytes=9999999-99999999"):
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert code(caught) == ("InvalidRange", 416)


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    past, future = modified - datetime.timedelta(days=1), modified + datetime.timedelta(days=1)
    for call in (s3.get_object, s3.head_object):
        call(Bucket=bucket, Key="k", IfMatch=etag)
        call(Bucket=bucket, Key="k", IfNoneMatch='"other"')
        call(Bucket=bucket, Key="k", IfModifiedSince=past)
        call(Bucket=bucket, Key="k", IfUnmodifiedSince=future)
        call(Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=past)
        for condition, status in [
            ({"IfMatch": '"other"'}, 412),
            ({"IfNoneMatch": etag}, 304),
            ({"IfNoneMatch": "*"}, 304),
            ({"IfModifiedSince": modified}, 304),
            ({"IfUnmodifiedSince": past}, 412),
        ]:
            with pytest.raises(ClientError) as caught:
                call(Bucket=bucket, Key="k", **condition)
            assert code(caught)[1] == status, condition
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert code(caught) == ("PreconditionFailed", 412)


def test_conditional_writes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code(caught) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"0123456789abcdef0123456789abcdef"')
    assert code(caught) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_response_overrides(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="application/json",
        ResponseContentLanguage="en",
        ResponseCacheControl="no-store",
        ResponseContentDisposition='attachment; filename="照片.txt"',
        ResponseContentEncoding="identity",
        ResponseExpires=datetime.datetime(2031, 1, 1, tzinfo=datetime.timezone.utc),
    )
    assert got["ContentType"] == "application/json"
    assert got["ContentLanguage"] == "en"
    assert got["CacheControl"] == "no-store"
    assert got["ContentDisposition"].startswith("attachment")
    assert got["ContentEncoding"] == "identity"
    assert "2031" in got["ExpiresString"]


def test_a_missing_object_is_missing(s3, bucket):
    for call in (s3.get_object, lambda **more: s3.copy_object(CopySource={"Bucket": bucket, "Key": "no"}, **more)):
        with pytest.raises(ClientError) as caught:
            call(Bucket=bucket, Key="missing")
        assert code(caught) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=bucket, Key="missing")
    assert code(caught) == ("404", 404)
    assert s3.delete_object(Bucket=bucket, Key="missing")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_delete_and_delete_many(s3, bucket):
    keys = [f"k{number}" for number in range(25)]
    fill(s3, bucket, keys)
    assert s3.delete_object(Bucket=bucket, Key="k0")["ResponseMetadata"]["HTTPStatusCode"] == 204
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[:10]]})
    assert [row["Key"] for row in answer["Deleted"]] == keys[:10]
    quiet = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[10:20]], "Quiet": True}
    )
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == sorted(keys[20:])
    with pytest.raises(ClientError) as caught:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})
    assert code(caught) == ("MalformedXML", 400)


def test_copy_keeps_or_replaces(s3, bucket, new_bucket):
    s3.put_object(Bucket=bucket, Key="源 a+.txt", Body=b"body", ContentType="text/plain", Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "源 a+.txt"}
    other = new_bucket()
    s3.create_bucket(Bucket=other)
    copied = s3.copy_object(Bucket=other, Key="kept", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == f'"{raw.md5(b"body")}"'
    assert copied["CopyObjectResult"]["LastModified"]
    kept = s3.get_object(Bucket=other, Key="kept")
    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (b"body", "text/plain", {"m": "1"})
    s3.copy_object(
        Bucket=bucket,
        Key="replaced",
        CopySource=source,
        MetadataDirective="REPLACE",
        ContentType="text/css",
        Metadata={"n": "2"},
    )
    replaced = s3.head_object(Bucket=bucket, Key="replaced")
    assert (replaced["ContentType"], replaced["Metadata"]) == ("text/css", {"n": "2"})
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="源 a+.txt", CopySource=source)
    assert code(caught) == ("InvalidRequest", 400)
    s3.copy_object(Bucket=bucket, Key="源 a+.txt", CopySource=source, MetadataDirective="REPLACE", Metadata={"x": "y"})
    assert s3.head_object(Bucket=bucket, Key="源 a+.txt")["Metadata"] == {"x": "y"}


def test_copy_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="from", Body=b"x")["ETag"]
    source = {"Bucket": bucket, "Key": "from"}
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, CopySourceIfMatch=etag)
    for condition in ({"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": etag}):
        with pytest.raises(ClientError) as caught:
            s3.copy_object(Bucket=bucket, Key="to2", CopySource=source, **condition)
        assert code(caught) == ("PreconditionFailed", 412)


# Listing


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
def test_lists_fold_and_page(s3, bucket, version):
    keys = ["a.txt", "b/1", "b/2", "b/c/3", "d/", "d/x", "照片/一", "照片/二", "z z", "z+z"]
    fill(s3, bucket, keys)
    ordered = sorted(keys, key=str.encode)
    pages = s3.get_paginator(version)
    got = list(pages.paginate(Bucket=bucket, PaginationConfig={"PageSize": 3}))
    assert [row["Key"] for page in got for row in page.get("Contents", [])] == ordered
    assert [page["IsTruncated"] for page in got] == [True, True, True, False]
    folded = list(pages.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}))
    assert [p["Prefix"] for page in folded for p in page.get("CommonPrefixes", [])] == ["b/", "d/", "照片/"]
    assert [row["Key"] for page in folded for row in page.get("Contents", [])] == ["a.txt", "z z", "z+z"]
    inner = getattr(s3, version)(Bucket=bucket, Prefix="b/", Delimiter="/")
    assert [row["Key"] for row in inner["Contents"]] == ["b/1", "b/2"]
    assert [row["Prefix"] for row in inner["CommonPrefixes"]] == ["b/c/"]
    assert (inner["Prefix"], inner["Delimiter"], inner["Name"]) == ("b/", "/", bucket)
    none = getattr(s3, version)(Bucket=bucket, Prefix="nothing")
    assert "Contents" not in none and none["IsTruncated"] is False
    zero = getattr(s3, version)(Bucket=bucket, MaxKeys=0)
    assert "Contents" not in zero


def test_list_v1_marker_and_v2_tokens(s3, bucket):
    fill(s3, bucket, ["a", "b", "c", "d"], b"xy")
    after = s3.list_objects(Bucket=bucket, Marker="b")
    assert [row["Key"] for row in after["Contents"]] == ["c", "d"]
    row = after["Contents"][0]
    assert (row["Size"], row["ETag"], row["StorageClass"]) == (2, f'"{raw.md5(b"xy")}"', "STANDARD")
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=2, FetchOwner=True)
    assert (first["KeyCount"], first["IsTruncated"], first["MaxKeys"]) == (2, True, 2)
    assert first["Contents"][0]["Owner"]["ID"]
    second = s3.list_objects_v2(Bucket=bucket, MaxKeys=2, ContinuationToken=first["NextContinuationToken"])
    assert [row["Key"] for row in second["Contents"]] == ["c", "d"]
    assert second["IsTruncated"] is False
    started = s3.list_objects_v2(Bucket=bucket, StartAfter="c")
    assert [row["Key"] for row in started["Contents"]] == ["d"]
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="not a token")
    assert code(caught) == ("InvalidArgument", 400)


# Multipart


def test_multipart_by_hand(s3, bucket):
    parts = [b"a" * (5 * MIB), b"b" * (5 * MIB), b"the end"]
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="多 part.bin", ContentType="application/zip", Metadata={"m": "1"}
    )["UploadId"]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    etags = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(Bucket=bucket, Key="多 part.bin", UploadId=upload, PartNumber=number, Body=body)
        assert answer["ETag"] == f'"{raw.md5(body)}"'
        etags.append(answer["ETag"])
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="多 part.bin")
    listed = s3.list_parts(Bucket=bucket, Key="多 part.bin", UploadId=upload, MaxParts=2)
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed["Parts"]] == [
        (1, 5 * MIB, etags[0]),
        (2, 5 * MIB, etags[1]),
    ]
    assert listed["IsTruncated"] and listed["NextPartNumberMarker"] == 2
    rest = s3.list_parts(Bucket=bucket, Key="多 part.bin", UploadId=upload, PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Parts"]] == [3]
    done = s3.complete_multipart_upload(
        Bucket=bucket,
        Key="多 part.bin",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": n, "ETag": e} for n, e in enumerate(etags, 1)]},
    )
    whole = b"".join(parts)
    joined = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
    assert (done["Bucket"], done["Key"], done["ETag"]) == (bucket, "多 part.bin", f'"{joined}-3"')
    got = s3.get_object(Bucket=bucket, Key="多 part.bin")
    assert got["Body"].read() == whole
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (done["ETag"], "application/zip", {"m": "1"})
    part = s3.get_object(Bucket=bucket, Key="多 part.bin", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert part["Body"].read() == b"aabb"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_multipart_refusals(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]

    def complete(*parts, upload=upload):
        rows = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return s3.complete_multipart_upload(
            Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": rows}
        )

    def part(number, body):
        return s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=body)["ETag"]

    one, two = part(1, b"small"), part(2, b"too")
    for parts, expected in [
        ([(1, one), (2, two)], "EntityTooSmall"),
        ([(2, two), (1, one)], "InvalidPartOrder"),
        ([(1, '"00000000000000000000000000000000"')], "InvalidPart"),
        ([(7, one)], "InvalidPart"),
    ]:
        with pytest.raises(ClientError) as caught:
            complete(*parts)
        assert code(caught) == (expected, 400)
    for number in (0, 10001):
        with pytest.raises(ClientError) as caught:
            part(number, b"x")
        assert code(caught) == ("InvalidArgument", 400)
    with pytest.raises(ClientError) as caught:
        complete((1, one), upload="0" * 74)
    assert code(caught) == ("NoSuchUpload", 404)
    again = part(1, b"replaced")
    assert complete((1, again))["ETag"].endswith('-1"')
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"replaced"
    with pytest.raises(ClientError) as caught:
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    assert code(caught) == ("NoSuchUpload", 404)


def test_an_aborted_upload_leaves_nothing(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    answer = s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with pytest.raises(ClientError) as caught:
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert code(caught) == ("NoSuchUpload", 404)


def test_uploads_are_listed_by_prefix_and_page(s3, bucket):
    made = [(key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]) for key in ("x/1", "x/2", "y", "y")]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    rows = [(u["Key"], u["UploadId"]) for page in pages for u in page["Uploads"]]
    assert sorted(rows) == sorted(made)
    assert [key for key, _ in rows] == ["x/1", "x/2", "y", "y"]
    under = s3.list_multipart_uploads(Bucket=bucket, Prefix="x/")
    assert [u["Key"] for u in under["Uploads"]] == ["x/1", "x/2"]
    folded = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folded["CommonPrefixes"]] == ["x/"]
    assert [u["Key"] for u in folded["Uploads"]] == ["y", "y"]


# High-level transfers


def test_transfers_of_twenty_mebibytes(s3, bucket, tmp_path):
    body = hashlib.shake_128(b"big").digest(20 * MIB + 3)
    (tmp_path / "up").write_bytes(body)
    how = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_file(str(tmp_path / "up"), bucket, "file", Config=how, ExtraArgs={"Metadata": {"m": "1"}})
    s3.upload_fileobj(io.BytesIO(body), bucket, "object", Config=how)
    for key in ("file", "object"):
        assert s3.head_object(Bucket=bucket, Key=key)["ETag"].endswith('-3"')
        s3.download_file(bucket, key, str(tmp_path / key), Config=how)
        assert (tmp_path / key).read_bytes() == body
    into = io.BytesIO()
    s3.download_fileobj(bucket, "object", into, Config=how)
    assert into.getvalue() == body


# Checksums


def checksums(body):
    def in_base64(number, size):
        return base64.b64encode(number.to_bytes(size, "big")).decode()

    return {
        "CRC32": in_base64(zlib.crc32(body), 4),
        "CRC32C": in_base64(crt.crc32c(body), 4),
        "CRC64NVME": in_base64(crt.crc64nvme(body), 8),
        "SHA1": base64.b64encode(hashlib.sha1(body).digest()).decode(),
        "SHA256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_in_headers(server, s3, bucket, algorithm):
    body = b"checked" * 1000
    right = checksums(body)[algorithm]
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    assert put[f"Checksum{algorithm}"] == right
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[f"Checksum{algorithm}"]) == (body, right)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == right
    wrong = checksums(b"other")[algorithm]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="wrong", Body=body, **{f"Checksum{algorithm}": wrong})
    assert code(caught) == ("BadDigest", 400)
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="wrong")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
@pytest.mark.parametrize(
    "payload", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"]
)
def test_checksums_in_trailers(server, s3, bucket, algorithm, payload):
    body = hashlib.shake_128(b"trailer").digest(200_000)
    name = f"x-amz-checksum-{algorithm.lower()}"
    path = raw.path_of(bucket, "k")
    put = raw.aws_chunked(server, path, body, payload, (name, checksums(body)[algorithm]))
    assert put.status == 200, put
    assert put.header(name) == checksums(body)[algorithm]
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    assert got.get("ContentEncoding", "") == ""
    wrong = raw.aws_chunked(
        server, raw.path_of(bucket, "wrong"), body, payload, (name, checksums(b"other")[algorithm])
    )
    assert (wrong.status, wrong.code) == (400, "BadDigest"), wrong
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="wrong")


def test_signed_chunks(server, s3, bucket):
    body = hashlib.shake_128(b"chunks").digest(150_000)
    plain, trailed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    put = raw.aws_chunked(server, raw.path_of(bucket, "k"), body, plain)
    assert put.status == 200, put
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    for corrupt in ("chunk-signature", "data"):
        bad = raw.aws_chunked(server, raw.path_of(bucket, "bad"), body, plain, corrupt=corrupt)
        assert (bad.status, bad.code) == (403, "SignatureDoesNotMatch"), bad
    trailer = ("x-amz-checksum-crc32", raw.base64_crc32(body))
    bad = raw.aws_chunked(server, raw.path_of(bucket, "bad"), body, trailed, trailer, corrupt="trailer-signature")
    assert (bad.status, bad.code) == (403, "SignatureDoesNotMatch"), bad
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="bad")


def test_unsigned_and_signed_payloads(server, s3, bucket):
    path = raw.path_of(bucket, "k")
    assert raw.s3(server, "PUT", path, body=b"free", payload=raw.UNSIGNED).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"free"
    lied = raw.s3(server, "PUT", path, body=b"other", payload=hashlib.sha256(b"said").hexdigest())
    assert (lied.status, lied.code) == (400, "XAmzContentSHA256Mismatch"), lied
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"free"


def test_a_wrong_md5_is_refused(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=raw.base64_md5(b"y"))
    assert code(caught) == ("BadDigest", 400)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="bm90IGFuIG1kNQ==")
    assert code(caught) == ("InvalidDigest", 400)
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="k")


# Who asks


def test_wrong_keys_are_refused(server, bucket):
    with pytest.raises(ClientError) as caught:
        s3_client(server, secret_key="wrong").list_objects_v2(Bucket=bucket)
    assert code(caught) == ("SignatureDoesNotMatch", 403)
    with pytest.raises(ClientError) as caught:
        s3_client(server, secret_id="AKIDUNKNOWN").list_objects_v2(Bucket=bucket)
    assert code(caught) == ("InvalidAccessKeyId", 403)
    anonymous = raw.send(server, "GET", raw.path_of(bucket, "k"), {"Host": server.host})
    assert (anonymous.status, anonymous.code) == (403, "AccessDenied")
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=20)
    stale = raw.s3(server, "GET", raw.path_of(bucket), now=old)
    assert (stale.status, stale.code) == (403, "RequestTimeTooSkewed")


def test_presigned_urls(server, s3, bucket):
    def fetch(url, method="GET", body=None, **headers):
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    key = "目录/a b+c.txt"
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key, "ContentType": "text/plain"})
    assert fetch(put, "PUT", b"signed", **{"Content-Type": "text/plain"})[0] == 200
    got = s3.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": key, "ResponseContentType": "application/json"}, ExpiresIn=60
    )
    status, headers, body = fetch(got)
    assert (status, body, headers["Content-Type"]) == (200, b"signed", "application/json")
    assert fetch(got.replace("X-Amz-Signature=", "X-Amz-Signature=0"))[0] == 403
    assert fetch(got.replace("a%20b", "other"))[0] == 403
    for name in ("localhost", "host.docker.internal"):
        with_alias = urllib.request.Request(got, headers={"Host": f"{name}:{server.port}"})
        with urllib.request.urlopen(with_alias) as answer:
            assert answer.read() == b"signed", "a presigned URL holds for every alias of the server"
    head = s3.generate_presigned_url("head_object", {"Bucket": bucket, "Key": key})
    assert fetch(head, "HEAD")[0] == 200
    delete = s3.generate_presigned_url("delete_object", {"Bucket": bucket, "Key": key})
    assert fetch(delete, "DELETE")[0] == 204
    assert fetch(got)[0] == 404


def test_an_expired_url_is_refused(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    signer = raw.SigV4(server, now=old)
    query = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", f"{server.secret_id}/{signer.scope}"),
        ("X-Amz-Date", signer.date),
        ("X-Amz-Expires", "60"),
        ("X-Amz-SignedHeaders", "host"),
    ]
    path = raw.path_of(bucket, "k")
    text = "&".join(f"{raw.quote(k)}={raw.quote(v)}" for k, v in sorted(query))
    canonical = f"GET\n{path}\n{text}\nhost:{server.host}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = signer.sign(f"AWS4-HMAC-SHA256\n{signer.date}\n{signer.scope}\n{digest}")
    answer = raw.send(server, "GET", f"{path}?{text}&X-Amz-Signature={signature}", {"Host": server.host})
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"Request has expired" in answer.body


# Ways in


def test_virtual_hosted_style(server, bucket, localhost_names):
    s3 = s3_client(server, "virtual", endpoint=f"http://localhost:{server.port}")
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="a b")["Body"].read() == b"x"
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b"]


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_signature_version_two(server, bucket, localhost_names, style):
    """S3's first, which COS still takes: in the header and in a URL."""
    old = s3_client(server, style, endpoint=f"http://localhost:{server.port}", signature_version="s3")
    old.put_object(Bucket=bucket, Key="a b/照", Body=b"x", ContentType="a/b", Metadata={"m": "1"})
    got = old.get_object(Bucket=bucket, Key="a b/照", ResponseContentType="c/d")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"x", "c/d", {"m": "1"})
    assert [row["Key"] for row in old.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b/照"]
    assert old.get_bucket_acl(Bucket=bucket)["Grants"]
    asked = {"Params": {"Bucket": bucket, "Key": "a b/照"}}
    assert requests.get(old.generate_presigned_url("get_object", **asked), timeout=60).content == b"x"
    late = requests.get(old.generate_presigned_url("get_object", **asked, ExpiresIn=-60), timeout=60)
    assert late.status_code == 403 and "Request has expired" in late.text
    forged = s3_client(server, style, endpoint=f"http://localhost:{server.port}", signature_version="s3", secret_key="x")
    with pytest.raises(ClientError) as caught:
        forged.get_object(Bucket=bucket, Key="a b/照")
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_errors_are_shaped_as_s3_shapes_them(server, bucket):
    missing = raw.s3(server, "GET", raw.path_of(bucket, "no such"))
    tree = missing.xml()
    assert missing.status == 404 and missing.header("content-type") == "application/xml"
    assert tree.findtext("Code") == "NoSuchKey" and tree.findtext("Message")
    assert tree.findtext("RequestId") == missing.header("x-amz-request-id")
    others = [name for name in missing.names() if name.lower().startswith("x-cos-")]
    assert others in ([], ["x-cos-request-id"]), others
    head = raw.s3(server, "HEAD", raw.path_of(bucket, "no such"))
    assert (head.status, head.body) == (404, b"")
