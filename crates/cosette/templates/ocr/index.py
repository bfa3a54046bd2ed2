"""Recognises the text in an uploaded image and writes it beside the image."""

import json
import os

from qcloud_cos import CosConfig, CosS3Client
from rapidocr_onnxruntime import RapidOCR

# The models ship with the package; loaded once for each instance.
ENGINE = RapidOCR()


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
    prefix = os.environ.get("TARGET_PREFIX", "text/")
    found = []
    for bucket, region, key in objects(event):
        cos = client(region)
        image = cos.get_object(Bucket=bucket, Key=key)["Body"].get_raw_stream().read()
        lines, _ = ENGINE(image)
        texts = [{"text": text, "score": round(float(score), 3)} for _, text, score in lines or []]
        cos.put_object(
            Bucket=os.environ.get("TARGET_BUCKET") or bucket,
            Key=f"{prefix}{key}.json",
            Body=json.dumps(texts, ensure_ascii=False).encode(),
            ContentType="application/json",
        )
        print(f"{key}: {len(texts)} lines")
        found += [line["text"] for line in texts]
    return found
