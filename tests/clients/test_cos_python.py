"""Every operation through the COS Python SDK, in each of the three ways it can be pointed here."""

import hashlib
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import crcmod
import pytest
import requests
from qcloud_cos import CosServiceError

from support import raw
from support.clients import cos_client, s3_client

MIB = 1 << 20
crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
ODD_KEYS = ["a b.txt", "plus+and%25", "hash#question?", "照片/2024 年.jpg", "a//b/../c/./d", "~!@$&'()*,;=:"]


@pytest.fixture(params=["proxy", "ip", "endpoint"])
def cos(request, server, localhost_names):
    return cos_client(server, request.param)


def refused(call, *arguments, **parameters):
    with pytest.raises(CosServiceError) as caught:
        call(*arguments, **parameters)
    return caught.value.get_error_code(), caught.value.get_status_code()


def test_a_bucket_lives_and_dies(cos, new_bucket):
    name = new_bucket()
    cos.create_bucket(Bucket=name)
    buckets = cos.list_buckets()
    row = next(b for b in buckets["Buckets"]["Bucket"] if b["Name"] == name)
    assert row["Location"] == "ap-guangzhou"
    assert row["CreationDate"].endswith("Z") and "." not in row["CreationDate"]
    assert buckets["Owner"]["ID"] == "qcs::cam::uin/100000000001:uin/100000000001"
    assert cos.head_bucket(Bucket=name)["x-cos-bucket-region"] == "ap-guangzhou"
    assert cos.bucket_exists(Bucket=name)
    assert cos.get_bucket_location(Bucket=name)["LocationConstraint"] == "ap-guangzhou"
    assert refused(cos.create_bucket, Bucket=name) == ("BucketAlreadyOwnedByYou", 409)
    cos.put_object(Bucket=name, Key="k", Body=b"x")
    assert refused(cos.delete_bucket, Bucket=name) == ("BucketNotEmpty", 409)
    cos.delete_object(Bucket=name, Key="k")
    cos.delete_bucket(Bucket=name)
    assert not cos.bucket_exists(Bucket=name)
    assert refused(cos.list_objects, Bucket=name) == ("NoSuchBucket", 404)


def test_buckets_are_listed_by_tag_and_time(server, new_bucket):
    cos = cos_client(server)
    made = [new_bucket() for _ in range(2)]
    for name, value in zip(made, ("1", "2")):
        cos.create_bucket(Bucket=name)
        cos.put_bucket_tagging(Bucket=name, Tagging={"TagSet": {"Tag": [{"Key": "by", "Value": value}]}})

    def names(**asked):
        rows = (cos.list_buckets(**asked)["Buckets"] or {}).get("Bucket", [])
        return [row["Name"] for row in rows if row["Name"] in made]

    assert names(TagKey="by", TagValue="1") == made[:1] and names(TagKey="by", TagValue="3") == []
    assert names(CreateTime=1514736000, Range="gt") == sorted(made)
    assert names(CreateTime=1514736000, Range="lte") == []
    assert refused(cos.list_buckets, CreateTime=1514736000, Range="near") == ("InvalidArgument", 400)


def test_an_open_upload_keeps_its_bucket(cos, bucket):
    upload = cos.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    assert refused(cos.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    cos.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    cos.delete_bucket(Bucket=bucket)


def test_an_object_comes_back_as_it_went(cos, bucket):
    body = b"hello"
    put = cos.put_object(
        Bucket=bucket,
        Key="dir/a.txt",
        Body=body,
        EnableMD5=True,
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a.txt"',
        ContentLanguage="zh-CN",
        Expires="Tue, 01 Jan 2030 00:00:00 GMT",
        Metadata={"x-cos-meta-mykey": "my value"},
    )
    assert put["ETag"] == f'"{raw.md5(body)}"'
    assert put["x-cos-hash-crc64ecma"] == "11177612005948864433"
    assert put["Server"] == "tencent-cos" and put["x-cos-request-id"] and put["Content-Length"] == "0"
    got = cos.get_object(Bucket=bucket, Key="dir/a.txt")
    assert got["Body"].get_raw_stream().read() == body
    head = cos.head_object(Bucket=bucket, Key="dir/a.txt")
    for answer in (got, head):
        assert answer["ETag"] == put["ETag"]
        assert answer["Content-Length"] == "5"
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Cache-Control"] == "max-age=60"
        assert answer["Content-Disposition"] == 'attachment; filename="a.txt"'
        assert answer["Content-Language"] == "zh-CN"
        assert answer["Expires"] == "Tue, 01 Jan 2030 00:00:00 GMT"
        assert answer["x-cos-meta-mykey"] == "my value"
        assert answer["x-cos-hash-crc64ecma"] == "11177612005948864433"
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["Last-Modified"].endswith("GMT")
    assert cos.object_exists(Bucket=bucket, Key="dir/a.txt")
    cos.delete_object(Bucket=bucket, Key="dir/a.txt")
    assert not cos.object_exists(Bucket=bucket, Key="dir/a.txt")
    cos.delete_object(Bucket=bucket, Key="dir/a.txt")


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_of_every_kind(server, cos, bucket, key):
    cos.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert cos.get_object(Bucket=bucket, Key=key)["Body"].get_raw_stream().read() == key.encode()
    assert [row["Key"] for row in cos.list_objects(Bucket=bucket, Prefix=key)["Contents"]] == [key]
    source = {"Bucket": bucket, "Key": key, "Region": "ap-guangzhou"}
    copied = cos.copy_object(Bucket=bucket, Key="copy of " + key, CopySource=source)
    assert (copied["ETag"], copied["CRC64"]) == (f'"{raw.md5(key.encode())}"', str(crc64(key.encode())))
    assert sorted(o["Key"] for o in s3_client(server).list_objects_v2(Bucket=bucket)["Contents"]) == sorted(
        [key, "copy of " + key]
    ), "both dialects see the same keys"
    answer = cos.delete_objects(Bucket=bucket, Delete={"Object": [{"Key": key}, {"Key": "copy of " + key}]})
    assert sorted(row["Key"] for row in answer["Deleted"]) == sorted([key, "copy of " + key])
    assert "Contents" not in cos.list_objects(Bucket=bucket)


def test_content_type_is_guessed_from_the_key(cos, bucket):
    for key, expected in [("a.zip", "application/zip"), ("b.txt", "text/plain"), ("c", "application/octet-stream")]:
        cos.put_object(Bucket=bucket, Key=key, Body=b"x")
        assert cos.head_object(Bucket=bucket, Key=key)["Content-Type"] == expected


def test_ranges(cos, bucket):
    body = bytes(range(256)) * 1024
    cos.put_object(Bucket=bucket, Key="k", Body=body)
    got = cos.get_object(Bucket=bucket, Key="k", Range="bytes=5-9")
    assert got["Body"].get_raw_stream().read() == body[5:10]
    assert got["Content-Range"] == f"bytes 5-9/{len(body)}"
    assert got["x-cos-hash-crc64ecma"] == str(crc64(body)), "a range carries the CRC-64 of the whole object"
    assert cos.get_object(Bucket=bucket, Key="k", Range="bytes=-3")["Body"].get_raw_stream().read() == body[-3:]
    assert refused(cos.get_object, Bucket=bucket, Key="k", Range="bytes=9999999-") == ("InvalidRange", 416)


def test_conditions_and_overrides(cos, bucket):
    etag = cos.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")["ETag"]
    cos.get_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert refused(cos.get_object, Bucket=bucket, Key="k", IfMatch='"no"') == ("PreconditionFailed", 412)
    unchanged = cos.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert unchanged["ETag"] == etag and unchanged["x-cos-request-id"], "304 is a result, not an error, here"
    assert unchanged["Body"].get_raw_stream().read() == b""
    got = cos.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="application/json",
        ResponseCacheControl="no-store",
        ResponseContentDisposition="attachment",
    )
    assert (got["Content-Type"], got["Cache-Control"]) == ("application/json", "no-store")
    assert got["Content-Disposition"] == "attachment"


def test_copy_replaces_metadata(cos, bucket):
    cos.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="text/plain", Metadata={"x-cos-meta-m": "1"})
    source = {"Bucket": bucket, "Key": "a", "Region": "ap-guangzhou"}
    cos.copy_object(Bucket=bucket, Key="b", CopySource=source)
    assert cos.head_object(Bucket=bucket, Key="b")["x-cos-meta-m"] == "1"
    cos.copy_object(
        Bucket=bucket,
        Key="c",
        CopySource=source,
        CopyStatus="Replaced",
        ContentType="text/css",
        Metadata={"x-cos-meta-n": "2"},
    )
    head = cos.head_object(Bucket=bucket, Key="c")
    assert (head["Content-Type"], head["x-cos-meta-n"], head.get("x-cos-meta-m")) == ("text/css", "2", None)
    cos.update_object_meta(Bucket=bucket, Key="a", Metadata={"x-cos-meta-z": "3"})
    assert cos.head_object(Bucket=bucket, Key="a")["x-cos-meta-z"] == "3"
    missing = {**source, "Key": "missing"}
    assert refused(cos.copy_object, Bucket=bucket, Key="d", CopySource=missing) in [
        ("NoSuchKey", 404),
        ("NoSuchCopySource", 404),
    ]


def test_lists_fold_and_page(cos, bucket):
    keys = ["a.txt", "b/1", "b/2", "b/c/3", "照片/一", "照片/二 ", "z z", "z+z", "z%20z"]
    for key in keys:
        cos.put_object(Bucket=bucket, Key=key, Body=b"xy")
    ordered = sorted(keys, key=str.encode)
    got, marker, pages = [], "", 0
    while True:
        page = cos.list_objects(Bucket=bucket, Marker=marker, MaxKeys=2)
        got += [row["Key"] for row in page["Contents"]]
        pages += 1
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    assert (got, pages) == (ordered, 5)
    folded = cos.list_objects(Bucket=bucket, Delimiter="/")
    assert [row["Prefix"] for row in folded["CommonPrefixes"]] == ["b/", "照片/"]
    assert [row["Key"] for row in folded["Contents"]] == ["a.txt", "z z", "z%20z", "z+z"]
    first = cos.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert (first["NextMarker"], first["IsTruncated"]) == ("b/", "true")
    after = cos.list_objects(Bucket=bucket, Delimiter="/", Marker="b/")
    assert [row["Prefix"] for row in after["CommonPrefixes"]] == ["照片/"]
    assert [row["Key"] for row in after["Contents"]] == ["z z", "z%20z", "z+z"]
    inner = cos.list_objects(Bucket=bucket, Prefix="照片/")
    assert [row["Key"] for row in inner["Contents"]] == ["照片/一", "照片/二 "]
    row = inner["Contents"][0]
    assert (row["Size"], row["ETag"], row["StorageClass"]) == ("2", f'"{raw.md5(b"xy")}"', "STANDARD")
    assert row["Owner"]["ID"] == "1250000000"
    encoded = cos.list_objects(Bucket=bucket, Prefix="照片/", EncodingType="url")
    assert encoded["EncodingType"] == "url"
    assert encoded["Contents"][1]["Key"] == "%E7%85%A7%E7%89%87/%E4%BA%8C%20", "slashes stay, a space is %20"
    assert encoded["Prefix"] == "%E7%85%A7%E7%89%87/"


def test_multipart_by_hand(cos, bucket):
    parts = [b"a" * MIB, b"b" * MIB, b"the end"]
    made = cos.create_multipart_upload(
        Bucket=bucket, Key="多 part.bin", ContentType="application/zip", Metadata={"x-cos-meta-m": "1"}
    )
    upload = made["UploadId"]
    assert (made["Bucket"], made["Key"]) == (bucket, "多 part.bin")
    assert upload.isalnum() and upload.lower() == upload, "Go's fallback parser wants [a-z0-9]+"
    assert cos.list_multipart_uploads(Bucket=bucket)["Upload"][0]["UploadId"] == upload
    rows = []
    for number, body in enumerate(parts, 1):
        answer = cos.upload_part(
            Bucket=bucket, Key="多 part.bin", Body=body, PartNumber=number, UploadId=upload, EnableMD5=True
        )
        assert answer["ETag"] == f'"{raw.md5(body)}"' and answer["x-cos-hash-crc64ecma"] == str(crc64(body))
        rows.append({"PartNumber": number, "ETag": answer["ETag"]})
    first = cos.list_parts(Bucket=bucket, Key="多 part.bin", UploadId=upload, MaxParts=2)
    assert [(p["PartNumber"], p["Size"]) for p in first["Part"]] == [("1", str(MIB)), ("2", str(MIB))]
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == ("true", "2")
    rest = cos.list_parts(Bucket=bucket, Key="多 part.bin", UploadId=upload, PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Part"]] == ["3"]
    done = cos.complete_multipart_upload(
        Bucket=bucket, Key="多 part.bin", UploadId=upload, MultipartUpload={"Part": rows}
    )
    whole = b"".join(parts)
    assert done["ETag"].endswith('-3"') and done["x-cos-hash-crc64ecma"] == str(crc64(whole))
    assert done["Location"].startswith("http://") and bucket in done["Location"]
    got = cos.get_object(Bucket=bucket, Key="多 part.bin")
    assert got["Body"].get_raw_stream().read() == whole
    assert (got["Content-Type"], got["x-cos-meta-m"]) == ("application/zip", "1")
    assert got["x-cos-hash-crc64ecma"] == str(crc64(whole))


def test_multipart_refusals(cos, bucket):
    upload = cos.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = cos.upload_part(Bucket=bucket, Key="k", Body=b"small", PartNumber=1, UploadId=upload)["ETag"]
    two = cos.upload_part(Bucket=bucket, Key="k", Body=b"too", PartNumber=2, UploadId=upload)["ETag"]

    def complete(*rows):
        parts = {"Part": [{"PartNumber": number, "ETag": tag} for number, tag in rows]}
        return cos.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)

    assert refused(complete, (1, etag), (2, two)) == ("EntityTooSmall", 400)
    assert refused(complete, (2, two), (1, etag)) == ("InvalidPartOrder", 400)
    assert refused(complete, (1, '"00000000000000000000000000000000"')) == ("InvalidPart", 400)
    assert refused(cos.upload_part, Bucket=bucket, Key="k", Body=b"x", PartNumber=0, UploadId=upload) == (
        "InvalidArgument",
        400,
    )
    cos.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert refused(cos.list_parts, Bucket=bucket, Key="k", UploadId=upload) == ("NoSuchUpload", 404)
    assert refused(cos.abort_multipart_upload, Bucket=bucket, Key="k", UploadId=upload) == ("NoSuchUpload", 404)


def test_resumable_transfers(cos, bucket, tmp_path):
    body = hashlib.shake_128(b"file").digest(5 * MIB + 11)
    source = tmp_path / "source.bin"
    source.write_bytes(body)
    upload = cos.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    first = cos.upload_part(Bucket=bucket, Key="big", Body=body[: 2 * MIB], PartNumber=1, UploadId=upload)
    assert first["ETag"] == f'"{raw.md5(body[: 2 * MIB])}"'
    done = cos.upload_file(Bucket=bucket, Key="big", LocalFilePath=str(source), PartSize=2, MAXThread=3, EnableMD5=True)
    assert done["ETag"].endswith('-3"')
    assert not cos.list_multipart_uploads(Bucket=bucket).get("Upload"), "the unfinished upload was taken up again"
    target = tmp_path / "target.bin"
    cos.download_file(Bucket=bucket, Key="big", DestFilePath=str(target), PartSize=1, MAXThread=3, EnableCRC=True)
    assert target.read_bytes() == body
    cos.put_object_from_local_file(Bucket=bucket, LocalFilePath=str(source), Key="simple")
    cos.download_file(Bucket=bucket, Key="simple", DestFilePath=str(target))
    assert target.read_bytes() == body


def test_a_body_of_unknown_length(cos, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=(bytes([n]) * 10_000 for n in range(20)))
    assert cos.get_object(Bucket=bucket, Key="k")["Content-Length"] == "200000"


def test_errors_say_what_the_sdk_reads(server, cos, bucket):
    with pytest.raises(CosServiceError) as caught:
        cos.get_object(Bucket=bucket, Key="no/such")
    error = caught.value
    assert (error.get_error_code(), error.get_status_code()) == ("NoSuchKey", 404)
    assert error.get_error_msg() == "The specified key does not exist."
    assert error.get_resource_location().endswith("/no/such")
    assert error.get_request_id() and error.get_request_id() != "Unknown"
    assert refused(cos.head_object, Bucket=bucket, Key="no/such") == ("NoSuchResource", 404)


def test_a_wrong_md5_is_refused(cos, bucket):
    wrong = raw.base64_md5(b"other")
    assert refused(cos.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5=wrong) == ("BadDigest", 400)
    assert not cos.object_exists(Bucket=bucket, Key="k")


# Who asks; one way is enough from here on


def test_wrong_keys_are_refused(server, bucket):
    wrong = cos_client(server, SecretKey="wrong")
    assert refused(wrong.list_objects, Bucket=bucket) == ("SignatureDoesNotMatch", 403)
    unknown = cos_client(server, SecretId="AKIDUNKNOWN")
    assert refused(unknown.list_objects, Bucket=bucket) == ("InvalidAccessKeyId", 403)
    nobody = cos_client(server, SecretId=None, SecretKey=None, Anonymous=True)
    assert refused(nobody.list_objects, Bucket=bucket) == ("AccessDenied", 403)


def test_signing_less_is_enough(server, bucket):
    for less in ({"SignHost": False}, {"SignParams": False}):
        client = cos_client(server, **less)
        client.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert [row["Key"] for row in client.list_objects(Bucket=bucket)["Contents"]] == ["k"]


def test_times_outside_the_signature_are_refused(server, bucket):
    now = int(time.time())
    over = raw.cos(server, "GET", bucket, start=now - 7200, end=now - 3600)
    assert (over.status, over.code, over.xml().findtext("Message")) == (403, "AccessDenied", "Request has expired")
    early = raw.cos(server, "GET", bucket, start=now + 7200, end=now + 9000)
    assert (early.status, early.code) == (403, "RequestTimeTooSkewed")


def test_presigned_urls(server, bucket, localhost_names):
    cos = cos_client(server, "endpoint")
    key = "目录/a b+c.txt"
    put = cos.get_presigned_url(Bucket=bucket, Key=key, Method="PUT", Expired=60)
    assert requests.put(put, data=b"signed").status_code == 200
    parameters = {"response-content-type": "application/json"}
    got = cos.get_presigned_url(Bucket=bucket, Key=key, Method="GET", Params=parameters)
    answer = requests.get(got)
    assert (answer.content, answer.headers["Content-Type"]) == (b"signed", "application/json")
    assert requests.put(got, data=b"x").status_code == 403
    spoiled = got.replace("q-signature=", "q-signature=0")
    assert ElementTree.fromstring(requests.get(spoiled).content).findtext("Code") == "SignatureDoesNotMatch"
    real = cos_client(server).get_presigned_download_url(Bucket=bucket, Key=key)
    assert urllib.parse.urlsplit(real).netloc == f"{bucket}.cos.ap-guangzhou.myqcloud.com"
    assert requests.get(real, proxies={"http": server.url}).content == b"signed"
    expired = cos.get_presigned_url(Bucket=bucket, Key=key, Method="GET", Expired=-30)
    assert "Request has expired" in requests.get(expired).text


def test_a_merged_signature_parameter(server, bucket):
    raw.cos(server, "PUT", bucket, "k", body=b"x")
    host = {"Host": f"{bucket}.cos.ap-guangzhou.myqcloud.com"}
    sign = raw.cos_authorization(server, "GET", "/k", headers=host)
    answer = raw.send(server, "GET", f"/k?sign={raw.quote(sign)}", host)
    assert (answer.status, answer.body) == (200, b"x"), answer


def test_header_names_are_spelled_as_the_service_spells_them(server, bucket):
    raw.cos(server, "PUT", bucket, "k", headers={"x-cos-meta-a": "1"}, body=b"x")
    names = raw.cos(server, "GET", bucket, "k").names()
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length", "Accept-Ranges", "Date", "Server"):
        assert name in names, names
    for name in ("x-cos-request-id", "x-cos-hash-crc64ecma", "x-cos-meta-a"):
        assert name in names, names
    assert not [name for name in names if name.lower().startswith("x-amz-")]


def test_forbid_overwrite(server, bucket):
    forbid = {"x-cos-forbid-overwrite": "true"}
    assert raw.cos(server, "PUT", bucket, "k", headers=forbid, body=b"1").status == 200
    again = raw.cos(server, "PUT", bucket, "k", headers=forbid, body=b"2")
    assert (again.status, again.code) == (409, "FileAlreadyExists")
    assert raw.cos(server, "GET", bucket, "k").body == b"1"


def test_empty_headers_are_absent(server, bucket):
    """Node sends `Cache-Control:` and `Content-Type:` with nothing in them."""
    host = f"{bucket}.cos.ap-guangzhou.myqcloud.com"
    signed = raw.cos_authorization(server, "PUT", "/a.txt", headers={"Host": host})
    headers = {"Host": host, "Authorization": signed, "Content-Length": "1", "Cache-Control": "", "Content-Type": ""}
    assert raw.send(server, "PUT", "/a.txt", headers, b"x").status == 200
    head = raw.cos(server, "HEAD", bucket, "a.txt")
    assert head.header("cache-control") is None and head.header("content-type") == "text/plain"


def test_delete_many_needs_a_digest(server, bucket):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    answer = raw.cos(server, "POST", bucket, query={"delete": ""}, body=body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_copy_source_forms(server, bucket):
    raw.cos(server, "PUT", bucket, "dir/a b", body=b"x")
    for source in (
        f"{bucket}.cos.ap-guangzhou.myqcloud.com/dir/a%20b",
        f"{bucket}.cos.ap-beijing.tencentcos.cn/dir%2Fa%20b",
        f"/{bucket}/dir/a%20b",
        f"%2F{bucket}%2Fdir%2Fa%20b",
        f"http://{bucket}.cos.local/dir/a%20b",
    ):
        answer = raw.cos(server, "PUT", bucket, "copy", headers={"x-cos-copy-source": source, "Content-Length": "0"})
        assert answer.status == 200 and answer.xml().findtext("ETag") == f'"{raw.md5(b"x")}"', (source, answer)
    bad = raw.cos(server, "PUT", bucket, "copy", headers={"x-cos-copy-source": "nonsense", "Content-Length": "0"})
    assert (bad.status, bad.code) == (400, "InvalidCopySource")


def test_regional_hosts_list_their_own_buckets(server, bucket, new_bucket):
    beijing = new_bucket()
    host = f"{beijing}.cos.ap-beijing.myqcloud.com"
    signed = raw.cos_authorization(server, "PUT", "/", headers={"Host": host})
    headers = {"Host": host, "Authorization": signed, "Content-Length": "0"}
    assert raw.send(server, "PUT", "/", headers).status == 200

    def names(host):
        signed = raw.cos_authorization(server, "GET", "/", headers={"Host": host})
        answer = raw.send(server, "GET", "/", {"Host": host, "Authorization": signed})
        return {bucket.findtext("Name") for bucket in answer.xml().iter("Bucket")}

    assert {bucket, beijing} <= names("service.cos.myqcloud.com")
    assert beijing in names("cos.ap-beijing.myqcloud.com")
    assert bucket not in names("cos.ap-beijing.myqcloud.com")
    located = cos_client(server, Region="ap-beijing").get_bucket_location(Bucket=beijing)
    assert located["LocationConstraint"] == "ap-beijing"
