"""Versioning through boto3 and the COS Python SDK: versions, delete markers, listings, deletes."""

import base64
import re

import pytest
import requests
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

ID = re.compile(r"^[A-Za-z0-9+/]{27}$")


def code(call, **parameters):
    """The error's code and status, with the reply's headers."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    meta = answer["ResponseMetadata"]
    return (answer["Error"]["Code"], meta["HTTPStatusCode"]), meta["HTTPHeaders"]


def refused(call, **parameters):
    with pytest.raises(CosServiceError) as caught:
        call(**parameters)
    return caught.value.get_error_code(), caught.value.get_status_code()


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def put(s3, bucket, key, body):
    return s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]


def read(s3, bucket, key, **which):
    return s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()


# S3


def test_versioning_is_off_then_on_then_suspended(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    configuration = {"Status": "Enabled", "MFADelete": "Enabled"}
    answer, _ = code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=configuration)
    assert answer == ("NotImplemented", 501)
    answer, _ = code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={})
    assert answer == ("IllegalVersioningConfigurationException", 400)


def test_each_write_makes_a_version(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"zero")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one, two = put(s3, bucket, "k", b"one"), put(s3, bucket, "k", b"two")
    assert one != two and ID.match(one) and ID.match(two)
    assert read(s3, bucket, "k") == b"two"
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == two
    assert read(s3, bucket, "k", VersionId=one) == b"one"
    assert read(s3, bucket, "k", VersionId="null") == b"zero"
    head = s3.head_object(Bucket=bucket, Key="k", VersionId=one)
    assert (head["VersionId"], head["ContentLength"]) == (one, 3)
    assert s3.head_object(Bucket=bucket, Key="k", VersionId="null")["VersionId"] == "null"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert put(s3, bucket, "k", b"three") == "null"
    assert read(s3, bucket, "k", VersionId="null") == b"three"
    assert [row["VersionId"] for row in s3.list_object_versions(Bucket=bucket)["Versions"]] == ["null", two, one]


def test_a_version_that_is_not_there(s3, versioned):
    put(s3, versioned, "k", b"x")
    gone = put(s3, versioned, "k", b"y")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=gone)
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId=gone)[0] == ("NoSuchVersion", 404)
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId="test")[0] == ("InvalidArgument", 400)
    assert code(s3.head_object, Bucket=versioned, Key="k", VersionId=gone)[0] == ("404", 404)
    # Deleting it again is no error.
    assert s3.delete_object(Bucket=versioned, Key="k", VersionId=gone)["VersionId"] == gone


def test_a_delete_makes_a_marker_and_its_removal_brings_the_object_back(s3, versioned):
    version = put(s3, versioned, "k", b"x")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True and marker != version
    answer, headers = code(s3.get_object, Bucket=versioned, Key="k")
    assert answer == ("NoSuchKey", 404)
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    answer, headers = code(s3.get_object, Bucket=versioned, Key="k", VersionId=marker)
    assert answer == ("MethodNotAllowed", 405)
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")
    answer, headers = code(s3.head_object, Bucket=versioned, Key="k", VersionId=marker)
    assert answer == ("405", 405) and headers["x-amz-delete-marker"] == "true"
    assert read(s3, versioned, "k", VersionId=version) == b"x"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    removed = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (removed["DeleteMarker"], removed["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"x"
    removed = s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    assert removed["VersionId"] == version and "DeleteMarker" not in removed
    assert "Versions" not in s3.list_object_versions(Bucket=versioned)


def test_a_suspended_bucket_has_null_markers(s3, versioned):
    kept = put(s3, versioned, "k", b"kept")
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    put(s3, versioned, "k", b"lost")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    listed = s3.list_object_versions(Bucket=versioned)
    assert [row["VersionId"] for row in listed["Versions"]] == [kept]
    assert [(row["VersionId"], row["IsLatest"]) for row in listed["DeleteMarkers"]] == [("null", True)]


def number(version):
    """What an id says in base64, whose letters are not in the order of their values: the newer, the smaller."""
    return 0 if version == "null" else int(base64.b64decode(version + "="))


def pages(s3, bucket, **parameters):
    """All entries by a loop over pages, as (key, version) and prefixes."""
    seen, markers = [], {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, **parameters, **markers)
        rows = page.get("Versions", []) + page.get("DeleteMarkers", [])
        rows.sort(key=lambda row: (row["Key"], number(row["VersionId"])))
        seen += [(row["Key"], row["VersionId"]) for row in rows]
        seen += [row["Prefix"] for row in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            return seen
        markers = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            markers["VersionIdMarker"] = page["NextVersionIdMarker"]


def test_all_versions_page_by_page(s3, versioned):
    expected = []
    for key in ("a", "a b+c", "dir/x", "dir/y", "照片/1"):
        ids = [put(s3, versioned, key, str(n).encode()) for n in range(3)]
        ids.append(s3.delete_object(Bucket=versioned, Key=key)["VersionId"])
        expected += [(key, version) for version in reversed(ids)]
    for size in (1, 2, 3, 7, 1000):
        assert pages(s3, versioned, MaxKeys=size) == expected, size
    paged = s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": 3})
    assert len(list(paged.search("Versions"))) == 15
    for size in (1, 2, 5, 1000):
        rolled = pages(s3, versioned, Delimiter="/", MaxKeys=size)
        assert sorted(map(str, rolled)) == sorted(map(str, [*expected[:8], "dir/", "照片/"])), size
    assert pages(s3, versioned, Prefix="dir/", MaxKeys=3) == expected[8:16]
    listed = s3.list_object_versions(Bucket=versioned, KeyMarker="a b+c")
    assert {row["Key"] for row in listed["Versions"]} == {"dir/x", "dir/y", "照片/1"}
    listed = s3.list_object_versions(Bucket=versioned, KeyMarker="a", VersionIdMarker=expected[1][1])
    assert [row["VersionId"] for row in listed["Versions"] if row["Key"] == "a"] == [v for _, v in expected[2:4]]
    listed = s3.list_object_versions(Bucket=versioned, MaxKeys=0)
    assert "Versions" not in listed and not listed["IsTruncated"]
    latest = {row["Key"] for row in s3.list_object_versions(Bucket=versioned)["DeleteMarkers"] if row["IsLatest"]}
    assert latest == {"a", "a b+c", "dir/x", "dir/y", "照片/1"}
    answer, _ = code(s3.list_object_versions, Bucket=versioned, VersionIdMarker="null")
    assert answer == ("InvalidArgument", 400)


def test_a_bucket_without_versions_lists_them_as_null(s3, bucket):
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    rows = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(row["Key"], row["VersionId"], row["IsLatest"], row["Size"]) for row in rows] == [
        ("a", "null", True, 1),
        ("b", "null", True, 1),
    ]
    assert s3.list_object_versions(Bucket=bucket, MaxKeys=1)["NextVersionIdMarker"] == "null"
    assert pages(s3, bucket, MaxKeys=1) == [("a", "null"), ("b", "null")]
    assert read(s3, bucket, "a", VersionId="null") == b"x"
    s3.delete_object(Bucket=bucket, Key="a", VersionId="null")
    assert code(s3.get_object, Bucket=bucket, Key="a")[0] == ("NoSuchKey", 404)


def test_a_multi_delete_names_versions_and_makes_markers(s3, versioned):
    old, new = put(s3, versioned, "k", b"1"), put(s3, versioned, "k", b"2")
    put(s3, versioned, "other", b"3")
    objects = [{"Key": "k", "VersionId": old}, {"Key": "other"}, {"Key": "missing"}]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})
    rows = {row["Key"]: row for row in answer["Deleted"]}
    assert rows["k"] == {"Key": "k", "VersionId": old}
    for key in ("other", "missing"):
        assert rows[key]["DeleteMarker"] is True and ID.match(rows[key]["DeleteMarkerVersionId"])
    marker = rows["other"]["DeleteMarkerVersionId"]
    answer = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "other", "VersionId": marker}], "Quiet": False}
    )
    assert answer["Deleted"] == [
        {"Key": "other", "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    ]
    assert read(s3, versioned, "other") == b"3" and read(s3, versioned, "k", VersionId=new) == b"2"
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k"}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer


def test_deletes_on_condition(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert code(s3.delete_object, Bucket=bucket, Key="k", IfMatch='"0"')[0] == ("PreconditionFailed", 412)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": '"0"'}]})
    assert answer["Errors"][0]["Code"] == "PreconditionFailed"
    assert read(s3, bucket, "k") == b"x"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert code(s3.delete_object, Bucket=bucket, Key="k", IfMatch="*")[0] == ("NoSuchKey", 404)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    assert [row["Key"] for row in answer["Deleted"]] == ["k"]


# COS


@pytest.fixture
def cos_versioned(cos, bucket):
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    return bucket


def test_cos_versioning_is_off_then_on_then_suspended(cos, bucket):
    assert "Status" not in (cos.get_bucket_versioning(Bucket=bucket) or {})
    for status in ("Enabled", "Suspended"):
        cos.put_bucket_versioning(Bucket=bucket, Status=status)
        assert cos.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_cos_versions_and_markers(cos, bucket):
    assert "x-cos-version-id" not in cos.put_object(Bucket=bucket, Key="k", Body=b"zero")
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    one = cos.put_object(Bucket=bucket, Key="k", Body=b"one")["x-cos-version-id"]
    two = cos.put_object(Bucket=bucket, Key="k", Body=b"two")["x-cos-version-id"]
    assert ID.match(one) and number(two) < number(one)
    for version, body in ((one, b"one"), (two, b"two"), ("null", b"zero")):
        got = cos.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert got["Body"].get_raw_stream().read() == body
        assert cos.head_object(Bucket=bucket, Key="k", VersionId=version)["x-cos-version-id"] == version
    for unknown in ("test", "MTg0NDUxMzY1MDIzNjQ3NTcwMDk"):
        assert refused(cos.get_object, Bucket=bucket, Key="k", VersionId=unknown) == ("NoSuchVersion", 404)
    deleted = cos.delete_object(Bucket=bucket, Key="k")
    marker = deleted["x-cos-version-id"]
    assert deleted["x-cos-delete-marker"] == "true"
    assert refused(cos.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refused(cos.get_object, Bucket=bucket, Key="k", VersionId=marker) == ("NoSuchKey", 404)
    removed = cos.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    assert (removed["x-cos-delete-marker"], removed["x-cos-version-id"]) == ("true", marker)
    assert cos.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == b"two"
    removed = cos.delete_object(Bucket=bucket, Key="k", VersionId=two)
    assert removed["x-cos-version-id"] == two and "x-cos-delete-marker" not in removed
    cos.put_bucket_versioning(Bucket=bucket, Status="Suspended")
    assert "x-cos-version-id" not in cos.put_object(Bucket=bucket, Key="k", Body=b"three")
    assert cos.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].get_raw_stream().read() == b"three"


def test_cos_lists_all_versions(cos, bucket):
    cos.put_object(Bucket=bucket, Key="a", Body=b"1")
    plain = cos.list_objects_versions(Bucket=bucket)
    assert [(row["Key"], row["VersionId"]) for row in plain["Version"]] == [("a", None)]
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    new = cos.put_object(Bucket=bucket, Key="a", Body=b"22")["x-cos-version-id"]
    marker = cos.delete_object(Bucket=bucket, Key="a")["x-cos-version-id"]
    cos.put_object(Bucket=bucket, Key="b/1", Body=b"1")
    cos.put_object(Bucket=bucket, Key="b/2", Body=b"1")
    whole = cos.list_objects_versions(Bucket=bucket, Prefix="a")
    assert [(row["VersionId"], row["Size"]) for row in whole["Version"]] == [(new, "2"), ("null", "1")]
    assert whole["DeleteMarker"][0]["VersionId"] == marker
    assert whole["DeleteMarker"][0]["IsLatest"] == "true"
    assert whole["DeleteMarker"][0]["Owner"]["ID"] == "1250000000"
    seen, after = [], {}
    while True:
        page = cos.list_objects_versions(Bucket=bucket, Delimiter="/", MaxKeys=1, EncodingType="url", **after)
        for kind in ("DeleteMarker", "Version"):
            seen += [(row["Key"], row["VersionId"]) for row in page.get(kind, [])]
        seen += [row["Prefix"] for row in page.get("CommonPrefixes", [])]
        if page["IsTruncated"] == "false":
            break
        after = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"] or ""}
    assert seen == [("a", marker), ("a", new), ("a", "null"), "b/"]


def test_cos_multi_delete_with_versions(cos, cos_versioned):
    version = cos.put_object(Bucket=cos_versioned, Key="k", Body=b"1")["x-cos-version-id"]
    answer = cos.delete_objects(Bucket=cos_versioned, Delete={"Object": [{"Key": "k"}], "Quiet": "false"})
    row = answer["Deleted"][0]
    assert row["DeleteMarker"] == "true" and ID.match(row["DeleteMarkerVersionId"])
    objects = [{"Key": "k", "VersionId": version}, {"Key": "k", "VersionId": row["DeleteMarkerVersionId"]}]
    answer = cos.delete_objects(Bucket=cos_versioned, Delete={"Object": objects, "Quiet": "true"})
    assert "Deleted" not in (answer or {})
    assert "Version" not in cos.list_objects_versions(Bucket=cos_versioned)


def test_a_marker_says_so_in_the_dialect_of_the_request(cos, server, cos_versioned):
    marker = cos.delete_object(Bucket=cos_versioned, Key="k")["x-cos-version-id"]
    answer = requests.head(cos.get_presigned_url(cos_versioned, "k", "HEAD"), proxies={"http": server.url})
    assert answer.status_code == 404
    assert answer.headers["x-cos-delete-marker"] == "true"
    assert answer.headers["x-cos-version-id"] == marker
