"""Parts read by their numbers, the attributes of an object, appends, and the ban on overwriting."""

import crcmod

from clients.test_copies import MIB, code, made_of_parts, refused
from support import raw

crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


# Parts


def test_parts_are_read_by_their_numbers(s3, bucket):
    first, last = b"a" * 5 * MIB, b"bcd"
    etag = made_of_parts(s3, bucket, "k", {2: first, 7: last})["ETag"]
    for number, body, span in ((2, first, f"0-{5 * MIB - 1}"), (7, last, f"{5 * MIB}-{5 * MIB + 2}")):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["Body"].read() == body
        for answer in (got, head):
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert (answer["PartsCount"], answer["ETag"]) == (2, etag)
            assert answer["ContentLength"] == len(body)
            assert answer["ContentRange"] == f"bytes {span}/{5 * MIB + 3}"
    assert "PartsCount" not in s3.head_object(Bucket=bucket, Key="k")
    ask = {"Bucket": bucket, "Key": "k"}
    assert code(s3.get_object, **ask, PartNumber=1) == ("InvalidPartNumber", 416)
    assert code(s3.get_object, **ask, PartNumber=0) == ("InvalidArgument", 400)
    assert code(s3.get_object, **ask, PartNumber=2, Range="bytes=0-1") == ("InvalidRequest", 400)


def test_a_complete_may_come_again(s3, cos, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part(
        Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, Body=b"x", ChecksumAlgorithm="SHA256"
    )
    row = {"PartNumber": 2, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
    ask = {"Bucket": bucket, "Key": "k", "UploadId": upload, "MultipartUpload": {"Parts": [row]}}
    first, again = s3.complete_multipart_upload(**ask), s3.complete_multipart_upload(**ask)
    assert again["ETag"] == first["ETag"] and again["ChecksumSHA256"] == first["ChecksumSHA256"]
    other = {**ask, "MultipartUpload": {"Parts": [{**row, "PartNumber": 1}]}}
    assert code(s3.complete_multipart_upload, **other) == ("NoSuchUpload", 404)
    parts = {"Part": [{"PartNumber": 2, "ETag": part["ETag"]}]}
    answer = refused(
        cos.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts
    )
    assert answer == ("NoSuchUpload", 404)
    s3.put_object(Bucket=bucket, Key="k", Body=b"another")
    assert code(s3.complete_multipart_upload, **ask) == ("NoSuchUpload", 404)


def test_what_has_no_parts_is_its_own_first(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["Body"].read() == b"hello" and got["ContentRange"] == "bytes 0-4/5"
    assert "PartsCount" not in got
    assert code(s3.get_object, Bucket=bucket, Key="k", PartNumber=2) == ("InvalidPartNumber", 416)
    s3.put_object(Bucket=bucket, Key="empty")
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["Body"].read() == b""


ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def test_attributes_of_an_object(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    ask = {"Bucket": bucket, "Key": "k"}
    found = s3.get_object_attributes(**ask, ObjectAttributes=ALL)
    assert found["ETag"] == raw.md5(b"hello") and found["ObjectSize"] == 5
    assert found["Checksum"] == {"ChecksumSHA256": raw.base64_sha256(b"hello"), "ChecksumType": "FULL_OBJECT"}
    assert found["StorageClass"] == "STANDARD" and "ObjectParts" not in found
    assert found["VersionId"] == put["VersionId"]
    assert found["LastModified"] == s3.head_object(**ask)["LastModified"]
    found = s3.get_object_attributes(**ask, VersionId=put["VersionId"], ObjectAttributes=["ObjectSize"])
    assert "ETag" not in found and found["ObjectSize"] == 5
    assert code(s3.get_object_attributes, **ask, ObjectAttributes=["Owner"]) == ("InvalidArgument", 400)
    s3.delete_object(**ask)
    assert code(s3.get_object_attributes, **ask, ObjectAttributes=ALL) == ("NoSuchKey", 404)


def test_attributes_list_parts_page_by_page(s3, bucket):
    bodies = {1: b"a" * 5 * MIB, 2: b"b" * 5 * MIB, 5: b"c"}
    made_of_parts(s3, bucket, "k", bodies, ChecksumAlgorithm="SHA256")
    seen, after = [], 0
    while True:
        parts = s3.get_object_attributes(
            Bucket=bucket, Key="k", ObjectAttributes=ALL, MaxParts=2, PartNumberMarker=after
        )["ObjectParts"]
        assert parts["TotalPartsCount"] == 3 and parts["MaxParts"] == 2 and parts["PartNumberMarker"] == after
        seen += [(part["PartNumber"], part["Size"], part["ChecksumSHA256"]) for part in parts["Parts"]]
        if not parts["IsTruncated"]:
            break
        after = parts["NextPartNumberMarker"]
    assert seen == [(number, len(body), raw.base64_sha256(body)) for number, body in bodies.items()]


# Appends


def test_an_object_grows_by_appends(cos, bucket):
    first = cos.append_object(Bucket=bucket, Key="log", Position=0, Data=b"hello", ContentType="text/x-log")
    assert first["x-cos-next-append-position"] == "5"
    # The MD5 of what was appended, whatever its name says.
    assert first["x-cos-content-sha1"] == raw.md5(b"hello")
    second = cos.append_object(Bucket=bucket, Key="log", Position=5, Data=b" world")
    assert second["x-cos-next-append-position"] == "11"
    assert second["x-cos-content-sha1"] == raw.md5(b" world")
    assert second["x-cos-hash-crc64ecma"] == str(crc64(b"hello world"))
    assert first["ETag"] != second["ETag"]
    head = cos.head_object(Bucket=bucket, Key="log")
    assert head["x-cos-object-type"] == "appendable" and head["Content-Length"] == "11"
    assert head["Content-Type"] == "text/x-log" and head["ETag"] == second["ETag"]
    assert cos.get_object(Bucket=bucket, Key="log")["Body"].get_raw_stream().read() == b"hello world"
    for position in (0, 5, 12):
        answer = refused(cos.append_object, Bucket=bucket, Key="log", Position=position, Data=b"x")
        assert answer == ("AppendPositionErr", 409), position


def test_what_cannot_be_appended_to(cos, server, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=b"hello")
    ask = {"Bucket": bucket, "Key": "k", "Data": b"x"}
    assert refused(cos.append_object, **ask, Position=5) == ("ObjectNotAppendable", 409)
    assert "x-cos-object-type" not in cos.head_object(Bucket=bucket, Key="k")
    assert refused(cos.append_object, **ask, Position="five") == ("InvalidArgument", 400)
    cos.append_object(Bucket=bucket, Key="log", Position=0, Data=b"hello")
    source = {"Bucket": bucket, "Region": server.region, "Key": "log"}
    # A copy is a body of its own, with a digest for its tag.
    assert cos.copy_object(Bucket=bucket, Key="c", CopySource=source)["ETag"] == f'"{raw.md5(b"hello")}"'
    ask["Key"] = "c"
    assert refused(cos.append_object, **ask, Position=5) == ("ObjectNotAppendable", 409)


def test_appends_have_no_part_in_versioning(cos, bucket):
    """The SDK's own tests append where versioning is on."""
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    ask = {"Bucket": bucket, "Key": "log"}
    assert "x-cos-version-id" not in cos.append_object(**ask, Position=0, Data=b"hello")
    assert cos.append_object(**ask, Position=5, Data=b"!")["x-cos-next-append-position"] == "6"
    rows = cos.list_objects_versions(Bucket=bucket)["Version"]
    assert [(row["VersionId"], row["Size"]) for row in rows] == [("null", "6")]
    cos.delete_object(**ask)
    assert refused(cos.append_object, **ask, Position=6, Data=b"x") == ("AppendPositionErr", 409)
    cos.append_object(**ask, Position=0, Data=b"anew")
    cos.put_object(**ask, Body=b"put")
    assert refused(cos.append_object, **ask, Position=3, Data=b"x") == ("ObjectNotAppendable", 409)
    assert cos.get_object(**ask, VersionId="null")["Body"].get_raw_stream().read() == b"anew"


# x-cos-forbid-overwrite


def test_nothing_is_overwritten_where_that_is_forbidden(cos, server, bucket):
    ban = {"x-cos-forbid-overwrite": "true"}
    copy = {**ban, "x-cos-copy-source": f"{bucket}.cos.{server.region}.myqcloud.com/k"}

    def put(headers=ban, body=b"x"):
        answer = raw.cos(server, "PUT", bucket, "k", headers=headers, body=body)
        return answer.status, b"<Code>FileAlreadyExists</Code>" in answer.body

    assert put() == (200, False)
    assert put() == (409, True)
    replaced = {**copy, "x-cos-metadata-directive": "Replaced"}
    assert put(replaced, b"") == (409, True)
    upload = cos.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = cos.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"y")["ETag"]
    document = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    answer = raw.cos(server, "POST", bucket, "k", {"uploadId": upload}, headers=ban, body=document.encode())
    assert answer.status == 409
    # Where there were ever versions it does not count.
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    assert put() == (200, False)
    cos.put_bucket_versioning(Bucket=bucket, Status="Suspended")
    assert put() == (200, False)
