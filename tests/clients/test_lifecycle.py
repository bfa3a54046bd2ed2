"""Lifecycle rules carried out, on servers whose day is short; by boto3 and the COS Python SDK."""

import datetime
import time

import pytest

from support import coverage
from support.clients import cos_client, s3_client
from support.instance import Instance

LIMIT_S = 60


@pytest.fixture(scope="module")
def short(answered, tmp_path_factory):
    """A server on which a day is half a second; nobody wants to write between two of them."""
    log = tmp_path_factory.mktemp("lifecycle") / "log"
    with Instance(None, "--day=500ms", "--log", "debug", log=log) as instance:
        yield instance
    answered |= coverage.answered(instance.log_text())


@pytest.fixture
def name(short, unique):
    """A bucket's name; its rules go with the test."""
    name = f"{unique('lc')}-{short.appid}"
    yield name
    s3_client(short).delete_bucket_lifecycle(Bucket=name)


def done(server, bucket):
    """What rules did: kind, key and rule."""
    changes = server.changes(bucket=bucket)
    return [(c["kind"], c["key"], c["rule"]) for c in changes if c["kind"].startswith("Lifecycle")]


def until(condition):
    """Asks the server again and again; its answers take the time."""
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end
    return found


def set_rules(server, bucket, *rules):
    rules = [{"ID": f"r{n}", "Status": "Enabled", "Filter": {}, **rule} for n, rule in enumerate(rules)]
    s3_client(server).put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def keys(client, bucket):
    return {o["Key"]: o["StorageClass"] for o in client.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_objects_end_and_move(short, name):
    s3 = s3_client(short)
    s3.create_bucket(Bucket=name)
    set_rules(
        short,
        name,
        {"ID": "gone", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}},
        {"ID": "tagged", "Filter": {"Tag": {"Key": "t", "Value": "1"}}, "Expiration": {"Days": 1}},
        {
            "ID": "cold",
            "Filter": {"And": {"Prefix": "cold/", "ObjectSizeGreaterThan": 2}},
            "Transitions": [{"Days": 1, "StorageClass": "GLACIER_IR"}, {"Days": 2, "StorageClass": "DEEP_ARCHIVE"}],
        },
        {"ID": "off", "Filter": {"Prefix": "keep"}, "Status": "Disabled", "Expiration": {"Days": 1}},
    )
    for key in ("tmp/a", "cold/a", "keep", "tagged"):
        s3.put_object(Bucket=name, Key=key, Body=b"abc", Tagging="t=1" if key == "tagged" else "t=2")
    s3.put_object(Bucket=name, Key="cold/small", Body=b"a")
    left = {"cold/a": "DEEP_ARCHIVE", "cold/small": "STANDARD", "keep": "STANDARD"}
    until(lambda: keys(s3, name) == left)
    acts = done(short, name)
    assert sorted(act[1:] for act in acts if act[0] == "LifecycleExpiration:Delete") == [
        ("tagged", "tagged"),
        ("tmp/a", "gone"),
    ]
    assert {act[1:] for act in acts if act[0] == "LifecycleTransition"} == {("cold/a", "cold")}
    with pytest.raises(s3.exceptions.InvalidObjectState):
        s3.get_object(Bucket=name, Key="cold/a")


def test_versions_end_with_the_marker_that_is_left(short, name):
    s3 = s3_client(short)
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(3):
        s3.put_object(Bucket=name, Key="a", Body=b"abc")
        s3.put_object(Bucket=name, Key="b", Body=b"abc")
    s3.delete_object(Bucket=name, Key="a")
    set_rules(
        short,
        name,
        {"Filter": {"Prefix": "a"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"Filter": {"Prefix": "a"}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Filter": {"Prefix": "b"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}},
        {"Filter": {"Prefix": "b"}, "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]},
    )

    def versions():
        page = s3.list_object_versions(Bucket=name)
        found = [(v["Key"], v["IsLatest"], v["StorageClass"]) for v in page.get("Versions", [])]
        return found, [m["Key"] for m in page.get("DeleteMarkers", [])]

    left = ([("b", True, "STANDARD"), ("b", False, "GLACIER")], [])
    until(lambda: versions() == left)
    set_rules(short, name, {"Filter": {"Prefix": "b"}, "Expiration": {"Days": 1}})
    until(lambda: versions()[1] == ["b"])
    acts = done(short, name)
    assert ("LifecycleExpiration:DeleteMarkerCreated", "b", "r0") in acts
    assert ("LifecycleExpiration:Delete", "a", "r1") in acts
    assert "Contents" not in s3.list_objects_v2(Bucket=name)


def test_uploads_are_aborted(short, name):
    s3 = s3_client(short)
    s3.create_bucket(Bucket=name)
    upload = s3.create_multipart_upload(Bucket=name, Key="up/a")
    assert "AbortDate" not in upload
    set_rules(short, name, {"Filter": {"Prefix": "up/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    other = s3.create_multipart_upload(Bucket=name, Key="other")
    told = s3.create_multipart_upload(Bucket=name, Key="up/b")
    assert told["AbortRuleId"] == "r0"
    s3.upload_part(Bucket=name, Key="other", UploadId=other["UploadId"], PartNumber=1, Body=b"x")
    until(lambda: [u["Key"] for u in s3.list_multipart_uploads(Bucket=name)["Uploads"]] == ["other"])
    s3.abort_multipart_upload(Bucket=name, Key="other", UploadId=other["UploadId"])


def test_what_is_locked_stays(short, name):
    s3 = s3_client(short)
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    for key in ("free", "held"):
        s3.put_object(Bucket=name, Key=key, Body=b"a", ObjectLockLegalHoldStatus="ON" if key == "held" else "OFF")
        s3.delete_object(Bucket=name, Key=key)
    old = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    set_rules(short, name, {**old, "Expiration": {"ExpiredObjectDeleteMarker": True}})
    until(lambda: len(done(short, name)) == 2)
    page = s3.list_object_versions(Bucket=name)
    assert [v["Key"] for v in page["Versions"]] == ["held"]
    assert [m["Key"] for m in page["DeleteMarkers"]] == ["held"]
    version = page["Versions"][0]["VersionId"]
    s3.put_object_legal_hold(Bucket=name, Key="held", VersionId=version, LegalHold={"Status": "OFF"})
    until(lambda: len(done(short, name)) == 4)


def test_rules_of_cos(short, name):
    cos = cos_client(short)
    cos.create_bucket(Bucket=name)
    rule = {"ID": "x", "Status": "Enabled"}
    past = "2020-01-01T00:00:00+08:00"
    rules = [
        {**rule, "ID": "gone", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": "1"}},
        {**rule, "ID": "cold", "Filter": {"Prefix": "cold/"}, "Transition": [{"Days": "1", "StorageClass": "ARCHIVE"}]},
        {**rule, "ID": "dated", "Filter": {"Prefix": "keep/"}, "Expiration": {"Date": past}},
        {
            **rule,
            "ID": "cut",
            "Filter": {"Prefix": "up/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": "1"},
        },
    ]
    cos.create_multipart_upload(Bucket=name, Key="up/a")
    cos.put_bucket_lifecycle(Bucket=name, LifecycleConfiguration={"Rule": rules})
    for key in ("cold/a", "keep/a"):
        cos.put_object(Bucket=name, Key=key, Body=b"abc")
    expiration = cos.put_object(Bucket=name, Key="tmp/a", Body=b"abc")["x-cos-expiration"]
    assert expiration.startswith('expiry-date="') and expiration.endswith('GMT", rule-id="gone"')

    def shown():
        page = cos.list_objects(Bucket=name)
        return {o["Key"]: o["StorageClass"] for o in page.get("Contents", [])}

    # What was written after a date is not meant by it.
    until(lambda: shown() == {"cold/a": "ARCHIVE", "keep/a": "STANDARD"})
    assert set(done(short, name)) == {
        ("LifecycleExpiration:Delete", "tmp/a", "gone"),
        ("LifecycleTransition", "cold/a", "cold"),
    }
    until(lambda: "Upload" not in cos.list_multipart_uploads(Bucket=name))


def test_when_an_object_ends_is_told(server, s3, cos, new_bucket):
    name = new_bucket()
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ID": "a b", "Status": "Enabled", "Filter": {"Prefix": "a"}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    first = s3.put_object(Bucket=name, Key="a", Body=b"x")
    second = s3.put_object(Bucket=name, Key="a", Body=b"y")
    written = s3.head_object(Bucket=name, Key="a")["LastModified"]
    midnight = (written + datetime.timedelta(days=4)).replace(hour=0, minute=0, second=0)
    told = f'expiry-date="{midnight:%a, %d %b %Y} 00:00:00 GMT", rule-id="a%20b"'
    assert second["Expiration"] == told
    assert s3.head_object(Bucket=name, Key="a")["Expiration"] == told
    assert s3.get_object(Bucket=name, Key="a", VersionId=second["VersionId"])["Expiration"] == told
    assert "Expiration" not in s3.get_object(Bucket=name, Key="a", VersionId=first["VersionId"])
    assert s3.copy_object(Bucket=name, Key="ab", CopySource=f"{name}/a")["Expiration"] == told
    assert cos.head_object(Bucket=name, Key="a")["x-cos-expiration"] == told
    assert "Expiration" not in s3.put_object(Bucket=name, Key="b", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=name, Key="ac")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="ac", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    completed = s3.complete_multipart_upload(Bucket=name, Key="ac", UploadId=upload, MultipartUpload=parts)
    assert completed["Expiration"] == told


def test_small_objects_stay_if_it_is_said(short, name):
    s3 = s3_client(short)
    s3.create_bucket(Bucket=name)
    put, get = s3.put_bucket_lifecycle_configuration, s3.get_bucket_lifecycle_configuration
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}}
    rules = {"Rules": [{**rule, "Transitions": [{"Days": 0, "StorageClass": "GLACIER_IR"}]}]}
    said = put(Bucket=name, LifecycleConfiguration=rules, TransitionDefaultMinimumObjectSize="all_storage_classes_128K")
    assert said["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    assert get(Bucket=name)["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.put_object(Bucket=name, Key="small", Body=b"x")
    s3.put_object(Bucket=name, Key="large", Body=bytes(128 << 10))
    until(lambda: keys(s3, name) == {"small": "STANDARD", "large": "GLACIER_IR"})
    put(Bucket=name, LifecycleConfiguration=rules)
    until(lambda: keys(s3, name) == {"small": "GLACIER_IR", "large": "GLACIER_IR"})


def test_small_objects_stay_on_a_strict_server():
    with Instance(None, "--strict", "--day", "300ms") as server:
        s3, cos = s3_client(server), cos_client(server)
        rule = {"ID": "r", "Status": "Enabled", "Filter": {}}
        theirs, ours = f"s3-{server.appid}", f"cos-{server.appid}"
        for bucket in (theirs, ours):
            cos.create_bucket(Bucket=bucket)
            for kib in (63, 64, 127, 128):
                cos.put_object(Bucket=bucket, Key=f"{kib:03}", Body=bytes(kib << 10))
        set_rules(server, theirs, {"Transitions": [{"Days": 0, "StorageClass": "GLACIER"}]})
        rules = {"Rule": [{**rule, "Transition": [{"Days": "0", "StorageClass": "ARCHIVE"}]}]}
        cos.put_bucket_lifecycle(Bucket=ours, LifecycleConfiguration=rules)
        moved = {"063": "STANDARD", "064": "GLACIER", "127": "GLACIER", "128": "GLACIER"}
        until(lambda: keys(s3, ours) == moved)
        until(lambda: keys(s3, theirs) == {**moved, "064": "STANDARD", "127": "STANDARD"})


def test_what_was_due_while_the_server_was_down(tmp_path):
    """Killed in the middle: each object ends once, and the rest by the next start."""
    count = 300
    with Instance(tmp_path / "data", "--durability", "relaxed") as server:
        s3 = s3_client(server)
        bucket = f"down-{server.appid}"
        s3.create_bucket(Bucket=bucket)
        for number in range(count):
            s3.put_object(Bucket=bucket, Key=f"k{number:03}", Body=b"abc")
        set_rules(server, bucket, {"Expiration": {"Days": 1}})
        server.kill()
    with Instance(tmp_path / "data", "--day", "100ms") as server:
        until(lambda: done(server, bucket))
        server.kill()
    with Instance(tmp_path / "data", "--day", "100ms") as server:
        s3 = s3_client(server)
        until(lambda: not keys(s3, bucket))
        ended = [key for _, key, _ in done(server, bucket)]
        assert sorted(ended) == [f"k{number:03}" for number in range(count)]
        assert server.stop() == 0
