"""The object clients of scripts/demo: how the COS Python SDK and boto3 are pointed at a local server.

put.py bucket BUCKET | cos BUCKET KEY | s3 BUCKET KEY | event FUNCTION
"""

import json
import os
import sys
import urllib.request

import boto3
from qcloud_cos import CosConfig, CosS3Client

ENDPOINT = os.environ["COSETTE_ENDPOINT"]
ID, KEY = os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"]


def cos():
    # The server is the HTTP proxy: the host names stay those of the cloud.
    config = CosConfig(
        Region="ap-guangzhou", SecretId=ID, SecretKey=KEY, Scheme="http", Proxies={"http": ENDPOINT}
    )
    return CosS3Client(config)


def s3():
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="ap-guangzhou",
        aws_access_key_id=ID,
        aws_secret_access_key=KEY,
        config=boto3.session.Config(s3={"addressing_style": "path"}),
    )


def main(what, *names):
    if what == "bucket":
        cos().create_bucket(Bucket=names[0])
        print("bucket", names[0])
    elif what == "cos":
        bucket, key = names
        put = cos().put_object(Bucket=bucket, Key=key, Body=b"meow", ContentType="image/jpeg")
        print(f"COS SDK put {key}, ETag {put['ETag']}, CRC-64 {put['x-cos-hash-crc64ecma']}")
    elif what == "s3":
        bucket, key = names
        put = s3().put_object(Bucket=bucket, Key=key, Body=b"woof!", ContentType="image/jpeg")
        print(f"boto3 put {key}, ETag {put['ETag']}")
    elif what == "event":
        with urllib.request.urlopen(f"{ENDPOINT}/_cosette/invocations?function={names[0]}") as answer:
            last = json.load(answer)["invocations"][-1]
        print(json.dumps(json.loads(last["event"]), indent=2, ensure_ascii=False))


main(*sys.argv[1:])
