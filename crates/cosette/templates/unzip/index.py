"""Unpacks an uploaded zip archive into a prefix of a bucket."""

import os
import tempfile
import zipfile

from qcloud_cos import CosConfig, CosS3Client

ENTRIES_MAX = int(os.environ.get("ENTRIES_MAX", "10000"))


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


def place(prefix, archive, entry):
    """Where an entry goes; nothing for one that points outside."""
    parts = entry.replace("\\", "/").split("/")
    if entry.startswith("/") or ".." in parts:
        print(f"left out: {entry}")
        return None
    return f"{prefix}{archive.rsplit('/', 1)[-1].rsplit('.', 1)[0]}/" + "/".join(parts)


def main_handler(event, context):
    prefix = os.environ.get("TARGET_PREFIX", "unzipped/")
    written = []
    for bucket, region, key in objects(event):
        cos = client(region)
        target = os.environ.get("TARGET_BUCKET") or bucket
        with tempfile.TemporaryFile() as file:
            body = cos.get_object(Bucket=bucket, Key=key)["Body"]
            while chunk := body.read(1 << 20):
                file.write(chunk)
            with zipfile.ZipFile(file) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                if len(entries) > ENTRIES_MAX:
                    raise ValueError(f"{key} has {len(entries)} entries, more than {ENTRIES_MAX}")
                for entry in entries:
                    to = place(prefix, key, entry.filename)
                    if to is None:
                        continue
                    with archive.open(entry) as content:
                        cos.put_object(Bucket=target, Key=to, Body=content.read())
                    written.append(to)
    print(f"wrote {len(written)} objects")
    return written
