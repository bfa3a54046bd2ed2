"""Storage classes, and archived objects until they are restored."""

import pytest
from botocore.exceptions import ClientError
from qcloud_cos import CosServiceError

from support.clients import cos_client
from support.instance import Instance

COS_CLASSES = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"]
MAZ_CLASSES = ["MAZ_STANDARD", "MAZ_STANDARD_IA", "MAZ_INTELLIGENT_TIERING", "MAZ_ARCHIVE", "MAZ_DEEP_ARCHIVE"]
S3_CLASSES = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "REDUCED_REDUNDANCY", "GLACIER"]
S3_CLASSES += ["GLACIER_IR", "DEEP_ARCHIVE"]


def s3_code(caught):
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def cos_code(caught):
    return caught.value.get_error_code(), caught.value.get_status_code()


@pytest.mark.parametrize("name", S3_CLASSES)
def test_a_class_of_s3(s3, bucket, name):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass=name)
    assert s3.head_object(Bucket=bucket, Key="k").get("StorageClass", "STANDARD") == name
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == name
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", StorageClass=name)["UploadId"]
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["StorageClass"] == name
    assert s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)["StorageClass"] == name


@pytest.mark.parametrize("name", COS_CLASSES + MAZ_CLASSES)
def test_a_class_of_cos(cos, bucket, name):
    cos.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass=name)
    assert cos.head_object(Bucket=bucket, Key="k").get("x-cos-storage-class", "STANDARD") == name
    assert cos.list_objects(Bucket=bucket)["Contents"][0]["StorageClass"] == name


def test_classes_across_dialects(cos, s3, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="ARCHIVE")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "GLACIER"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    assert cos.head_object(Bucket=bucket, Key="k")["x-cos-storage-class"] == "ARCHIVE"
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", StorageClass="COLD")
    assert s3_code(caught) == ("InvalidStorageClass", 400)
    with pytest.raises(CosServiceError) as caught:
        cos.put_object(Bucket=bucket, Key="k", Body=b"", StorageClass="GLACIER")
    assert cos_code(caught) == ("NotSupportedStorageClass", 400)


def test_strict_has_no_zones(tmp_path):
    with Instance(None, "--strict", log=tmp_path / "log") as server:
        cos = cos_client(server)
        bucket = f"zones-{server.appid}"
        cos.create_bucket(Bucket=bucket)
        with pytest.raises(CosServiceError) as caught:
            cos.put_object(Bucket=bucket, Key="k", Body=b"", StorageClass="MAZ_STANDARD")
        assert cos_code(caught) == ("MAZOperationNotSupportOnOAZBucket", 400)
        server.stop()


def test_restore_through_s3(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"cold", StorageClass="GLACIER")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert s3_code(caught) == ("InvalidObjectState", 403)
    assert caught.value.response["Error"]["StorageClass"] == "GLACIER"
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert s3_code(caught) == ("InvalidObjectState", 403)

    request = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
    answer = s3.restore_object(Bucket=bucket, Key="k", RestoreRequest=request)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.head_object(Bucket=bucket, Key="k")["Restore"] == 'ongoing-request="true"'
    with pytest.raises(ClientError) as caught:
        s3.restore_object(Bucket=bucket, Key="k", RestoreRequest=request)
    assert s3_code(caught) == ("RestoreAlreadyInProgress", 409)
    faster = {"Days": 2, "GlacierJobParameters": {"Tier": "Expedited"}}
    assert s3.restore_object(Bucket=bucket, Key="k", RestoreRequest=faster)["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert s3_code(caught) == ("InvalidObjectState", 403)

    s3.put_object(Bucket=bucket, Key="warm", Body=b"warm")
    with pytest.raises(ClientError) as caught:
        s3.restore_object(Bucket=bucket, Key="warm", RestoreRequest=request)
    assert s3_code(caught) == ("InvalidObjectState", 403)
    with pytest.raises(ClientError) as caught:
        s3.restore_object(Bucket=bucket, Key="missing", RestoreRequest=request)
    assert s3_code(caught) == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="k", Body=b"overwritten")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"overwritten"


def test_restore_through_cos(cos, bucket):
    cos.put_object(Bucket=bucket, Key="k", Body=b"cold", StorageClass="DEEP_ARCHIVE")
    with pytest.raises(CosServiceError) as caught:
        cos.get_object(Bucket=bucket, Key="k")
    assert cos_code(caught) == ("InvalidObjectState", 403)

    def restore(key, tier):
        return cos.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 1, "CASJobParameters": {"Tier": tier}})

    with pytest.raises(CosServiceError) as caught:
        restore("k", "Expedited")
    assert cos_code(caught) == ("InvalidArgument", 400)
    restore("k", "Standard")
    head = cos.head_object(Bucket=bucket, Key="k")
    assert head["x-cos-restore"] == 'ongoing-request="true"'
    assert head["x-cos-restore-status"].startswith('tier="standard"; request-date="')
    assert cos.list_objects(Bucket=bucket)["Contents"][0]["RestoreStatus"] == "ONGOING"
    with pytest.raises(CosServiceError) as caught:
        restore("k", "Bulk")
    assert cos_code(caught) == ("RestoreAlreadyInProgress", 409)
    cos.put_object(Bucket=bucket, Key="warm", Body=b"warm")
    with pytest.raises(CosServiceError) as caught:
        restore("warm", "Standard")
    assert cos_code(caught) == ("RestoreNonArchiveObject", 405)
    cos.delete_object(Bucket=bucket, Key="k")
