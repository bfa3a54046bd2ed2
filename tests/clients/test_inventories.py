"""Inventories, written: at the beginning of the server's day, which is short here, and at once for COS's that are
asked for once."""

import csv
import gzip
import hashlib
import io
import json
import re
import tempfile
import urllib.parse

import pytest

from clients.test_access_logs import until
from clients.test_settings import code
from clients.test_settings_by_id import cos_inventory, s3_inventory
from support import coverage
from support.clients import cos_client, s3_client
from support.instance import Instance


@pytest.fixture(scope="module")
def short_days(answered):
    with tempfile.NamedTemporaryFile() as log:
        with Instance(None, "--day", "500ms", "--log", "debug", log=log.name) as instance:
            yield instance
            assert instance.stop() == 0
        answered |= coverage.answered(instance.log_text())


def keys(s3, bucket, prefix):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def read(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def report(s3, bucket, manifest):
    """A manifest, checked, and the rows of its list as dictionaries."""
    body = read(s3, bucket, manifest)
    checksum = read(s3, bucket, manifest.replace("manifest.json", "manifest.checksum")).decode()
    assert checksum == hashlib.md5(body).hexdigest()
    told = json.loads(body)
    (file,) = told["files"]
    data = read(s3, bucket, file["key"])
    assert int(file["size"]) == len(data)
    assert file.get("MD5checksum", file.get("md5Checksum")) == hashlib.md5(data).hexdigest()
    text = gzip.decompress(data).decode()
    names = told["fileSchema"].split(", ")
    return told, [dict(zip(names, row)) for row in csv.reader(io.StringIO(text))]


def finished(s3, bucket, prefix):
    """The manifests whose checksum is there."""
    found = keys(s3, bucket, prefix)
    return [key.replace("checksum", "json") for key in found if key.endswith("manifest.checksum")]


def test_daily_list_of_s3(short_days, unique):
    s3 = s3_client(short_days)
    source, target = (f"{unique(word)}" for word in ("source", "target"))
    for name in (source, target):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=source, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=source, Key='a/b "照', Body=b"one")
    second = s3.put_object(Bucket=source, Key='a/b "照', Body=b"three", ChecksumAlgorithm="CRC32")
    s3.put_object(Bucket=source, Key="other", Body=b"x")
    marker = s3.delete_object(Bucket=source, Key='a/gone')
    fields = ["EncryptionStatus", "Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded", "ChecksumAlgorithm"]
    change = {"IsEnabled": True, "Filter": {"Prefix": "a/"}, "OptionalFields": fields, "IncludedObjectVersions": "All"}
    inventory = s3_inventory(target, "daily", **change)
    inventory["Destination"]["S3BucketDestination"]["Encryption"] = {"SSES3": {}}
    s3.put_bucket_inventory_configuration(Bucket=source, Id="daily", InventoryConfiguration=inventory)
    manifest = until(lambda: finished(s3, target, f"p/{source}/daily/"))[0]
    assert re.fullmatch(rf"p/{source}/daily/\d{{4}}-\d\d-\d\dT\d\d-\d\dZ/manifest.json", manifest)
    told, rows = report(s3, target, manifest)
    assert told["sourceBucket"] == source and told["destinationBucket"] == f"arn:aws:s3:::{target}"
    assert s3.head_object(Bucket=target, Key=told["files"][0]["key"])["ServerSideEncryption"] == "AES256"
    assert rows[0]["EncryptionStatus"] == "NOT-SSE"
    assert told["version"] == "2016-11-30" and told["fileFormat"] == "CSV"
    assert told["files"][0]["key"].startswith(f"p/{source}/daily/data/")
    assert [urllib.parse.unquote(row["Key"]) for row in rows] == ['a/b "照', 'a/b "照', "a/gone"]
    newest, oldest, gone = rows
    assert [row["VersionId"] for row in rows] == [second["VersionId"], first["VersionId"], marker["VersionId"]]
    assert [row["IsLatest"] for row in rows] == ["true", "false", "true"]
    assert [row["IsDeleteMarker"] for row in rows] == ["false", "false", "true"]
    assert (newest["Size"], newest["ETag"], newest["StorageClass"]) == ("5", second["ETag"].strip('"'), "STANDARD")
    assert (newest["ChecksumAlgorithm"], newest["IsMultipartUploaded"]) == ("CRC32", "false")
    assert (gone["Size"], gone["ETag"]) == ("", "") and oldest["Size"] == "3"
    # Another day, another list.
    until(lambda: len(keys(s3, target, f"p/{source}/daily/data/")) > 1)
    assert any(key.endswith("/symlink.txt") for key in keys(s3, target, f"p/{source}/daily/hive/"))
    # One that is switched off makes none.
    off = {**inventory, "IsEnabled": False}
    s3.put_bucket_inventory_configuration(Bucket=source, Id="daily", InventoryConfiguration=off)


def test_lists_of_cos(short_days, unique):
    cos, s3 = cos_client(short_days), s3_client(short_days)
    bucket = f"{unique('listed')}-{short_days.appid}"
    cos.create_bucket(Bucket=bucket)
    cos.put_object(Bucket=bucket, Key="a/1 照", Body=b"12345", Metadata={"x-cos-meta-who": "me"}, Tagging="k=v")
    cos.put_object(Bucket=bucket, Key="a/untagged", Body=b"1")
    cos.put_object(Bucket=bucket, Key="b", Body=b"1")
    change = {
        "IsEnabled": "true",
        "IncludedObjectVersions": "Current",
        "Filter": {"And": {"Prefix": "a/", "Tag": [{"Key": "k", "Value": "v"}]}},
        "OptionalFields": {"Field": ["Size", "StorageClass", "Tag", "Crc64", "x-cos-meta-*"]},
        "Schedule": {"Frequency": "Daily"},
    }
    cos.put_bucket_inventory(Bucket=bucket, Id="daily", InventoryConfiguration=cos_inventory(short_days, bucket, **change))
    name = bucket.removesuffix(f"-{short_days.appid}")
    begin = f"list1/{short_days.appid}/{name}/daily/"
    manifest = until(lambda: finished(s3, bucket, begin))[0]
    assert re.fullmatch(rf"{begin}\d{{8}}/manifest.json", manifest)
    told, rows = report(s3, bucket, manifest)
    assert (told["sourceAppid"], told["sourceBucket"], told["destinationBucket"]) == (short_days.appid, name, name)
    assert (told["listObjectCount"], told["filterObjectCount"], told["filterStorageSize"]) == ("2", "1", "5")
    (row,) = rows
    assert (row["Appid"], row["Bucket"], urllib.parse.unquote(row["Key"])) == (short_days.appid, name, "a/1 照")
    crc = cos.head_object(Bucket=bucket, Key="a/1 照")["x-cos-hash-crc64ecma"]
    assert (row["Size"], row["StorageClass"], row["Tag"], row["Crc64"]) == ("5", "STANDARD", "k=v", crc)
    assert row["x-cos-meta-*"] == "x-cos-meta-who=me"
    cos.delete_bucket_inventory(Bucket=bucket, Id="daily")


def test_a_list_that_is_asked_for_once(cos, s3, server, bucket):
    """On a server whose days are long."""
    cos.put_object(Bucket=bucket, Key="a/1", Body=b"12345")
    once = cos_inventory(server, bucket, IncludedObjectVersions="Current")
    del once["IsEnabled"], once["Schedule"], once["Filter"]
    post = cos.post_bucket_inventory
    post(Bucket=bucket, Id="once", InventoryConfiguration=dict(once))
    name = bucket.removesuffix(f"-{server.appid}")
    manifest = until(lambda: finished(s3, bucket, f"list1/{server.appid}/{name}/once/"))[0]
    _, rows = report(s3, bucket, manifest)
    assert [row["Key"] for row in rows] == ["a/1"]
    assert code(post, Bucket=bucket, Id="once", InventoryConfiguration=dict(once)) == ("DuplicateInventoryId", 409)
    assert code(cos.get_bucket_inventory, Bucket=bucket, Id="once") == ("InventoryConfigurationNotFoundError", 404)
