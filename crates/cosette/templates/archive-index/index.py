"""Writes a list of what an uploaded archive (zip, tar, tar.gz, tar.bz2, tar.xz) holds."""

import json
import os
import tarfile
import tempfile
import zipfile

from qcloud_cos import CosConfig, CosS3Client


def objects(event):
    """Bucket, region and key of each object that the event tells of."""
    for record in event["Records"]:
        bucket = record["cos"]["cosBucket"]
        region = bucket.get("cosRegion") or os.environ["TENCENTCLOUD_REGION"]
        # The key begins with /<appid>/<bucket>/.
        yield f"{bucket['name']}-{bucket['appid']}", region, record["cos"]["cosObject"]["key"].split("/", 3)[3]


def client(region):
    """With the keys of the function's role."""
    return CosS3Client(
        CosConfig(
            Region=region,
            SecretId=os.environ["TENCENTCLOUD_SECRETID"],
            SecretKey=os.environ["TENCENTCLOUD_SECRETKEY"],
            Token=os.environ.get("TENCENTCLOUD_SESSIONTOKEN"),
        )
    )


def entries(file):
    """Name and size of each file in the archive."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return [{"name": e.filename, "size": e.file_size} for e in archive.infolist() if not e.is_dir()]
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        return [{"name": e.name, "size": e.size} for e in archive if e.isfile()]


def main_handler(event, context):
    prefix = os.environ.get("TARGET_PREFIX", "index/")
    made = []
    for bucket, region, key in objects(event):
        cos = client(region)
        with tempfile.TemporaryFile() as file:
            body = cos.get_object(Bucket=bucket, Key=key)["Body"]
            while chunk := body.read(1 << 20):
                file.write(chunk)
            listed = entries(file)
        cos.put_object(
            Bucket=os.environ.get("TARGET_BUCKET") or bucket,
            Key=f"{prefix}{key}.json",
            Body=json.dumps({"archive": key, "entries": listed}, ensure_ascii=False).encode(),
            ContentType="application/json",
        )
        print(f"{key}: {len(listed)} files")
        made.append(f"{prefix}{key}.json")
    return made
