"""`x-cos-traffic-limit`: bodies that take the time they are asked to."""

import time

import pytest
from qcloud_cos import CosServiceError

from test_forms import cos_fields, send

LIMIT = 819200
# What takes a second at that limit, and half of one.
BODY = b"x" * (LIMIT // 8 * 3 // 2)


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_bodies_take_their_time(server, cos, s3, bucket):
    slow = str(LIMIT)
    assert seconds(lambda: cos.put_object(Bucket=bucket, Key="k", Body=BODY, TrafficLimit=slow)) > 1
    upload = cos.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = {"Bucket": bucket, "Key": "m", "UploadId": upload, "PartNumber": 1}
    assert seconds(lambda: cos.upload_part(Body=BODY, TrafficLimit=slow, **part)) > 1
    cos.abort_multipart_upload(Bucket=bucket, Key="m", UploadId=upload)
    got = []

    def get():
        got.append(cos.get_object(Bucket=bucket, Key="k", TrafficLimit=slow)["Body"].get_raw_stream().read())

    assert seconds(get) > 1
    assert got == [BODY]
    form = cos_fields(server, bucket, key="form", **{"x-cos-traffic-limit": slow})
    assert seconds(lambda: send(f"{server.url}/{bucket}", form, ("f", BODY)).raise_for_status()) > 1
    assert s3.head_object(Bucket=bucket, Key="form")["ContentLength"] == len(BODY)


def test_without_a_limit_they_do_not(cos, bucket):
    # At the limit this would take a minute.
    assert seconds(lambda: cos.put_object(Bucket=bucket, Key="k", Body=BODY * 40)) < 30


@pytest.mark.parametrize("limit", ["819199", "838860801", "fast"])
def test_limits_have_limits(cos, bucket, limit):
    with pytest.raises(CosServiceError) as caught:
        cos.put_object(Bucket=bucket, Key="k", Body=b"", TrafficLimit=limit)
    assert (caught.value.get_error_code(), caught.value.get_status_code()) == ("InvalidArgument", 400)
