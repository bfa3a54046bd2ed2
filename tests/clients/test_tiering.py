"""Intelligent tiering, on servers whose clock is moved: by boto3 and the COS Python SDK."""

import csv
import gzip
import io

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support import coverage
from support.clients import cos_client, s3_client
from support.instance import Instance

CLASS = "INTELLIGENT_TIERING"
DAY_S = 24 * 3600


@pytest.fixture
def server(tmp_path, answered):
    """A server of its own: its clock goes far."""
    with Instance(None, "--log", "debug", log=tmp_path / "log") as instance:
        yield instance
    answered |= coverage.answered(instance.log_text())


def later(server, days=0, seconds=0):
    """Moves to so much later; what comes due on the way is done by then."""
    answer = server.admin("POST", "clock", {"advance": f"{days * DAY_S + seconds}s"})
    assert answer["settled"], answer


def s3_refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def set_cold(s3, bucket, **filter):
    tiers = [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}, {"AccessTier": "DEEP_ARCHIVE_ACCESS", "Days": 180}]
    rule = {"Id": "cold", "Status": "Enabled", "Tierings": tiers, **filter}
    s3.put_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="cold", IntelligentTieringConfiguration=rule)


def archived(server, bucket):
    changes = server.changes(bucket=bucket)
    return [(c["key"], c["rule"]) for c in changes if c["kind"] == "IntelligentTiering"]


def test_archive_tiers_through_s3(server):
    s3 = s3_client(server)
    bucket = f"tiers-{server.appid}"
    s3.create_bucket(Bucket=bucket)
    set_cold(s3, bucket, Filter={"And": {"Prefix": "a/", "Tags": [{"Key": "t", "Value": "1"}]}})
    for key, tagging, kind in [
        ("a/cold", "t=1", CLASS),
        ("a/read", "t=1", CLASS),
        ("a/copied", "t=1", CLASS),
        ("a/seen", "t=1", CLASS),
        ("a/other", "t=2", CLASS),
        ("b/cold", "t=1", CLASS),
        ("a/standard", "t=1", "STANDARD"),
    ]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"abc", Tagging=tagging, StorageClass=kind)

    def status(key):
        return s3.head_object(Bucket=bucket, Key=key).get("ArchiveStatus")

    later(server, days=60)
    assert s3.get_object(Bucket=bucket, Key="a/read")["Body"].read() == b"abc"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a/copied"})
    # These are no reads.
    s3.head_object(Bucket=bucket, Key="a/seen")
    s3.get_object_tagging(Bucket=bucket, Key="a/seen")
    s3.get_object_attributes(Bucket=bucket, Key="a/seen", ObjectAttributes=["ETag"])
    later(server, days=31)
    assert {key for key, _ in archived(server, bucket)} == {"a/cold", "a/seen"}
    assert {rule for _, rule in archived(server, bucket)} == {"cold"}
    assert [status(key) for key in ("a/cold", "a/read", "a/other", "b/cold", "a/standard")] == [
        "ARCHIVE_ACCESS",
        None,
        None,
        None,
        None,
    ]
    refused = s3_refused(s3.get_object, Bucket=bucket, Key="a/cold")
    assert refused["Error"]["Code"] == "InvalidObjectState"
    assert (refused["Error"]["StorageClass"], refused["Error"]["AccessTier"]) == (CLASS, "ARCHIVE_ACCESS")
    source = {"Bucket": bucket, "Key": "a/cold"}
    assert s3_refused(s3.copy_object, Bucket=bucket, Key="x", CopySource=source)["Error"]["Code"] == "InvalidObjectState"
    # A refused read is none.
    later(server, days=90)
    assert status("a/cold") == "DEEP_ARCHIVE_ACCESS"
    assert status("a/read") == status("a/copied") == "ARCHIVE_ACCESS"

    def restore(key, tier, **days):
        request = {"GlacierJobParameters": {"Tier": tier}, **days}
        return s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)

    with_days = s3_refused(s3.restore_object, Bucket=bucket, Key="a/cold", RestoreRequest={"Days": 1})
    assert with_days["Error"]["Code"] == "InvalidArgument"
    with pytest.raises(ClientError) as caught:
        restore("a/cold", "Expedited")
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"
    assert restore("a/read", "Expedited")["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert restore("a/cold", "Standard")["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(ClientError) as caught:
        restore("a/cold", "Bulk")
    assert caught.value.response["Error"]["Code"] == "RestoreAlreadyInProgress"
    assert s3.head_object(Bucket=bucket, Key="a/cold")["Restore"] == 'ongoing-request="true"'
    later(server, seconds=60)
    assert s3.get_object(Bucket=bucket, Key="a/read")["Body"].read() == b"abc"
    assert s3_refused(s3.get_object, Bucket=bucket, Key="a/cold")["Error"]["AccessTier"] == "DEEP_ARCHIVE_ACCESS"
    later(server, seconds=12 * 3600)
    head = s3.head_object(Bucket=bucket, Key="a/cold")
    assert "ArchiveStatus" not in head and "Restore" not in head and head["StorageClass"] == CLASS
    assert s3.get_object(Bucket=bucket, Key="a/cold")["Body"].read() == b"abc"
    kinds = [c["kind"] for c in server.changes(bucket=bucket) if c["key"] == "a/cold"]
    assert kinds[-2:] == ["cos:ObjectRestore:Post", "cos:ObjectRestore:Completed"]
    # It stays back for its days, and the restored object is no copy that expires.
    later(server, days=89)
    assert status("a/cold") is None
    # An object of a class of its own still needs days.
    s3.put_object(Bucket=bucket, Key="ice", Body=b"abc", StorageClass="GLACIER")
    assert s3_refused(s3.restore_object, Bucket=bucket, Key="ice", RestoreRequest={})["Error"]["Code"] == "MalformedXML"


def test_tiers_that_s3_moves_between_by_itself(server):
    """Only an inventory shows them."""
    s3 = s3_client(server)
    bucket, lists = f"inv-{server.appid}", f"lists-{server.appid}"
    for name in (bucket, lists):
        s3.create_bucket(Bucket=name)
    large = b"x" * (128 << 10)
    for key in ("read", "idle"):
        s3.put_object(Bucket=bucket, Key=key, Body=large, StorageClass=CLASS)
    s3.put_object(Bucket=bucket, Key="small", Body=b"x", StorageClass=CLASS)
    s3.put_object(Bucket=bucket, Key="standard", Body=large)
    inventory = {
        "Id": "i",
        "IsEnabled": True,
        "IncludedObjectVersions": "Current",
        "OptionalFields": ["StorageClass", "IntelligentTieringAccessTier"],
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{lists}", "Format": "CSV"}},
    }
    s3.put_bucket_inventory_configuration(Bucket=bucket, Id="i", InventoryConfiguration=inventory)

    def tiers():
        found = s3.list_objects_v2(Bucket=lists)["Contents"]
        newest = max((o for o in found if o["Key"].endswith(".csv.gz")), key=lambda o: o["LastModified"])
        text = gzip.decompress(s3.get_object(Bucket=lists, Key=newest["Key"])["Body"].read()).decode()
        return {row[1]: row[3] for row in csv.reader(io.StringIO(text))}

    later(server, days=29)
    s3.get_object(Bucket=bucket, Key="read")["Body"].read()
    later(server, days=3)
    assert tiers() == {"read": "FREQUENT", "idle": "INFREQUENT", "small": "FREQUENT", "standard": ""}
    later(server, days=60)
    assert tiers()["read"] == "INFREQUENT" and tiers()["idle"] == "ARCHIVE_INSTANT_ACCESS"


def cos_refused(call, **arguments):
    with pytest.raises(CosServiceError) as caught:
        call(**arguments)
    return caught.value.get_error_code()


@pytest.mark.parametrize("first_form", [True, False])
def test_tiers_through_cos(server, first_form):
    cos = cos_client(server)
    bucket = f"tiers-{server.appid}"
    cos.create_bucket(Bucket=bucket)
    kinds = {"idle": CLASS, "read": CLASS, "zones": f"MAZ_{CLASS}", "standard": "STANDARD"}
    for key, kind in kinds.items():
        cos.put_object(Bucket=bucket, Key=key, Body=b"abc", StorageClass=kind)

    def tier(key):
        return cos.head_object(Bucket=bucket, Key=key).get("x-cos-storage-tier")

    later(server, days=100)
    # Nothing moves until tiering is switched on.
    assert [tier(key) for key in kinds] == ["FREQUENT", "FREQUENT", "FREQUENT", None]
    if first_form:
        default = {"Status": "Enabled", "Transition": {"Days": "60", "RequestFrequent": "1"}}
        cos.put_bucket_intelligenttiering(Bucket=bucket, IntelligentTieringConfiguration=default)
    else:
        default = {"Id": "default", "Status": "Enabled", "Tiering": [{"AccessTier": "INFREQUENT", "Days": "60"}]}
        cos.put_bucket_intelligenttiering_v2(Bucket=bucket, Id="default", IntelligentTieringConfiguration=default)
    assert [tier(key) for key in kinds] == ["INFREQUENT", "INFREQUENT", "INFREQUENT", None]
    assert cos.get_object(Bucket=bucket, Key="read")["x-cos-storage-tier"] == "INFREQUENT"
    assert [tier(key) for key in kinds] == ["INFREQUENT", "FREQUENT", "INFREQUENT", None]
    listed = {o["Key"]: o.get("StorageTier") for o in cos.list_objects(Bucket=bucket)["Contents"]}
    assert listed == {"idle": "INFREQUENT", "read": "FREQUENT", "zones": "INFREQUENT", "standard": None}
    versions = cos.list_objects_versions(Bucket=bucket)["Version"]
    assert {v["Key"]: v.get("StorageTier") for v in versions} == listed
    later(server, days=59)
    assert tier("read") == "FREQUENT"
    later(server, days=2)
    assert tier("read") == "INFREQUENT"


def test_archive_tiers_through_cos(server):
    cos = cos_client(server)
    bucket = f"cold-{server.appid}"
    cos.create_bucket(Bucket=bucket)
    tiers = [{"AccessTier": "ARCHIVE_ACCESS", "Days": "91"}, {"AccessTier": "DEEP_ARCHIVE_ACCESS", "Days": "200"}]
    rule = {"Id": "cold", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Tiering": tiers}
    cos.put_bucket_intelligenttiering_v2(Bucket=bucket, Id="cold", IntelligentTieringConfiguration=rule)
    for key in ("a/k", "b/k"):
        cos.put_object(Bucket=bucket, Key=key, Body=b"abc", StorageClass=CLASS)

    def tier(key):
        return cos.head_object(Bucket=bucket, Key=key)["x-cos-storage-tier"]

    later(server, days=92)
    assert (tier("a/k"), tier("b/k")) == ("ARCHIVE_ACCESS", "FREQUENT")
    assert cos_refused(cos.get_object, Bucket=bucket, Key="a/k") == "InvalidObjectState"
    # Days need not be given, and say nothing if they are.
    request = {"CASJobParameters": {"Tier": "Expedited"}}
    cos.restore_object(Bucket=bucket, Key="a/k", RestoreRequest=request)
    assert cos.head_object(Bucket=bucket, Key="a/k")["x-cos-restore"] == 'ongoing-request="true"'
    later(server, seconds=60)
    assert tier("a/k") == "FREQUENT"
    assert cos.get_object(Bucket=bucket, Key="a/k")["Body"].get_raw_stream().read() == b"abc"
    later(server, days=92)
    assert tier("a/k") == "ARCHIVE_ACCESS"
    # What lies there stays there when the rule goes, and a write of it is a new object.
    s3_client(server).delete_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="cold")
    assert tier("a/k") == "ARCHIVE_ACCESS"
    cos.restore_object(Bucket=bucket, Key="a/k", RestoreRequest={"Days": 1, "CASJobParameters": {"Tier": "Bulk"}})
    cos.put_object(Bucket=bucket, Key="a/k", Body=b"new", StorageClass=CLASS)
    assert cos.get_object(Bucket=bucket, Key="a/k")["Body"].get_raw_stream().read() == b"new"


def test_reads_last_over_a_restart(tmp_path):
    """A clean stop writes down what was read since the last day began."""
    data, log = tmp_path / "data", tmp_path / "log"
    with Instance(data, log=log) as server:
        s3 = s3_client(server)
        bucket = f"again-{server.appid}"
        s3.create_bucket(Bucket=bucket)
        set_cold(s3, bucket)
        for key in ("idle", "read"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"abc", StorageClass=CLASS)
        later(server, days=60)
        s3.get_object(Bucket=bucket, Key="read")["Body"].read()
        server.stop()
    with Instance(data, log=log) as server:
        s3 = s3_client(server)
        later(server, days=91)
        assert {key: s3.head_object(Bucket=bucket, Key=key).get("ArchiveStatus") for key in ("idle", "read")} == {
            "idle": "ARCHIVE_ACCESS",
            "read": None,
        }


def test_strict_leaves_small_objects_where_they_are(tmp_path):
    with Instance(None, "--strict", log=tmp_path / "log") as server:
        s3, cos = s3_client(server), cos_client(server)
        bucket = f"strict-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        set_cold(s3, bucket)
        default = {"Status": "Enabled", "Transition": {"Days": "30", "RequestFrequent": "1"}}
        cos.put_bucket_intelligenttiering(Bucket=bucket, IntelligentTieringConfiguration=default)
        sizes = {"small": (64 << 10) - 1, "middle": 64 << 10, "large": 128 << 10}
        for key, size in sizes.items():
            s3.put_object(Bucket=bucket, Key=key, Body=b"x" * size, StorageClass=CLASS)
        later(server, days=91)
        heads = [cos.head_object(Bucket=bucket, Key=key)["x-cos-storage-tier"] for key in sizes]
        assert heads == ["FREQUENT", "INFREQUENT", "ARCHIVE_ACCESS"]
