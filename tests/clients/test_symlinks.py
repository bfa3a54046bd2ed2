"""Symlinks: objects of their own that reads are led on from. COS has them; S3's clients read through them too."""

import pytest
from botocore.exceptions import ClientError

from clients.test_copies import code, read, refused
from support import raw
from support.clients import cos_client


@pytest.fixture
def linked(cos, bucket):
    """A bucket with a target and a link to it."""
    cos.put_object(
        Bucket=bucket, Key="dir/照片 1.txt", Body=b"hello", ContentType="text/x-one", Metadata={"x-cos-meta-of": "target"}
    )
    cos.put_symlink(Bucket=bucket, SymlinkName="link", SymlinkTarget="dir/%E7%85%A7%E7%89%87 1.txt")
    return bucket


def body(cos, bucket, key, **which):
    return cos.get_object(Bucket=bucket, Key=key, **which)["Body"].get_raw_stream().read()


def test_reads_are_led_to_the_target(cos, s3, linked):
    target = cos.head_object(Bucket=linked, Key="dir/照片 1.txt")
    got, head = cos.get_object(Bucket=linked, Key="link"), cos.head_object(Bucket=linked, Key="link")
    assert got["Body"].get_raw_stream().read() == b"hello"
    for name in ("ETag", "Content-Type", "Content-Length", "x-cos-meta-of", "x-cos-hash-crc64ecma"):
        assert got[name] == head[name] == target[name], name
    assert body(cos, linked, "link", Range="bytes=1-2") == b"el"
    assert refused(cos.get_object, Bucket=linked, Key="link", IfMatch='"no"') == ("PreconditionFailed", 412)
    assert read(s3, linked, "link") == b"hello"
    assert s3.head_object(Bucket=linked, Key="link")["ETag"] == target["ETag"]
    # It leads to what is there now.
    cos.put_object(Bucket=linked, Key="dir/照片 1.txt", Body=b"again")
    assert body(cos, linked, "link") == b"again"


def test_a_link_is_an_object_of_its_own(cos, linked):
    name = "dir/照片 1.txt".encode()
    row = next(row for row in cos.list_objects(Bucket=linked)["Contents"] if row["Key"] == "link")
    assert (row["ETag"], row["Size"]) == (f'"{raw.md5(name)}"', str(len(name)))
    found = cos.get_symlink(Bucket=linked, SymlinkName="link")
    assert found["x-cos-symlink-target"].encode("latin-1") == name and found["ETag"] == row["ETag"]
    tags = {"TagSet": {"Tag": [{"Key": "a", "Value": "1"}]}}
    cos.put_object_tagging(Bucket=linked, Key="link", Tagging=tags)
    assert cos.get_object_tagging(Bucket=linked, Key="link") == tags
    assert not (cos.get_object_tagging(Bucket=linked, Key="dir/照片 1.txt")["TagSet"] or {}).get("Tag")
    # What is written to its key replaces it, and its target stays.
    cos.put_object(Bucket=linked, Key="link", Body=b"plain")
    assert body(cos, linked, "link") == b"plain" and body(cos, linked, "dir/照片 1.txt") == b"hello"
    answer = refused(cos.get_symlink, Bucket=linked, SymlinkName="link")
    assert answer == ("InvalidRequest", 400)
    cos.put_symlink(Bucket=linked, SymlinkName="link", SymlinkTarget="dir/照片 1.txt".encode())
    cos.delete_object(Bucket=linked, Key="link")
    assert body(cos, linked, "dir/照片 1.txt") == b"hello"


def test_links_that_lead_nowhere(cos, server, bucket):
    ask = {"Bucket": bucket, "SymlinkTarget": "later"}
    cos.put_symlink(**ask, SymlinkName="link")
    cos.put_symlink(Bucket=bucket, SymlinkName="second", SymlinkTarget="link")
    assert refused(cos.get_object, Bucket=bucket, Key="link") == ("NoSuchKey", 404)
    assert refused(cos.head_object, Bucket=bucket, Key="link")[1] == 404
    assert cos.get_symlink(Bucket=bucket, SymlinkName="link")["x-cos-symlink-target"] == "later"
    cos.put_object(Bucket=bucket, Key="later", Body=b"x")
    assert body(cos, bucket, "link") == b"x"
    assert refused(cos.get_object, Bucket=bucket, Key="second") == ("InvalidRequest", 400)
    for missing in ("links", "none"):
        assert refused(cos.get_symlink, Bucket=bucket, SymlinkName=missing) == ("NoSuchKey", 404)
    ban = {"x-cos-forbid-overwrite": "true", "x-cos-symlink-target": "later"}
    answer = raw.cos(server, "PUT", bucket, "link", {"symlink": ""}, headers=ban)
    assert (answer.status, answer.code) == (409, "FileAlreadyExists")
    answer = raw.cos(server, "PUT", bucket, "new", {"symlink": ""})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = refused(cos.put_symlink, **ask, SymlinkName="cold", StorageClass="ARCHIVE")
    assert answer == ("NotSupportedStorageClass", 400)


def test_versions_are_of_the_link(cos, bucket):
    cos.put_bucket_versioning(Bucket=bucket, Status="Enabled")
    for key in ("one", "two"):
        cos.put_object(Bucket=bucket, Key=key, Body=key.encode())
    made = [
        cos.put_symlink(Bucket=bucket, SymlinkName="link", SymlinkTarget=key)["x-cos-version-id"]
        for key in ("one", "two")
    ]
    assert body(cos, bucket, "link") == b"two"
    assert body(cos, bucket, "link", VersionId=made[0]) == b"one"
    found = cos.get_symlink(Bucket=bucket, SymlinkName="link", VersionId=made[0])
    assert (found["x-cos-symlink-target"], found["x-cos-version-id"]) == ("one", made[0])
    unknown = refused(cos.get_symlink, Bucket=bucket, SymlinkName="link", VersionId="invalid")
    assert unknown == ("NoSuchVersion", 404)
    cos.delete_object(Bucket=bucket, Key="link")
    assert refused(cos.get_symlink, Bucket=bucket, SymlinkName="link") == ("NoSuchKey", 404)
    cos.delete_object(Bucket=bucket, Key="one")
    assert refused(cos.get_object, Bucket=bucket, Key="link", VersionId=made[0]) == ("NoSuchKey", 404)


def test_a_copy_of_a_link_is_a_link(cos, s3, linked):
    s3.copy_object(Bucket=linked, Key="copy", CopySource={"Bucket": linked, "Key": "link"})
    first, second = (cos.get_symlink(Bucket=linked, SymlinkName=name) for name in ("link", "copy"))
    assert first["x-cos-symlink-target"] == second["x-cos-symlink-target"]
    assert body(cos, linked, "copy") == b"hello"


def test_both_must_be_open_to_who_reads(server, cos, bucket):
    nobody = cos_client(server, SecretId=None, SecretKey=None, Anonymous=True)
    cos.put_object(Bucket=bucket, Key="target", Body=b"x")
    cos.put_symlink(Bucket=bucket, SymlinkName="link", SymlinkTarget="target")
    for link, target, allowed in (
        ("private", "public-read", False),
        ("public-read", "private", False),
        ("public-read", "public-read", True),
    ):
        cos.put_object_acl(Bucket=bucket, Key="link", ACL=link)
        cos.put_object_acl(Bucket=bucket, Key="target", ACL=target)
        if allowed:
            assert body(nobody, bucket, "link") == b"x"
        else:
            assert refused(nobody.get_object, Bucket=bucket, Key="link") == ("AccessDenied", 403)


def test_s3_clients_see_what_a_link_is(s3, linked):
    """S3 has no symlinks; to its clients the key has the target's bytes, and its own in listings."""
    rows = {row["Key"]: row["Size"] for row in s3.list_objects_v2(Bucket=linked)["Contents"]}
    assert rows["link"] == len("dir/照片 1.txt".encode())
    assert read(s3, linked, "link", Range="bytes=0-0") == b"h"
    s3.delete_object(Bucket=linked, Key="dir/照片 1.txt")
    assert code(s3.get_object, Bucket=linked, Key="link") == ("NoSuchKey", 404)
    with pytest.raises(ClientError):
        s3.head_object(Bucket=linked, Key="link")
