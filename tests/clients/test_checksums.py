"""S3's checksums on every way an object comes to be, and what reads show of them."""

import base64
import hashlib
import zlib

import pytest
from awscrt import checksums as crt
from botocore.exceptions import ClientError

MIB = 1 << 20


def crc(value, length):
    return value.to_bytes(length, "big")


DIGESTS = {
    "CRC32": lambda data: crc(zlib.crc32(data), 4),
    "CRC32C": lambda data: crc(crt.crc32c(data), 4),
    "CRC64NVME": lambda data: crc(crt.crc64nvme(data), 8),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
COMPOSITE = ["CRC32", "CRC32C", "SHA1", "SHA256"]
FULL = ["CRC32", "CRC32C", "CRC64NVME"]


def of(algorithm, data):
    return base64.b64encode(DIGESTS[algorithm](data)).decode()


def code(caught):
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_put_and_copy(s3, bucket, algorithm):
    name, data = f"Checksum{algorithm}", b"hello"
    put = s3.put_object(Bucket=bucket, Key="k", Body=data, **{name: of(algorithm, data)})
    assert put[name] == of(algorithm, data)
    assert name not in s3.head_object(Bucket=bucket, Key="k")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (of(algorithm, data), "FULL_OBJECT")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{name: of(algorithm, data)})
    assert code(caught) == ("BadDigest", 400)
    copied = s3.copy_object(Bucket=bucket, Key="same", CopySource={"Bucket": bucket, "Key": "k"})
    assert copied["CopyObjectResult"][name] == of(algorithm, data)
    other = "SHA256" if algorithm != "SHA256" else "SHA1"
    s3.copy_object(Bucket=bucket, Key="other", CopySource={"Bucket": bucket, "Key": "k"}, ChecksumAlgorithm=other)
    head = s3.head_object(Bucket=bucket, Key="other", ChecksumMode="ENABLED")
    assert head[f"Checksum{other}"] == of(other, data)


@pytest.mark.parametrize(
    "algorithm, kind", [(a, "COMPOSITE") for a in COMPOSITE] + [(a, "FULL_OBJECT") for a in FULL]
)
def test_parts(s3, bucket, algorithm, kind):
    name = f"Checksum{algorithm}"
    data = [b"a" * 5 * MIB, b"tail"]
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    upload = {"Bucket": bucket, "Key": "k", "UploadId": begun["UploadId"]}
    parts = []
    for number, body in enumerate(data, 1):
        with pytest.raises(ClientError) as caught:
            s3.upload_part(PartNumber=number, Body=body, **upload, **{name: of(algorithm, b"not that")})
        assert code(caught) == ("BadDigest", 400)
        part = s3.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm=algorithm, **upload)
        assert part[name] == of(algorithm, body)
        parts.append({"PartNumber": number, "ETag": part["ETag"], name: part[name]})
    if kind == "COMPOSITE":
        whole = of(algorithm, b"".join(DIGESTS[algorithm](body) for body in data)) + "-2"
    else:
        whole = of(algorithm, b"".join(data))
    wrong = [dict(parts[0], **{name: of(algorithm, b"not that")}), parts[1]]
    with pytest.raises(ClientError) as caught:
        s3.complete_multipart_upload(MultipartUpload={"Parts": wrong}, ChecksumType=kind, **upload)
    assert code(caught) == ("InvalidPart", 400)
    with pytest.raises(ClientError) as caught:
        s3.complete_multipart_upload(
            MultipartUpload={"Parts": parts}, ChecksumType=kind, **upload, **{name: of(algorithm, b"not that")}
        )
    assert code(caught) == ("BadDigest", 400)
    done = s3.complete_multipart_upload(
        MultipartUpload={"Parts": parts}, ChecksumType=kind, **upload, **{name: whole}
    )
    assert (done[name], done["ChecksumType"]) == (whole, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (whole, kind)
    for number, body in enumerate(data, 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number, ChecksumMode="ENABLED")
        assert (got[name], got["ChecksumType"]) == (of(algorithm, body), kind)
        assert got["Body"].read() == body
