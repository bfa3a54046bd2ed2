"""Makes a small JPEG of an uploaded image."""

import io
import os

from PIL import Image, ImageOps
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


def main_handler(event, context):
    size = int(os.environ.get("SIZE", "200"))
    prefix = os.environ.get("TARGET_PREFIX", "thumbnails/")
    made = []
    for bucket, region, key in objects(event):
        cos = client(region)
        body = cos.get_object(Bucket=bucket, Key=key)["Body"].get_raw_stream().read()
        with Image.open(io.BytesIO(body)) as image:
            # As the camera was held, without transparency, no side longer than that.
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((size, size))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=85)
        to = prefix + key.rsplit("/", 1)[-1].rsplit(".", 1)[0] + ".jpg"
        cos.put_object(
            Bucket=os.environ.get("TARGET_BUCKET") or bucket,
            Key=to,
            Body=out.getvalue(),
            ContentType="image/jpeg",
        )
        print(f"{key}: {small.width} x {small.height}")
        made.append(to)
    return made
