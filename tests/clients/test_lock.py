"""Object lock: S3's with versions and modes, COS's with days alone."""

import datetime

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support import raw

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def code(caught):
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def cos_code(caught):
    return caught.value.get_error_code(), caught.value.get_status_code()


@pytest.fixture
def locked(s3, unique, server):
    """A bucket of S3 with object lock; what it holds is unlocked and removed afterwards."""
    bucket = f"{unique('lock')}-{server.appid}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    yield bucket
    versions = s3.list_object_versions(Bucket=bucket)
    for row in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
        s3.delete_object(Bucket=bucket, Key=row["Key"], VersionId=row["VersionId"], BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)


def default(mode="GOVERNANCE", **period):
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, **period}}}


def test_a_bucket_is_set(s3, locked, bucket):
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default(Years=1))
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == default(Years=1)
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default(Days=1))
    for bad, refusal in [
        (default(Days=0), ("InvalidRetentionPeriod", 400)),
        (default(Days=1, Years=1), ("MalformedXML", 400)),
        (default("abc", Days=1), ("MalformedXML", 400)),
    ]:
        with pytest.raises(ClientError) as caught:
            s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=bad)
        assert code(caught) == refusal
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_versioning(Bucket=locked, VersioningConfiguration={"Status": "Suspended"})
    assert code(caught) == ("InvalidBucketState", 409)
    with pytest.raises(ClientError) as caught:
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default(Days=1))
    assert code(caught) == ("InvalidBucketState", 409)
    with pytest.raises(ClientError) as caught:
        s3.get_object_lock_configuration(Bucket=bucket)
    assert code(caught) == ("ObjectLockConfigurationNotFoundError", 404)


def test_every_write_is_locked_by_default(s3, locked):
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=default(Days=1))
    s3.put_object(Bucket=locked, Key="put", Body=b"1")
    s3.copy_object(Bucket=locked, Key="copied", CopySource={"Bucket": locked, "Key": "put"})
    upload = s3.create_multipart_upload(Bucket=locked, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="parts", UploadId=upload, PartNumber=1, Body=b"1")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=locked, Key="parts", UploadId=upload, MultipartUpload=parts)
    for key in ("put", "copied", "parts"):
        head = s3.head_object(Bucket=locked, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert abs(head["ObjectLockRetainUntilDate"] - NOW - DAY) < datetime.timedelta(minutes=30)
        with pytest.raises(ClientError) as caught:
            s3.delete_object(Bucket=locked, Key=key, VersionId=head["VersionId"])
        assert code(caught) == ("AccessDenied", 403)
        assert s3.delete_object(Bucket=locked, Key=key)["DeleteMarker"]
    entries = [{"Key": "put", "VersionId": row["VersionId"]} for row in s3.list_object_versions(Bucket=locked, Prefix="put")["Versions"]]
    refused = s3.delete_objects(Bucket=locked, Delete={"Objects": entries})
    assert refused["Errors"][0]["Code"] == "AccessDenied"
    done = s3.delete_objects(Bucket=locked, Delete={"Objects": entries}, BypassGovernanceRetention=True)
    assert "Errors" not in done


def test_retention(s3, locked, bucket):
    until = NOW + 5 * DAY
    put = s3.put_object(Bucket=locked, Key="k", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    assert s3.get_object_retention(Bucket=locked, Key="k")["Retention"] == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    got = s3.get_object(Bucket=locked, Key="k")
    assert (got["ObjectLockMode"], got["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)

    def retain(**more):
        return s3.put_object_retention(Bucket=locked, Key="k", VersionId=put["VersionId"], **more)

    retain(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until + DAY})
    with pytest.raises(ClientError) as caught:
        retain(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    assert code(caught) == ("AccessDenied", 403)
    retain(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}, BypassGovernanceRetention=True)
    with pytest.raises(ClientError) as caught:
        retain(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": NOW - DAY})
    assert code(caught) == ("InvalidArgument", 400)
    retain(Retention={}, BypassGovernanceRetention=True)
    with pytest.raises(ClientError) as caught:
        s3.get_object_retention(Bucket=locked, Key="k")
    assert code(caught) == ("NoSuchObjectLockConfiguration", 404)

    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    assert code(caught) == ("InvalidRequest", 400)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=locked, Key="k", ObjectLockMode="GOVERNANCE")
    assert code(caught) == ("InvalidArgument", 400)


def test_legal_hold(s3, locked):
    put = s3.put_object(Bucket=locked, Key="k", Body=b"1", ObjectLockLegalHoldStatus="ON")
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"] == {"Status": "ON"}
    assert s3.head_object(Bucket=locked, Key="k")["ObjectLockLegalHoldStatus"] == "ON"
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket=locked, Key="k", VersionId=put["VersionId"], BypassGovernanceRetention=True)
    assert code(caught) == ("AccessDenied", 403)
    s3.put_object_legal_hold(Bucket=locked, Key="k", LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"] == {"Status": "OFF"}


def test_cos_locks_by_days(cos, s3, server, unique, bucket):
    with pytest.raises(CosServiceError) as caught:
        cos.get_bucket_object_lock(Bucket=bucket)
    assert cos_code(caught) == ("NoSuchObjectLockConfiguration", 404)
    # It stays behind, as what COS has locked cannot be removed by anybody.
    worm = f"{unique('worm')}-{server.appid}"
    cos.create_bucket(Bucket=worm)

    def days(number):
        rule = {"DefaultRetention": {"Days": number}}
        return cos.put_bucket_object_lock(Bucket=worm, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})

    cos.put_bucket_object_lock(Bucket=worm, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert cos.get_bucket_object_lock(Bucket=worm)["ObjectLockEnabled"] == "Enabled"
    days(2)
    days(3)
    assert cos.get_bucket_object_lock(Bucket=worm)["Rule"]["DefaultRetention"]["Days"] == "3"
    with pytest.raises(CosServiceError) as caught:
        days(1)
    assert cos_code(caught) == ("InvalidLockedTime", 409)
    with pytest.raises(CosServiceError) as caught:
        cos.put_bucket_versioning(Bucket=worm, Status="Enabled")
    assert cos_code(caught) == ("InvalidBucketState", 409)

    cos.put_object(Bucket=worm, Key="k", Body=b"kept")
    for act in (
        lambda: cos.put_object(Bucket=worm, Key="k", Body=b"other"),
        lambda: cos.delete_object(Bucket=worm, Key="k"),
    ):
        with pytest.raises(CosServiceError) as caught:
            act()
        assert cos_code(caught) == ("ObjectLocked", 409)
    assert cos.get_object(Bucket=worm, Key="k")["Body"].get_raw_stream().read() == b"kept"
    answer = raw.cos(server, "GET", worm, "k", {"retention": ""})
    until = datetime.datetime.fromisoformat(answer.xml().findtext("RetainUntilDate"))
    assert abs(until - NOW - 3 * DAY) < datetime.timedelta(minutes=30)
    text = b"<Retention><RetainUntilDate>2000-01-01T00:00:00.000Z</RetainUntilDate></Retention>"
    assert raw.cos(server, "PUT", worm, "k", {"retention": ""}, body=text).code == "InvalidArgument"
    soon = (until - DAY).isoformat().encode()
    text = b"<Retention><RetainUntilDate>" + soon + b"</RetainUntilDate></Retention>"
    assert raw.cos(server, "PUT", worm, "k", {"retention": ""}, body=text).code == "InvalidLockedTime"
    late = (until + DAY).isoformat().encode()
    text = b"<Retention><RetainUntilDate>" + late + b"</RetainUntilDate></Retention>"
    assert raw.cos(server, "PUT", worm, "k", {"retention": ""}, body=text).status == 200
    hold = b"<LegalHold><Status>ON</Status></LegalHold>"
    assert raw.cos(server, "PUT", worm, "k", {"legal-hold": ""}, body=hold).status == 200
