"""Keeps a second bucket, in any region, like the first."""

import os

from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError


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


def main_handler(event, context):
    target = os.environ["TARGET_BUCKET"]
    removed = event["Records"][0]["event"]["eventName"].startswith("cos:ObjectRemove:")
    for bucket, region, key in objects(event):
        there = client(os.environ.get("TARGET_REGION") or region)
        to = os.environ.get("TARGET_PREFIX", "") + key
        if removed:
            there.delete_object(Bucket=target, Key=to)
            print(f"removed {target}/{to}")
            continue
        try:
            # The service copies; no byte comes through here.
            there.copy(Bucket=target, Key=to, CopySource={"Bucket": bucket, "Key": key, "Region": region})
        except CosServiceError as error:
            if error.get_error_code() != "NoSuchKey":
                raise
            print(f"{key} is gone meanwhile")
            continue
        print(f"copied {bucket}/{key} to {target}/{to}")
